/* SPDX-License-Identifier: MIT */
/*
 * The board: the memory map on the bus, and what the device tree says, read back with libfdt.
 */
#include "fake_kvm.h"
#include "support.h"
#include "vmm/board.h"
#include "vmm/fdt.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	struct vmm_vm vm;
	struct vmm_loop loop;
	struct vmm_memory mem;
	struct vmm_board board;
	int system_fd;
	char *disk;
	uint8_t dtb[VMM_FDT_SIZE];
} f;

static void transmit(void *opaque, uint8_t byte)
{
}

static void room(void *opaque)
{
}

static const struct vmm_board_console console = {.transmit = transmit, .room = room};

static int setup(void **state)
{
	static const char bytes[1024];
	struct vmm_disk disks[2];

	memset(&f, 0, sizeof(f));
	fake_reset();
	f.system_fd = fake_kvm.open(NULL);
	f.disk = make_file(bytes, sizeof(bytes));
	if (vmm_disk_open(&disks[0], f.disk, true) || vmm_disk_open(&disks[1], f.disk, true))
		return -1;
	if (vmm_loop_init(&f.loop) || vmm_memory_create(&f.mem, BOARD_RAM, 5ull << 30))
		return -1;
	if (vmm_vm_create(&f.vm, &fake_kvm, f.system_fd, &f.mem, 3, &f.loop, NULL))
		return -1;
	return vmm_board_create(&f.board, &f.vm, &console, disks, 2);
}

static int teardown(void **state)
{
	vmm_vm_destroy(&f.vm);
	vmm_memory_destroy(&f.mem);
	vmm_loop_destroy(&f.loop);
	close(f.system_fd);
	drop_file(f.disk);
	return 0;
}

static int node(const char *path)
{
	const int offset = fdt_path_offset(f.dtb, path);

	if (offset < 0)
		fail_msg("%s is not there: %s", path, fdt_strerror(offset));
	return offset;
}

static void has_string(const char *path, const char *name, const char *value)
{
	int len;
	const char *p = fdt_getprop(f.dtb, node(path), name, &len);

	assert_non_null(p);
	if (fdt_stringlist_search(f.dtb, node(path), name, value) < 0)
		fail_msg("%s of %s is '%s', not '%s'", name, path, p, value);
}

static void expect_cells(const char *path, const char *name, unsigned int nr, const uint32_t *cells)
{
	int len;
	const fdt32_t *p = fdt_getprop(f.dtb, node(path), name, &len);

	assert_non_null(p);
	assert_int_equal(len, nr * 4);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(fdt32_to_cpu(p[i]), cells[i]);
}

#define CELLS(path, name, ...)                                                \
	expect_cells(path, name, sizeof((const uint32_t[]){__VA_ARGS__}) / 4, \
		     (const uint32_t[]){__VA_ARGS__})

static void build(const struct vmm_board_tree *tree)
{
	assert_int_equal(vmm_board_fdt(&f.vm, tree, f.dtb, sizeof(f.dtb)), 0);
	assert_int_equal(fdt_check_full(f.dtb, sizeof(f.dtb)), 0);
}

static void tree_of_the_board(void **state)
{
	const struct vmm_board_tree tree = {
		.append = "console=ttyAMA0",
		.initrd_start = 0x44000000,
		.initrd_end = 0x44123456,
	};

	build(&tree);
	CELLS("/", "#address-cells", 2);
	CELLS("/", "#size-cells", 2);
	CELLS("/memory@40000000", "reg", 0, 0x40000000, 1, 0x40000000);
	has_string("/memory@40000000", "device_type", "memory");
	has_string("/psci", "compatible", "arm,psci-1.0");
	has_string("/psci", "compatible", "arm,psci-0.2");
	has_string("/psci", "method", "hvc");
	CELLS("/cpus/cpu@0", "reg", 0, 0);
	CELLS("/cpus/cpu@2", "reg", 0, 2);
	has_string("/cpus/cpu@2", "enable-method", "psci");
	assert_true(fdt_path_offset(f.dtb, "/cpus/cpu@3") < 0);
	has_string("/timer", "compatible", "arm,armv8-timer");
	/* PPIs of INTIDs 29, 30, 27, 26; three CPUs; level, active high */
	CELLS("/timer", "interrupts", 1, 13, 0x704, 1, 14, 0x704, 1, 11, 0x704, 1, 10, 0x704);
	has_string("/pmu", "compatible", "arm,armv8-pmuv3");
	CELLS("/pmu", "interrupts", 1, 7, 0x704);
	has_string("/interrupt-controller@8000000", "compatible", "arm,cortex-a15-gic");
	CELLS("/interrupt-controller@8000000", "reg", 0, 0x08000000, 0, 0x1000, 0, 0x08010000, 0,
	      0x2000);
	CELLS("/interrupt-controller@8000000", "#interrupt-cells", 3);
	CELLS("/", "interrupt-parent",
	      fdt_get_phandle(f.dtb, node("/interrupt-controller@8000000")));
	has_string("/pl011@9000000", "compatible", "arm,pl011");
	CELLS("/pl011@9000000", "interrupts", 0, 1, 4);
	CELLS("/pl011@9000000", "reg", 0, 0x09000000, 0, 0x1000);
	CELLS("/pl011@9000000", "clocks", fdt_get_phandle(f.dtb, node("/apb-pclk")),
	      fdt_get_phandle(f.dtb, node("/apb-pclk")));
	has_string("/pl031@9010000", "compatible", "arm,pl031");
	CELLS("/pl031@9010000", "interrupts", 0, 2, 4);
	has_string("/virtio_mmio@a000000", "compatible", "virtio,mmio");
	CELLS("/virtio_mmio@a000000", "interrupts", 0, 16, 4);
	CELLS("/virtio_mmio@a000200", "reg", 0, 0x0a000200, 0, 0x200);
	CELLS("/virtio_mmio@a000200", "interrupts", 0, 17, 4);
	assert_non_null(fdt_getprop(f.dtb, node("/virtio_mmio@a000200"), "dma-coherent", NULL));
	assert_true(fdt_path_offset(f.dtb, "/virtio_mmio@a000400") < 0);
	has_string("/chosen", "bootargs", "console=ttyAMA0");
	has_string("/chosen", "stdout-path", "/pl011@9000000");
	CELLS("/chosen", "linux,initrd-start", 0, 0x44000000);
	CELLS("/chosen", "linux,initrd-end", 0, 0x44123456);
}

static void seeds_differ(void **state)
{
	const struct vmm_board_tree tree = {0};
	uint8_t first[40];
	int len;

	build(&tree);
	assert_null(fdt_getprop(f.dtb, node("/chosen"), "bootargs", NULL));
	assert_null(fdt_getprop(f.dtb, node("/chosen"), "linux,initrd-start", NULL));
	memcpy(first, fdt_getprop(f.dtb, node("/chosen"), "rng-seed", &len), 32);
	assert_int_equal(len, 32);
	memcpy(first + 32, fdt_getprop(f.dtb, node("/chosen"), "kaslr-seed", &len), 8);
	assert_int_equal(len, 8);
	build(&tree);
	assert_memory_not_equal(first, fdt_getprop(f.dtb, node("/chosen"), "rng-seed", NULL), 32);
	assert_memory_not_equal(first + 32, fdt_getprop(f.dtb, node("/chosen"), "kaslr-seed", NULL),
				8);
}

static void no_pmu_no_node(void **state)
{
	const struct vmm_board_tree tree = {0};

	f.vm.has_pmu = false;
	build(&tree);
	assert_true(fdt_path_offset(f.dtb, "/pmu") < 0);
}

static void long_command_line(void **state)
{
	static char text[VMM_FDT_SIZE + 1];
	const struct vmm_board_tree tree = {.append = text};

	memset(text, 'a', sizeof(text) - 1);
	assert_true(vmm_board_fdt(&f.vm, &tree, f.dtb, sizeof(f.dtb)) < 0);
	text[4000] = 0;
	build(&tree);
	has_string("/chosen", "bootargs", text);
}

/* A tree of the user's: memory and /chosen become this boot's, the rest stays. */
static void patches_a_tree(void **state)
{
	const struct vmm_board_tree tree = {.append = "new", .initrd_start = 1, .initrd_end = 2};
	const fdt32_t reg[2] = {0};
	int memory;

	assert_int_equal(fdt_create_empty_tree(f.dtb, sizeof(f.dtb)), 0);
	fdt_setprop_u32(f.dtb, 0, "#address-cells", 2);
	fdt_setprop_u32(f.dtb, 0, "#size-cells", 2);
	memory = fdt_add_subnode(f.dtb, 0, "memory@0");
	fdt_setprop_string(f.dtb, memory, "device_type", "memory");
	fdt_setprop(f.dtb, memory, "reg", reg, sizeof(reg));
	fdt_add_subnode(f.dtb, 0, "mine");
	fdt_setprop_string(f.dtb, fdt_add_subnode(f.dtb, 0, "chosen"), "bootargs", "old");
	assert_int_equal(fdt_pack(f.dtb), 0);
	assert_int_equal(vmm_board_patch_fdt(&f.vm, &tree, f.dtb, sizeof(f.dtb)), 0);
	assert_int_equal(fdt_check_full(f.dtb, sizeof(f.dtb)), 0);
	assert_true(fdt_path_offset(f.dtb, "/memory@0") < 0);
	CELLS("/memory@40000000", "reg", 0, 0x40000000, 1, 0x40000000);
	has_string("/chosen", "bootargs", "new");
	CELLS("/chosen", "linux,initrd-end", 0, 2);
	node("/mine");
	/* without --append and an initrd the tree's own command line stays, and no stale initrd */
	assert_int_equal(
		vmm_board_patch_fdt(&f.vm, &(struct vmm_board_tree){0}, f.dtb, sizeof(f.dtb)), 0);
	has_string("/chosen", "bootargs", "new");
	assert_null(fdt_getprop(f.dtb, node("/chosen"), "linux,initrd-end", NULL));
}

static void patches_narrow_cells(void **state)
{
	assert_int_equal(fdt_create_empty_tree(f.dtb, sizeof(f.dtb)), 0);
	fdt_setprop_u32(f.dtb, 0, "#address-cells", 1);
	fdt_setprop_u32(f.dtb, 0, "#size-cells", 1);
	/* 5 GiB have no room in 32 bits */
	assert_true(vmm_board_patch_fdt(&f.vm, &(struct vmm_board_tree){0}, f.dtb, sizeof(f.dtb)) <
		    0);
	f.mem.size = 1ull << 30;
	assert_int_equal(
		vmm_board_patch_fdt(&f.vm, &(struct vmm_board_tree){0}, f.dtb, sizeof(f.dtb)), 0);
	CELLS("/memory@40000000", "reg", 0x40000000, 0x40000000);
	f.mem.size = 5ull << 30;
}

/* ---- The bus and the memory ------------------------------------------------------------- */

static void memory_map(void **state)
{
	static const struct {
		uint64_t addr;
		unsigned int size;
		const char *name; /* or NULL for nothing */
	} table[] = {
		{0x08000000, 4, "gic-dist"},
		{0x08000fff, 1, "gic-dist"},
		{0x08000ffd, 4, NULL},
		{0x08001000, 4, NULL},
		{0x08010000, 4, "gic-cpu"},
		{0x08011ffc, 4, "gic-cpu"},
		{0x08012000, 4, NULL},
		{0x07ffffff, 1, NULL},
		{0x09000000, 4, "pl011"},
		{0x09000fff, 1, "pl011"},
		{0x09001000, 1, NULL},
		{0x09010000, 4, "pl031"},
		{0x0a000000, 4, "disk0"},
		{0x0a0001ff, 1, "disk0"},
		{0x0a000200, 8, "disk1"},
		{0x0a000400, 4, NULL},
		{0, 8, NULL},
		{UINT64_MAX, 1, NULL},
		{UINT64_MAX - 3, 8, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const int found = vmm_bus_find(&f.vm.bus, table[i].addr, table[i].size);

		assert_int_equal(found >= 0, table[i].name != NULL);
		if (found >= 0)
			assert_string_equal(f.vm.bus.regions[found].name, table[i].name);
	}
}

static void bus_refuses(void **state)
{
	struct vmm_bus bus = {0};
	struct vmm_region region = {.base = 0x1000, .size = 0x1000};

	assert_int_equal(vmm_bus_map(&bus, &region), 0);
	region.base = 0x1fff;
	assert_true(vmm_bus_map(&bus, &region) < 0);
	region.base = 0x800;
	assert_true(vmm_bus_map(&bus, &region) < 0);
	region.size = 0;
	assert_true(vmm_bus_map(&bus, &region) < 0);
	region.base = UINT64_MAX - 5;
	region.size = 100;
	assert_true(vmm_bus_map(&bus, &region) < 0);
	region.size = 6; /* the last bytes of all */
	assert_int_equal(vmm_bus_map(&bus, &region), 0);
	region.base = 0;
	region.size = 1;
	while (bus.nr < VMM_BUS_REGIONS) {
		assert_int_equal(vmm_bus_map(&bus, &region), 0);
		region.base++;
	}
	assert_true(vmm_bus_map(&bus, &region) < 0);
}

static void memory_edges(void **state)
{
	const uint64_t end = BOARD_RAM + (5ull << 30);

	assert_ptr_equal(vmm_memory_at(&f.mem, BOARD_RAM, 1), f.mem.host);
	assert_non_null(vmm_memory_at(&f.mem, end - 1, 1));
	assert_non_null(vmm_memory_at(&f.mem, end, 0));
	assert_null(vmm_memory_at(&f.mem, end - 1, 2));
	assert_null(vmm_memory_at(&f.mem, BOARD_RAM - 1, 1));
	assert_null(vmm_memory_at(&f.mem, BOARD_RAM - 1, 2));
	assert_null(vmm_memory_at(&f.mem, BOARD_RAM, UINT64_MAX));
	assert_null(vmm_memory_at(&f.mem, UINT64_MAX, 2));
	assert_int_equal((uintptr_t)f.mem.host % 0x200000, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tree_of_the_board), TEST(seeds_differ),
		TEST(no_pmu_no_node),    TEST(long_command_line),
		TEST(patches_a_tree),    TEST(patches_narrow_cells),
		TEST(memory_map),        cmocka_unit_test(bus_refuses),
		TEST(memory_edges),
	};

	return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
