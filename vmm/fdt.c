/* SPDX-License-Identifier: MIT */
/* Helpers for device-tree nodes. */
#include "vmm/fdt.h"

#include <libfdt.h>
#include <stdio.h>

#define GIC_SPI_BASE 32
#define MAX_CELLS    32

int vmm_fdt_cells(void *fdt, const char *name, const uint32_t *cells, size_t nr)
{
	fdt32_t raw[MAX_CELLS];

	if (nr > MAX_CELLS)
		return -FDT_ERR_NOSPACE;
	for (size_t i = 0; i < nr; i++)
		raw[i] = cpu_to_fdt32(cells[i]);
	return fdt_property(fdt, name, raw, (int)(nr * sizeof(*raw)));
}

int vmm_fdt_reg(void *fdt, const uint64_t *values, size_t nr)
{
	fdt64_t raw[MAX_CELLS / 2];

	if (nr > MAX_CELLS / 2)
		return -FDT_ERR_NOSPACE;
	for (size_t i = 0; i < nr; i++)
		raw[i] = cpu_to_fdt64(values[i]);
	return fdt_property(fdt, "reg", raw, (int)(nr * sizeof(*raw)));
}

int vmm_fdt_begin(void *fdt, const char *name, uint64_t base, uint64_t size)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)base);
	VMM_FDT_TRY(fdt_begin_node(fdt, full));
	return vmm_fdt_reg(fdt, (const uint64_t[]){base, size}, 2);
}

int vmm_fdt_spi(void *fdt, unsigned int intid)
{
	return VMM_FDT_CELLS(fdt, "interrupts", VMM_FDT_SPI, intid - GIC_SPI_BASE,
			     VMM_FDT_LEVEL_HIGH);
}
