/* SPDX-License-Identifier: MIT */
/* The board, and its device tree. Bindings: Linux, Documentation/devicetree/bindings. */
#include "vmm/board.h"
#include "vmm/fdt.h"
#include "vmm/pl011.h"
#include "vmm/pl031.h"
#include "vmm/report.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CLOCK_HZ 24000000 /* of the PrimeCells' APB clock */

/* The PPIs of the generic timers and of the PMU; numbers count from INTID 16. */
enum { PPI_SECURE = 13, PPI_PHYSICAL = 14, PPI_VIRTUAL = 11, PPI_HYPERVISOR = 10, PPI_PMU = 7 };

int vmm_board_create(struct vmm_board *board, struct vmm_vm *vm,
		     const struct vmm_board_console *console, const struct vmm_disk *disks,
		     unsigned int nr_disks)
{
	const struct vmm_pl011_config uart = {
		.base = BOARD_PL011,
		.line = vmm_irqchip_line(&vm->irqchip, BOARD_PL011_IRQ, "pl011"),
		.pace = console->pace,
		.transmit = console->transmit,
		.room = console->room,
		.opaque = console->opaque,
	};
	struct vmm_line line = vmm_irqchip_line(&vm->irqchip, BOARD_PL031_IRQ, "pl031");
	struct vmm_device *device;
	unsigned int made = 0;
	int err = vmm_pl011_create(&uart, &vm->bus, &board->uart);

	if (!err) {
		vmm_vm_add_device(vm, board->uart);
		err = vmm_pl031_create(BOARD_PL031, &line, &vm->bus, vm->loop, &device);
	}
	if (!err)
		vmm_vm_add_device(vm, device);
	while (!err && made < nr_disks) {
		line = vmm_irqchip_line(&vm->irqchip, BOARD_VIRTIO_IRQ + made, NULL);
		err = vmm_virtio_blk_create(made, BOARD_VIRTIO + made * VIRTIO_MMIO_SIZE, &line,
					    vm->memory, &disks[made], &vm->bus, &device);
		if (!err) {
			vmm_vm_add_device(vm, device);
			vm->irqchip.names[line.intid] = device->name;
		}
		made++;
	}
	while (made < nr_disks)
		close(disks[made++].fd);
	if (err)
		vmm_report("the devices cannot be made: %s", strerror(-err));
	return err;
}

static int fdt_psci(void *fdt)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	VMM_FDT_TRY(fdt_begin_node(fdt, "psci"));
	VMM_FDT_TRY(fdt_property(fdt, "compatible", compatible, sizeof(compatible)));
	VMM_FDT_TRY(fdt_property_string(fdt, "method", "hvc"));
	return fdt_end_node(fdt);
}

static int fdt_cpus(const struct vmm_vm *vm, void *fdt)
{
	VMM_FDT_TRY(fdt_begin_node(fdt, "cpus"));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#address-cells", 2));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#size-cells", 0));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		char name[32];

		snprintf(name, sizeof(name), "cpu@%llx", (unsigned long long)vm->vcpus[i].mpidr);
		VMM_FDT_TRY(fdt_begin_node(fdt, name));
		VMM_FDT_TRY(fdt_property_string(fdt, "device_type", "cpu"));
		VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "arm,armv8"));
		VMM_FDT_TRY(fdt_property_string(fdt, "enable-method", "psci"));
		VMM_FDT_TRY(fdt_property_u64(fdt, "reg", vm->vcpus[i].mpidr));
		VMM_FDT_TRY(fdt_end_node(fdt));
	}
	return fdt_end_node(fdt);
}

static int fdt_timer(const struct vmm_vm *vm, void *fdt)
{
	const uint32_t flags = VMM_FDT_PPI_CPUS(vm->nr_vcpus) | VMM_FDT_LEVEL_HIGH;

	VMM_FDT_TRY(fdt_begin_node(fdt, "timer"));
	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "arm,armv8-timer"));
	VMM_FDT_TRY(VMM_FDT_CELLS(fdt, "interrupts", VMM_FDT_PPI, PPI_SECURE, flags, VMM_FDT_PPI,
				  PPI_PHYSICAL, flags, VMM_FDT_PPI, PPI_VIRTUAL, flags, VMM_FDT_PPI,
				  PPI_HYPERVISOR, flags));
	VMM_FDT_TRY(fdt_property(fdt, "always-on", NULL, 0));
	return fdt_end_node(fdt);
}

static int fdt_pmu(const struct vmm_vm *vm, void *fdt)
{
	const uint32_t flags = VMM_FDT_PPI_CPUS(vm->nr_vcpus) | VMM_FDT_LEVEL_HIGH;

	if (!vm->has_pmu)
		return 0;
	VMM_FDT_TRY(fdt_begin_node(fdt, "pmu"));
	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "arm,armv8-pmuv3"));
	VMM_FDT_TRY(VMM_FDT_CELLS(fdt, "interrupts", VMM_FDT_PPI, PPI_PMU, flags));
	return fdt_end_node(fdt);
}

static int fdt_clock(void *fdt)
{
	VMM_FDT_TRY(fdt_begin_node(fdt, "apb-pclk"));
	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "fixed-clock"));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#clock-cells", 0));
	VMM_FDT_TRY(fdt_property_u32(fdt, "clock-frequency", CLOCK_HZ));
	VMM_FDT_TRY(fdt_property_u32(fdt, "phandle", VMM_PHANDLE_CLOCK));
	return fdt_end_node(fdt);
}

static int fdt_memory(const struct vmm_vm *vm, void *fdt)
{
	VMM_FDT_TRY(vmm_fdt_begin(fdt, "memory", vm->memory->base, vm->memory->size));
	VMM_FDT_TRY(fdt_property_string(fdt, "device_type", "memory"));
	return fdt_end_node(fdt);
}

static int fdt_root(const struct vmm_vm *vm, void *fdt)
{
	char uart[32];

	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "linux,dummy-virt"));
	VMM_FDT_TRY(fdt_property_string(fdt, "model", "armature"));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#address-cells", 2));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#size-cells", 2));
	VMM_FDT_TRY(fdt_property_u32(fdt, "interrupt-parent", VMM_PHANDLE_GIC));
	snprintf(uart, sizeof(uart), "/pl011@%llx", (unsigned long long)BOARD_PL011);
	VMM_FDT_TRY(fdt_begin_node(fdt, "aliases"));
	VMM_FDT_TRY(fdt_property_string(fdt, "serial0", uart));
	VMM_FDT_TRY(fdt_end_node(fdt));
	VMM_FDT_TRY(fdt_begin_node(fdt, "chosen"));
	VMM_FDT_TRY(fdt_property_string(fdt, "stdout-path", uart));
	VMM_FDT_TRY(fdt_end_node(fdt));
	VMM_FDT_TRY(fdt_memory(vm, fdt));
	VMM_FDT_TRY(fdt_psci(fdt));
	VMM_FDT_TRY(fdt_cpus(vm, fdt));
	VMM_FDT_TRY(fdt_timer(vm, fdt));
	VMM_FDT_TRY(fdt_pmu(vm, fdt));
	VMM_FDT_TRY(fdt_clock(fdt));
	for (const struct vmm_device *d = vm->devices; d; d = d->next) {
		if (d->fdt)
			VMM_FDT_TRY(d->fdt(d, fdt));
	}
	return 0;
}

static int build(const struct vmm_vm *vm, void *buf, size_t size)
{
	VMM_FDT_TRY(fdt_create(buf, (int)size));
	VMM_FDT_TRY(fdt_finish_reservemap(buf));
	VMM_FDT_TRY(fdt_begin_node(buf, ""));
	VMM_FDT_TRY(fdt_root(vm, buf));
	VMM_FDT_TRY(fdt_end_node(buf));
	return fdt_finish(buf);
}

/* A node of the root, made when it is not there. Return: its offset, or a negative libfdt error. */
static int root_node(void *fdt, const char *name)
{
	const int node = fdt_subnode_offset(fdt, 0, name);

	return node == -FDT_ERR_NOTFOUND ? fdt_add_subnode(fdt, 0, name) : node;
}

/* Randomness for this boot; a host that has none now gives a tree without. */
static int patch_seeds(void *fdt, int chosen)
{
	uint8_t rng[32];
	uint64_t kaslr;

	if (getrandom(rng, sizeof(rng), GRND_NONBLOCK) != sizeof(rng) ||
	    getrandom(&kaslr, sizeof(kaslr), GRND_NONBLOCK) != sizeof(kaslr))
		return 0;
	VMM_FDT_TRY(fdt_setprop(fdt, chosen, "rng-seed", rng, sizeof(rng)));
	return fdt_setprop_u64(fdt, chosen, "kaslr-seed", kaslr);
}

static int patch_chosen(void *fdt, const struct vmm_board_tree *tree)
{
	const int chosen = root_node(fdt, "chosen");

	if (chosen < 0)
		return chosen;
	if (tree->append)
		VMM_FDT_TRY(fdt_setprop_string(fdt, chosen, "bootargs", tree->append));
	if (tree->initrd_end) {
		VMM_FDT_TRY(fdt_setprop_u64(fdt, chosen, "linux,initrd-start", tree->initrd_start));
		VMM_FDT_TRY(fdt_setprop_u64(fdt, chosen, "linux,initrd-end", tree->initrd_end));
	} else {
		fdt_delprop(fdt, chosen, "linux,initrd-start");
		fdt_delprop(fdt, chosen, "linux,initrd-end");
	}
	return patch_seeds(fdt, chosen);
}

/* All nodes of type memory go, and one that is ours comes. */
static int patch_memory(const struct vmm_vm *vm, void *fdt)
{
	const uint64_t values[] = {vm->memory->base, vm->memory->size};
	const int cells[] = {fdt_address_cells(fdt, 0), fdt_size_cells(fdt, 0)};
	static const char type[] = "memory";
	fdt32_t reg[4];
	unsigned int n = 0;
	char name[32];
	int node;

	for (int i = 0; i < 2; i++) {
		if (cells[i] < 1 || cells[i] > 2)
			return -FDT_ERR_BADNCELLS;
		if (cells[i] == 1 && values[i] >> 32)
			return -FDT_ERR_BADVALUE;
		if (cells[i] == 2)
			reg[n++] = cpu_to_fdt32((uint32_t)(values[i] >> 32));
		reg[n++] = cpu_to_fdt32((uint32_t)values[i]);
	}
	while ((node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", type, sizeof(type))) >=
	       0)
		VMM_FDT_TRY(fdt_del_node(fdt, node));
	snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)vm->memory->base);
	node = root_node(fdt, name);
	if (node < 0)
		return node;
	VMM_FDT_TRY(fdt_setprop_string(fdt, node, "device_type", type));
	return fdt_setprop(fdt, node, "reg", reg, (int)(n * sizeof(*reg)));
}

int vmm_board_patch_fdt(const struct vmm_vm *vm, const struct vmm_board_tree *tree, void *buf,
			size_t size)
{
	VMM_FDT_TRY(fdt_open_into(buf, buf, (int)size));
	VMM_FDT_TRY(patch_memory(vm, buf));
	VMM_FDT_TRY(patch_chosen(buf, tree));
	return fdt_pack(buf);
}

int vmm_board_fdt(const struct vmm_vm *vm, const struct vmm_board_tree *tree, void *buf,
		  size_t size)
{
	VMM_FDT_TRY(build(vm, buf, size));
	VMM_FDT_TRY(fdt_open_into(buf, buf, (int)size));
	VMM_FDT_TRY(patch_chosen(buf, tree));
	return fdt_pack(buf);
}
