/* SPDX-License-Identifier: MIT */
/*
 * The consumer's side of the user-space interrupt ABI: a scripted KVM changes device levels on each
 * kind of return, and the VMM's GIC must follow every one, before the exit is handled.
 */
#include "fake_kvm.h"
#include "support.h"
#include "vmm/board.h"
#include "vmm/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define VTIMER 1u
#define PTIMER 2u
#define PMU    4u

#define GICD(offset) (BOARD_GIC_DIST + (offset))
#define GICC(offset) (BOARD_GIC_CPU + (offset))
#define GICC_IAR     GICC(0x00c)
#define GICC_EOIR    GICC(0x010)
#define SPURIOUS     0x3ff

static struct {
	struct vmm_vm vm;
	struct vmm_loop loop;
	struct vmm_memory mem;
	struct vmm_board board;
	int system_fd;
	unsigned int sent;
	unsigned int reloads;
} f;

static const struct {
	uint64_t bit;
	unsigned int intid;
} devices[] = {{VTIMER, 27}, {PTIMER, 30}, {PMU, 23}};

static void transmit(void *opaque, uint8_t byte)
{
	f.sent++;
}

static void room(void *opaque)
{
}

static const struct vmm_board_console console = {.transmit = transmit, .room = room};

static int reload(void *opaque)
{
	f.reloads++;
	return 0;
}

/* All PPIs enabled on all vCPUs, at one priority. */
static void enable_gic(void)
{
	armature_gic_dist_write(f.vm.irqchip.gic, 0, 0x000, 4, 1);
	for (unsigned int cpu = 0; cpu < f.vm.nr_vcpus; cpu++) {
		armature_gic_dist_write(f.vm.irqchip.gic, cpu, 0x100, 4, 0xffff0000);
		armature_gic_cpu_write(f.vm.irqchip.gic, cpu, 0x004, 4, 0xf0);
		armature_gic_cpu_write(f.vm.irqchip.gic, cpu, 0x000, 4, 1);
	}
}

static int make(unsigned int cpus)
{
	memset(&f, 0, sizeof(f));
	fake_reset();
	f.system_fd = fake_kvm.open(NULL);
	if (vmm_loop_init(&f.loop) || vmm_memory_create(&f.mem, BOARD_RAM, 0x1000000))
		return -1;
	if (vmm_vm_create(&f.vm, &fake_kvm, f.system_fd, &f.mem, cpus, &f.loop, NULL) ||
	    vmm_board_create(&f.board, &f.vm, &console, NULL, 0))
		return -1;
	f.vm.reload = reload;
	f.vm.entry = 0x40080000;
	enable_gic();
	fake.nr_log = 0;
	return 0;
}

static int setup1(void **state)
{
	return make(1);
}

static int setup2(void **state)
{
	return make(2);
}

static int teardown(void **state)
{
	vmm_vm_destroy(&f.vm);
	vmm_memory_destroy(&f.mem);
	vmm_loop_destroy(&f.loop);
	close(f.system_fd);
	return 0;
}

static struct fake_row mmio_read(uint64_t levels, uint64_t addr)
{
	return (struct fake_row){.levels = levels, .reason = KVM_EXIT_MMIO, .addr = addr, .len = 4};
}

static struct fake_row mmio_write(uint64_t levels, uint64_t addr, uint64_t data)
{
	return (struct fake_row){.levels = levels,
				 .reason = KVM_EXIT_MMIO,
				 .addr = addr,
				 .len = 4,
				 .is_write = true,
				 .data = data};
}

static struct fake_row failed(uint64_t levels, int error)
{
	return (struct fake_row){.levels = levels, .error = error};
}

static bool step(unsigned int cpu)
{
	return vmm_vcpu_step(&f.vm.vcpus[cpu]);
}

static bool irq(unsigned int cpu)
{
	return fake.pins[cpu][0];
}

/* The GIC's view of a PPI's input: pending with level, whatever the CPU interface does. */
static bool pending(unsigned int cpu, unsigned int intid)
{
	return armature_gic_dist_read(f.vm.irqchip.gic, cpu, 0x200, 4) >> intid & 1;
}

/* Every way that KVM_RUN comes back, as a row that carries @levels. */
static const struct {
	const char *name;
	struct fake_row row;
	bool goes_on;
} kinds[] = {
	{"-EINTR", {.error = EINTR}, true},
	{"-EAGAIN", {.error = EAGAIN}, true},
	{"INTR", {.reason = KVM_EXIT_INTR}, true},
	{"MMIO read", {.reason = KVM_EXIT_MMIO, .addr = BOARD_PL011 + 0x18, .len = 4}, true},
	{"MMIO write",
	 {.reason = KVM_EXIT_MMIO, .addr = BOARD_PL011, .len = 1, .is_write = true, .data = 'x'},
	 true},
	{"MMIO where nothing is", {.reason = KVM_EXIT_MMIO, .addr = 0x123000, .len = 8}, true},
	{"system event, shutdown",
	 {.reason = KVM_EXIT_SYSTEM_EVENT, .event = KVM_SYSTEM_EVENT_SHUTDOWN},
	 true},
	{"system event, reset",
	 {.reason = KVM_EXIT_SYSTEM_EVENT, .event = KVM_SYSTEM_EVENT_RESET},
	 true},
	{"system event, crash",
	 {.reason = KVM_EXIT_SYSTEM_EVENT, .event = KVM_SYSTEM_EVENT_CRASH},
	 false},
	{"unknown exit", {.reason = KVM_EXIT_HYPERV}, false},
	{"-ENOSYS", {.error = ENOSYS}, false},
	{"-EFAULT", {.error = EFAULT}, false},
};

static void follows_on_each_kind(void **state)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t d = 0; d < ARRAY_SIZE(devices); d++) {
			struct fake_row row = kinds[k].row;

			fake.nr_rows[0] = fake.next[0] = 0;
			row.levels = devices[d].bit;
			fake_add(0, row);
			row.levels = 0;
			fake_add(0, row);
			capture_begin();
			assert_int_equal(step(0), kinds[k].goes_on);
			if (!pending(0, devices[d].intid) || !irq(0))
				fail_msg("a rise with %s is lost", kinds[k].name);
			for (size_t other = 0; other < ARRAY_SIZE(devices); other++)
				assert_int_equal(pending(0, devices[other].intid), other == d);
			step(0);
			capture_end();
			if (pending(0, devices[d].intid) || irq(0))
				fail_msg("a fall with %s is lost", kinds[k].name);
		}
	}
}

/* Also the run that only completes an MMIO access, before a reset. */
static void follows_on_completion(void **state)
{
	fake_add(0, mmio_read(0, GICC_IAR));
	step(0);
	fake.run[0]->s.regs.device_irq_level = PTIMER; /* what a KVM would publish meanwhile */
	vmm_vcpu_complete_mmio(&f.vm.vcpus[0]);
	assert_true(pending(0, 30));
	assert_false(fake.mmio_open[0]);
	assert_int_equal(fake.run[0]->immediate_exit, 0);
}

/* One timer interrupt of Linux's driver: the rise, IAR, EOIR with the fall, IAR. */
static void eoi_that_carries_the_fall(void **state)
{
	fake_add(0, failed(VTIMER, EINTR));
	fake_add(0, mmio_read(VTIMER, GICC_IAR));
	fake_add(0, mmio_write(0, GICC_EOIR, 27));
	fake_add(0, mmio_read(0, GICC_IAR));
	step(0);
	assert_true(irq(0));
	step(0);
	assert_false(irq(0));
	assert_int_equal(fake.run[0]->mmio.data[0], 27);
	assert_int_equal(fake.pin_changes[0][0], 2);
	step(0);
	assert_false(pending(0, 27));
	step(0);
	assert_int_equal(fake.run[0]->mmio.data[0] | fake.run[0]->mmio.data[1] << 8, SPURIOUS);
	assert_int_equal(fake.pin_changes[0][0], 2); /* at no time did it rise again */
	assert_int_equal(f.vm.irqchip.delivered[27], 1);
}

/* The other way round: while the level stays, the end of the interrupt makes it pending again. */
static void eoi_while_the_level_stays(void **state)
{
	fake_add(0, failed(VTIMER, EINTR));
	fake_add(0, mmio_read(VTIMER, GICC_IAR));
	fake_add(0, mmio_write(VTIMER, GICC_EOIR, 27));
	fake_add(0, failed(0, EINTR));
	step(0);
	step(0);
	step(0);
	assert_true(irq(0));
	step(0);
	assert_false(irq(0));
}

/* The rise may come with the exit that acknowledges another, or with the read of IAR itself. */
static void rise_with_the_acknowledge(void **state)
{
	fake_add(0, mmio_read(PTIMER, GICC_IAR));
	step(0);
	assert_int_equal(fake.run[0]->mmio.data[0], 30);
	assert_false(irq(0));
}

/* After a failure exit_reason and the union are those of an earlier exit. */
static void stale_exit_is_not_handled(void **state)
{
	fake_add(0, mmio_write(0, BOARD_PL011, 'x'));
	fake_add(0, failed(0, EINTR));
	fake_add(0, failed(VTIMER, EAGAIN));
	fake_add(0, failed(0, EINTR));
	for (unsigned int i = 0; i < 4; i++)
		assert_true(step(0));
	assert_int_equal(f.sent, 1);
	assert_int_equal(f.vm.vcpus[0].stats.returns[VMM_RETURN_MMIO], 1);
	assert_int_equal(f.vm.vcpus[0].stats.returns[VMM_RETURN_INTR], 1);
	assert_int_equal(f.vm.vcpus[0].stats.returns[VMM_RETURN_LEVEL], 1);
	assert_int_equal(f.vm.vcpus[0].stats.returns[VMM_RETURN_AGAIN], 1);
}

static void stale_system_event_is_not_handled(void **state)
{
	fake_add(0, failed(0, EINTR));
	fake.run[0]->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	fake.run[0]->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
	assert_true(step(0));
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_NONE);
}

static void unknown_bits_are_ignored(void **state)
{
	fake_add(0, failed(~(uint64_t)(VTIMER | PTIMER | PMU), EINTR));
	fake_add(0, failed(~(uint64_t)(PTIMER | PMU), EINTR));
	fake_add(0, failed(VTIMER, EINTR));
	step(0);
	assert_false(irq(0));
	step(0);
	assert_true(pending(0, 27));
	assert_int_equal(fake.pin_changes[0][0], 1);
	step(0);
	assert_true(pending(0, 27));
	assert_int_equal(fake.pin_changes[0][0], 1);
}

static void several_at_once(void **state)
{
	fake_add(0, failed(VTIMER | PTIMER | PMU, EINTR));
	fake_add(0, failed(PTIMER, EINTR));
	step(0);
	assert_true(pending(0, 27) && pending(0, 30) && pending(0, 23));
	step(0);
	assert_true(!pending(0, 27) && pending(0, 30) && !pending(0, 23));
	assert_int_equal(f.vm.vcpus[0].stats.rises[VMM_LEVEL_VTIMER], 1);
	assert_int_equal(f.vm.vcpus[0].stats.falls[VMM_LEVEL_PMU], 1);
	assert_int_equal(f.vm.vcpus[0].stats.falls[VMM_LEVEL_PTIMER], 0);
}

static void no_cross_talk(void **state)
{
	fake_add(0, failed(VTIMER, EINTR));
	fake_add(1, failed(PMU, EINTR));
	fake_add(0, failed(0, EINTR));
	step(0);
	assert_true(irq(0) && !irq(1));
	step(1);
	assert_true(pending(1, 23) && !pending(0, 23) && !pending(1, 27));
	step(0);
	assert_true(!irq(0) && irq(1));
}

/* ---- Ends and resets -------------------------------------------------------------------- */

static void device_is_told_apart(void **state)
{
	const char *said;

	fake_add(0, failed(0, ENOSYS));
	capture_begin();
	assert_false(step(0));
	said = capture_end();
	assert_int_equal(count_lines(said), 1);
	assert_non_null(strstr(said, "0x40081234")); /* the PC */
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_ERROR);
}

/* Neighbours are folded into one message, and eight messages last. */
static void nothing_there(void **state)
{
	const char *said;

	for (unsigned int i = 0; i < 20; i++)
		fake_add(0, mmio_read(0, 0x20000000 + i * 0xff0));
	fake_add(0, mmio_write(0, 0x20000000, 1));
	fake_add(0, mmio_read(0, BOARD_GIC_DIST + 0xffe)); /* half of it beyond the frame */
	for (unsigned int i = 0; i < 10; i++)
		fake_add(0, mmio_read(0, 0x30000000 + i * 0x100000));
	capture_begin();
	for (unsigned int i = 0; i < 32; i++) {
		assert_true(step(0));
		assert_int_equal(fake.run[0]->mmio.is_write || !fake.run[0]->mmio.data[0], 1);
	}
	said = capture_end();
	assert_int_equal(count_lines(said), 8);
	assert_non_null(strstr(said, "read of 4 bytes at 0x20000000, where nothing is"));
	assert_non_null(strstr(said, "write of 4 bytes at 0x20000000, where nothing is"));
	assert_non_null(
		strstr(said, "0x30400000, where nothing is (PC 0x40081234); more of these"));
	assert_int_equal(f.vm.vcpus[0].stats.unmapped, 32);
}

/* What a KVM tells of an access without a syndrome is told on; the VM ends. */
static void no_syndrome(void **state)
{
	static const struct {
		uint64_t iss, addr;
		const char *text;
	} table[] = {
		{0x40, BOARD_PL011 + 4, "writes 0x9000004 (pl011) in a way"},
		{0x06, 0x20000010, "reads 0x20000010 (nothing is there) in a way"},
	};

	assert_int_equal(fake.nisv, 1); /* it was asked for */
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const uint32_t insn = 0xa9400c22;
		const char *said;

		if (i) {
			teardown(NULL);
			assert_int_equal(setup1(NULL), 0);
		}
		memcpy(vmm_memory_at(&f.mem, 0x40081234, 4), &insn, 4);
		fake_add(0, (struct fake_row){.reason = KVM_EXIT_ARM_NISV,
					      .addr = table[i].addr,
					      .data = table[i].iss});
		capture_begin();
		assert_false(step(0));
		said = capture_end();
		assert_int_equal(count_lines(said), 1);
		assert_non_null(strstr(said, "instruction 0xa9400c22 at PC 0x40081234"));
		if (!strstr(said, table[i].text))
			fail_msg("said: %s", said);
		assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_ERROR);
	}
}

static void serve_until_end(enum vmm_request expected)
{
	enum vmm_request end;

	do {
		vmm_loop_once(&f.loop);
		end = vmm_vm_serve(&f.vm);
	} while (end == VMM_REQUEST_NONE);
	assert_int_equal(end, expected);
}

/* Position in the log of the @nth entry of a kind for a vCPU, or -1. */
static int find(enum fake_what what, unsigned int cpu, unsigned int nth)
{
	for (unsigned int i = 0; i < fake.nr_log; i++) {
		if (fake.log[i].what == what && fake.log[i].cpu == cpu && !nth--)
			return (int)i;
	}
	return -1;
}

/*
 * vCPU 0 raises a line and resets; vCPU 1 sleeps. Then: the MMIO access that was handled last is
 * completed, each is initialised while none runs, the pins are driven again, and it goes on.
 */
static void reset_and_poweroff(void **state)
{
	int init, finish;

	fake_add(0, failed(VTIMER, EINTR));
	fake_add(0, mmio_write(VTIMER, BOARD_PL011, 'x'));
	fake_add(0, (struct fake_row){.levels = VTIMER,
				      .reason = KVM_EXIT_SYSTEM_EVENT,
				      .event = KVM_SYSTEM_EVENT_RESET,
				      .after_others = true});
	fake_add(0, failed(0, EINTR));
	fake_add(0, (struct fake_row){.reason = KVM_EXIT_SYSTEM_EVENT,
				      .event = KVM_SYSTEM_EVENT_SHUTDOWN});
	fake_add(1, mmio_write(0, BOARD_PL011, 'y'));
	assert_int_equal(vmm_vm_start(&f.vm), 0);
	serve_until_end(VMM_REQUEST_POWEROFF);
	vmm_vm_stop(&f.vm);
	assert_int_equal(f.reloads, 1);
	assert_int_equal(f.vm.boots, 2);
	assert_int_equal(f.sent, 2);
	assert_int_equal(fake.init_while_running, 0);
	/* vmm_vm_start() made the first; features: PSCI, PMU, and POWER_OFF for the second vCPU */
	init = find(FAKE_INIT, 0, 1);
	assert_true(init > 0 && find(FAKE_INIT, 0, 2) < 0);
	assert_int_equal(fake.log[init].a, 1 << KVM_ARM_VCPU_PSCI_0_2 | 1 << KVM_ARM_VCPU_PMU_V3);
	assert_int_equal(fake.log[find(FAKE_INIT, 1, 1)].a, 1 << KVM_ARM_VCPU_PSCI_0_2 |
								    1 << KVM_ARM_VCPU_PMU_V3 |
								    1 << KVM_ARM_VCPU_POWER_OFF);
	finish = find(FAKE_FINISH, 1, 0);
	assert_true(finish >= 0 && finish < find(FAKE_INIT, 1, 1));
	assert_int_equal(fake.log[find(FAKE_SET_PC, 0, 1)].a, 0x40080000);
	assert_true(find(FAKE_SET_PC, 1, 0) < 0 || fake.log[find(FAKE_SET_PC, 1, 0)].a == 0);
	assert_true(irq(0) == false); /* the reset GIC has nothing enabled */
}

static struct {
	struct vmm_device device;
	bool quiet;
	unsigned int resets;
} slow;

static bool slow_quiesce(struct vmm_device *device)
{
	return slow.quiet;
}

static void slow_reset(struct vmm_device *device)
{
	assert_true(slow.quiet);
	slow.resets++;
}

static void slow_destroy(struct vmm_device *device)
{
}

/* A reset waits for what a device does on the host, but nobody waits in it: the VM can be ended. */
static void reset_waits_for_devices(void **state)
{
	memset(&slow, 0, sizeof(slow));
	slow.device.name = "slow";
	slow.device.quiesce = slow_quiesce;
	slow.device.reset = slow_reset;
	slow.device.destroy = slow_destroy;
	vmm_vm_add_device(&f.vm, &slow.device);
	assert_ptr_equal(slow.device.loop, &f.loop);
	vmm_vm_request(&f.vm, VMM_REQUEST_RESET);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_NONE);
	assert_int_equal(f.vm.state, VMM_PAUSING);
	assert_int_equal(slow.resets, 0);
	slow.quiet = true;
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_NONE);
	assert_int_equal(f.vm.state, VMM_RUNNING);
	assert_int_equal(slow.resets, 1);
	slow.quiet = false;
	vmm_vm_request(&f.vm, VMM_REQUEST_RESET);
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_NONE);
	vmm_vm_request(&f.vm, VMM_REQUEST_QUIT);
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_QUIT);
	slow.quiet = true;
}

/* An MMIO exit just before a pause is completed with immediate_exit, not run on. */
static void open_access_is_completed(void **state)
{
	int finish;

	fake_add(0, mmio_read(0, BOARD_PL011 + 0x18));
	step(0);
	assert_true(fake.mmio_open[0]);
	vmm_vm_request(&f.vm, VMM_REQUEST_QUIT);
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_QUIT);
	assert_false(vmm_vm_may_run(&f.vm, &f.vm.vcpus[0]));
	finish = find(FAKE_FINISH, 0, 0);
	assert_true(finish > 0);
	assert_int_equal(fake.log[finish - 1].what, FAKE_RUN);
	assert_int_equal(fake.log[finish - 1].a, 1); /* immediate_exit */
	assert_int_equal(fake.read_data[0], 0x97);   /* UARTFR: idle */
}

static void kicks_sleepers(void **state)
{
	assert_int_equal(vmm_vm_start(&f.vm), 0);
	usleep(2000);
	vmm_vm_request(&f.vm, VMM_REQUEST_QUIT);
	serve_until_end(VMM_REQUEST_QUIT);
}

/*
 * A KVM that loses what another thread does to a pin while the vCPU is being loaded, as Linux does:
 * vCPU 1 sleeps, vCPU 0 sends it an SGI, the pin's rise is lost. vCPU 1 must be brought to drive it
 * again.
 */
static void lost_pin_is_driven_again(void **state)
{
	fake.lose_pins_of_others = true;
	fake_add(0, mmio_write(0, GICD(0xf00), 1u << 17 | 5)); /* GICD_SGIR: SGI 5 to CPU 1 */
	fake.rows[0][0].after_sleep = true;
	fake_add(0, failed(0, EINTR));
	armature_gic_dist_write(f.vm.irqchip.gic, 1, 0x100, 4, 0xffff);
	assert_int_equal(vmm_vm_start(&f.vm), 0);
	for (unsigned int i = 0; i < 5000 && !__atomic_load_n(&fake.pins[1][0], __ATOMIC_ACQUIRE);
	     i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&fake.pins[1][0], __ATOMIC_ACQUIRE), 1);
	assert_true(__atomic_load_n(&fake.lost_pins, __ATOMIC_ACQUIRE) > 0);
	vmm_vm_request(&f.vm, VMM_REQUEST_QUIT);
	serve_until_end(VMM_REQUEST_QUIT);
}

/* Again and again, so that the kick meets every point between the check and the sleep. */
static void kick_is_never_lost(void **state)
{
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(vmm_vm_start(&f.vm), 0);
		if (i & 1)
			usleep(i);
		vmm_vm_request(&f.vm, i & 2 ? VMM_REQUEST_QUIT : VMM_REQUEST_POWEROFF);
		serve_until_end(i & 2 ? VMM_REQUEST_QUIT : VMM_REQUEST_POWEROFF);
		vmm_vm_stop(&f.vm);
		f.vm.state = VMM_RUNNING;
		f.vm.request = VMM_REQUEST_NONE;
	}
}

static void the_greatest_request_wins(void **state)
{
	vmm_vm_request(&f.vm, VMM_REQUEST_ERROR);
	vmm_vm_request(&f.vm, VMM_REQUEST_RESET);
	assert_int_equal(vmm_vm_serve(&f.vm), VMM_REQUEST_ERROR);
}

/* ---- Which KVM -------------------------------------------------------------------------- */

static void probes(void **state)
{
	static const struct {
		int open_errno, api_version, psci, user_irq;
		enum vmm_kvm_verdict verdict;
	} table[] = {
		{0, 12, 1, 1, VMM_KVM_FITS},
		{0, 12, 1, 3, VMM_KVM_FITS}, /* a later version fits too */
		{ENOENT, 12, 1, 1, VMM_KVM_MISSING},
		{ENODEV, 12, 1, 1, VMM_KVM_MISSING},
		{EACCES, 12, 1, 1, VMM_KVM_NO_RIGHTS},
		{EMFILE, 12, 1, 1, VMM_KVM_CANNOT_OPEN},
		{0, -1, 1, 1, VMM_KVM_NOT_KVM},
		{0, 11, 1, 1, VMM_KVM_NOT_KVM},
		{0, 12, 0, 0, VMM_KVM_OTHER_ARCH},
		{0, 12, 1, 0, VMM_KVM_NO_USER_IRQ},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int fd = -1, version = 0;

		fake_reset();
		fake.open_errno = table[i].open_errno;
		fake.api_version = table[i].api_version;
		fake.psci = table[i].psci;
		fake.user_irq = table[i].user_irq;
		assert_int_equal(vmm_kvm_probe(&fake_kvm, "/dev/kvm", &fd, &version),
				 table[i].verdict);
		assert_int_equal(fd >= 0, table[i].verdict == VMM_KVM_FITS);
		if (fd >= 0) {
			assert_int_equal(version, table[i].user_irq);
			close(fd);
		}
	}
}

static void limits_of_the_kvm(void **state)
{
	struct vmm_vm vm = {0};
	const char *said;

	fake.max_vcpus = 1;
	capture_begin();
	assert_true(vmm_vm_create(&vm, &fake_kvm, f.system_fd, &f.mem, 2, &f.loop, NULL) < 0);
	vmm_vm_destroy(&vm);
	said = capture_end();
	assert_non_null(strstr(said, "--cpus 2: this KVM has up to 1"));
	memset(&vm, 0, sizeof(vm));
	fake.ipa_bits = 30;
	capture_begin();
	assert_true(vmm_vm_create(&vm, &fake_kvm, f.system_fd, &f.mem, 1, &f.loop, NULL) < 0);
	vmm_vm_destroy(&vm);
	said = capture_end();
	assert_non_null(strstr(said, "30 bits"));
}

/* --irqchip kernel: each KVM that cannot gets one line, which says what does work. */
static void no_gic_in_the_kvm(void **state)
{
	static const struct {
		int error;
		const char *said;
	} table[] = {
		{ENODEV, "armature: --irqchip kernel: this KVM has no GICv2 of its own (--irqchip "
			 "user needs none)\n"},
		{EINVAL, "armature: the interrupt controller cannot be made: Invalid argument\n"},
	};

	for (unsigned int i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct vmm_vm vm = {.vgic = true};

		fake.create_device_errno = table[i].error;
		capture_begin();
		assert_true(vmm_vm_create(&vm, &fake_kvm, f.system_fd, &f.mem, 1, &f.loop, NULL) <
			    0);
		vmm_vm_destroy(&vm);
		assert_string_equal(capture_end(), table[i].said);
	}
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup1, teardown)
#define TWO(name) cmocka_unit_test_setup_teardown(name, setup2, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(follows_on_each_kind),
		ONE(follows_on_completion),
		ONE(eoi_that_carries_the_fall),
		ONE(eoi_while_the_level_stays),
		ONE(rise_with_the_acknowledge),
		ONE(stale_exit_is_not_handled),
		ONE(stale_system_event_is_not_handled),
		ONE(unknown_bits_are_ignored),
		ONE(several_at_once),
		TWO(no_cross_talk),
		ONE(device_is_told_apart),
		ONE(nothing_there),
		ONE(no_syndrome),
		TWO(reset_and_poweroff),
		ONE(reset_waits_for_devices),
		ONE(open_access_is_completed),
		TWO(kicks_sleepers),
		TWO(kick_is_never_lost),
		TWO(lost_pin_is_driven_again),
		ONE(the_greatest_request_wins),
		cmocka_unit_test(probes),
		ONE(limits_of_the_kvm),
		ONE(no_gic_in_the_kvm),
	};

	return cmocka_run_group_tests_name("levels", tests, NULL, NULL);
}
