/* SPDX-License-Identifier: MIT */
/*
 * Helpers for device-tree nodes, over libfdt's sequential calls. Each returns 0 or a negative
 * libfdt error. Addresses and sizes have two cells, as the root says. Source: Devicetree
 * Specification 0.4; the bindings in Linux's Documentation/devicetree.
 */
#ifndef VMM_FDT_H
#define VMM_FDT_H

#include <stddef.h>
#include <stdint.h>

#define VMM_FDT_SIZE (64ull << 10) /* room for our tree */
#define VMM_FDT_MAX  (2ull << 20)  /* Linux takes no larger one (arm64 booting.rst) */

enum vmm_phandle { VMM_PHANDLE_GIC = 1, VMM_PHANDLE_CLOCK = 2 };

/* Interrupt specifiers of arm,gic: type, number, flags. */
#define VMM_FDT_SPI          0
#define VMM_FDT_PPI          1
#define VMM_FDT_LEVEL_HIGH   4
#define VMM_FDT_PPI_CPUS(nr) (((1u << (nr)) - 1) << 8)

int vmm_fdt_cells(void *fdt, const char *name, const uint32_t *cells, size_t nr);
int vmm_fdt_reg(void *fdt, const uint64_t *values, size_t nr);

/* Begins "name@base" with its reg. */
int vmm_fdt_begin(void *fdt, const char *name, uint64_t base, uint64_t size);

/* An "interrupts" with one SPI, level high. @intid is the INTID, 32 or more. */
int vmm_fdt_spi(void *fdt, unsigned int intid);

#define VMM_FDT_CELLS(fdt, name, ...)                             \
	vmm_fdt_cells(fdt, name, (const uint32_t[]){__VA_ARGS__}, \
		      sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* Runs libfdt calls until one fails. */
#define VMM_FDT_TRY(call)                \
	do {                             \
		const int err_ = (call); \
		if (err_)                \
			return err_;     \
	} while (0)

#endif
