/* SPDX-License-Identifier: MIT */
/*
 * The log of requests:
 *
 *   12:00:01.000203 4711 vm:5 KVM_CREATE_VCPU(id=0) = 6 <41.2 us>
 *
 * is the time of day when the request was over, the thread, the kind and the number of the
 * descriptor, the request with its argument by the names of <armature/kvm_arm64.h>, what it
 * returned, and how long it took. What the KVM writes into the argument is shown as it is then.
 */
#include "door/log.h"
#include "door/door.h"

#include <armature/kvm_arm64.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct name {
	uint64_t value;
	const char *name;
};

#include "names.inc"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define LINE_MAX_     1024
#define ARG_MAX_      1024 /* the largest argument of which fields are shown */
#define REG_MAX       256  /* bytes of the largest register */

static int log_fd = -1;

/* A line in the making; what does not fit is cut. */
struct line {
	char text[LINE_MAX_];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->text + l->length, sizeof(l->text) - l->length, format, ap);
	va_end(ap);
	if (n > 0)
		l->length += (size_t)n;
	if (l->length > sizeof(l->text) - 2)
		l->length = sizeof(l->text) - 2;
}

static const char *find_name(const struct name *table, size_t rows, uint64_t value)
{
	for (size_t i = 0; i < rows; i++)
		if (table[i].value == value)
			return table[i].name;
	return NULL;
}

#define NAME(table, value) find_name(table, ARRAY_SIZE(table), value)

/* How a number is shown. */

static void show_decimal(struct line *l, uint64_t value)
{
	add(l, "%" PRIu64, value);
}

static void show_hex(struct line *l, uint64_t value)
{
	add(l, "%#" PRIx64, value);
}

static void show_fd(struct line *l, uint64_t value)
{
	add(l, "%d", (int)value);
}

static void show_capability(struct line *l, uint64_t value)
{
	const char *name = NAME(capability_names, value);

	if (name)
		add(l, "%s", name);
	else
		add(l, "%" PRIu64, value);
}

static void show_device(struct line *l, uint64_t value)
{
	const char *name = NAME(device_names, value);

	if (name)
		add(l, "%s", name);
	else
		add(l, "%" PRIu64, value);
}

#define FIELD(value, name) (((value) >> KVM_ARM_IRQ_##name##_SHIFT) & KVM_ARM_IRQ_##name##_MASK)

/* The interrupt of KVM_IRQ_LINE: its type, vCPU and number. */
static void show_irq(struct line *l, uint64_t value)
{
	const uint64_t cpu = FIELD(value, VCPU) + 256 * FIELD(value, VCPU2);
	const uint64_t type = FIELD(value, TYPE), nr = FIELD(value, NUM);

	if (type == KVM_ARM_IRQ_TYPE_SPI)
		add(l, "SPI:%" PRIu64, nr);
	else if (type == KVM_ARM_IRQ_TYPE_PPI)
		add(l, "PPI:%" PRIu64 "@%" PRIu64, nr, cpu);
	else if (type == KVM_ARM_IRQ_TYPE_CPU && nr <= KVM_ARM_IRQ_CPU_FIQ)
		add(l, "%s@%" PRIu64, nr == KVM_ARM_IRQ_CPU_FIQ ? "FIQ" : "IRQ", cpu);
	else
		show_hex(l, value);
}

#define CORE(field)                                                                                \
	{                                                                                          \
		offsetof(struct kvm_regs, field), sizeof(((struct kvm_regs *)NULL)->field), #field \
	}

static const struct core {
	size_t offset, size;
	const char *name;
} cores[] = {
	CORE(regs.sp), CORE(regs.pc),      CORE(regs.pstate),  CORE(sp_el1),
	CORE(elr_el1), CORE(fp_regs.fpsr), CORE(fp_regs.fpcr),
};

static bool show_array(struct line *l, size_t offset, size_t start, size_t size, size_t element,
		       const char *name)
{
	if (offset < start || offset >= start + size)
		return false;
	add(l, "%s[%zu]", name, (offset - start) / element);
	return true;
}

static void show_core(struct line *l, size_t offset)
{
	const struct kvm_regs *r = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(cores); i++) {
		if (cores[i].offset == offset) {
			add(l, "%s", cores[i].name);
			return;
		}
	}
	if (!show_array(l, offset, offsetof(struct kvm_regs, regs.regs), sizeof(r->regs.regs), 8,
			"regs.regs") &&
	    !show_array(l, offset, offsetof(struct kvm_regs, spsr), sizeof(r->spsr), 8, "spsr") &&
	    !show_array(l, offset, offsetof(struct kvm_regs, fp_regs.vregs),
			sizeof(r->fp_regs.vregs), 16, "fp_regs.vregs"))
		add(l, "core+%#zx", offset);
}

#define SYSREG(id, name)                                            \
	(unsigned int)(((id)&KVM_REG_ARM64_SYSREG_##name##_MASK) >> \
		       KVM_REG_ARM64_SYSREG_##name##_SHIFT)

/* A register by its name in the API or, a system register, as assemblers name any. */
static void show_one_reg(struct line *l, uint64_t id)
{
	const char *name = NAME(one_reg_names, id);

	if (name)
		add(l, "%s", name);
	else if ((id & KVM_REG_ARCH_MASK) != KVM_REG_ARM64)
		show_hex(l, id);
	else if ((id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM_CORE)
		show_core(l, (id & 0xffff) * sizeof(__u32));
	else if ((id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG)
		add(l, "S%u_%u_C%u_C%u_%u", SYSREG(id, OP0), SYSREG(id, OP1), SYSREG(id, CRN),
		    SYSREG(id, CRM), SYSREG(id, OP2));
	else
		show_hex(l, id);
}

struct field {
	const char *name;
	uint16_t offset, size;
	void (*show)(struct line *l, uint64_t value);
};

#define F(type, field, show)                                                                \
	{                                                                                   \
#field, offsetof(struct type, field), sizeof(((struct type *)NULL)->field), \
			show_##show                                                         \
	}

/* An argument that is no pointer has one field, of no size. */
#define VALUE(name, show)                       \
	{                                       \
		{                               \
			name, 0, 0, show_##show \
		}                               \
	}

#define ATTRIBUTE                                                                      \
	{                                                                              \
		F(kvm_device_attr, group, decimal), F(kvm_device_attr, attr, hex),     \
			F(kvm_device_attr, addr, hex), F(kvm_device_attr, flags, hex), \
	}

#define ONE_REG                             \
	{                                   \
		F(kvm_one_reg, id, one_reg) \
	}

#define INIT                                                                           \
	{                                                                              \
		F(kvm_vcpu_init, target, decimal), F(kvm_vcpu_init, features[0], hex), \
	}

#define MP_STATE                                   \
	{                                          \
		F(kvm_mp_state, mp_state, decimal) \
	}

#define COALESCED                                                                             \
	{                                                                                     \
		F(kvm_coalesced_mmio_zone, addr, hex), F(kvm_coalesced_mmio_zone, size, hex), \
	}

static const struct described {
	unsigned int request;
	struct field fields[7];
} described[] = {
	{KVM_CREATE_VM, VALUE("type", hex)},
	{KVM_CHECK_EXTENSION, VALUE("cap", capability)},
	{KVM_CREATE_VCPU, VALUE("id", decimal)},
	{KVM_SET_USER_MEMORY_REGION,
	 {F(kvm_userspace_memory_region, slot, hex), F(kvm_userspace_memory_region, flags, hex),
	  F(kvm_userspace_memory_region, guest_phys_addr, hex),
	  F(kvm_userspace_memory_region, memory_size, hex),
	  F(kvm_userspace_memory_region, userspace_addr, hex)}},
	{KVM_GET_DIRTY_LOG, {F(kvm_dirty_log, slot, hex), F(kvm_dirty_log, padding2, hex)}},
	{KVM_CLEAR_DIRTY_LOG,
	 {F(kvm_clear_dirty_log, slot, hex), F(kvm_clear_dirty_log, first_page, hex),
	  F(kvm_clear_dirty_log, num_pages, decimal)}},
	{KVM_ENABLE_CAP,
	 {F(kvm_enable_cap, cap, capability), F(kvm_enable_cap, flags, hex),
	  F(kvm_enable_cap, args[0], hex)}},
	{KVM_IRQ_LINE, {F(kvm_irq_level, irq, irq), F(kvm_irq_level, level, decimal)}},
	{KVM_SET_GSI_ROUTING, {F(kvm_irq_routing, nr, decimal), F(kvm_irq_routing, flags, hex)}},
	{KVM_IRQFD,
	 {F(kvm_irqfd, fd, fd), F(kvm_irqfd, gsi, decimal), F(kvm_irqfd, flags, hex),
	  F(kvm_irqfd, resamplefd, fd)}},
	{KVM_IOEVENTFD,
	 {F(kvm_ioeventfd, addr, hex), F(kvm_ioeventfd, len, decimal), F(kvm_ioeventfd, fd, fd),
	  F(kvm_ioeventfd, flags, hex), F(kvm_ioeventfd, datamatch, hex)}},
	{KVM_SIGNAL_MSI,
	 {F(kvm_msi, address_lo, hex), F(kvm_msi, address_hi, hex), F(kvm_msi, data, hex),
	  F(kvm_msi, flags, hex), F(kvm_msi, devid, hex)}},
	{KVM_REGISTER_COALESCED_MMIO, COALESCED},
	{KVM_UNREGISTER_COALESCED_MMIO, COALESCED},
	{KVM_CREATE_DEVICE,
	 {F(kvm_create_device, type, device), F(kvm_create_device, flags, hex),
	  F(kvm_create_device, fd, fd)}},
	{KVM_SET_DEVICE_ATTR, ATTRIBUTE},
	{KVM_GET_DEVICE_ATTR, ATTRIBUTE},
	{KVM_HAS_DEVICE_ATTR, ATTRIBUTE},
	{KVM_ARM_VCPU_INIT, INIT},
	{KVM_ARM_PREFERRED_TARGET, INIT},
	{KVM_GET_ONE_REG, ONE_REG},
	{KVM_SET_ONE_REG, ONE_REG},
	{KVM_GET_REG_LIST, {F(kvm_reg_list, n, decimal)}},
	{KVM_GET_MP_STATE, MP_STATE},
	{KVM_SET_MP_STATE, MP_STATE},
	{KVM_SET_GUEST_DEBUG, {F(kvm_guest_debug, control, hex)}},
	{KVM_SET_SIGNAL_MASK, {F(kvm_signal_mask, len, decimal)}},
};

/*
 * Reads the caller's memory. A request that did not fail has read it too; for one that did, its
 * pointer may be anything.
 */
static bool read_memory(void *to, uint64_t from, size_t size, bool good)
{
	struct iovec there = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
	struct iovec here = {.iov_base = to, .iov_len = size};

	if (good) {
		memcpy(to, there.iov_base, size);
		return true;
	}
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

static uint64_t number(const unsigned char *bytes, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size < sizeof(value) ? size : sizeof(value));
	return value;
}

/* The value of a register, in hexadecimal digits whatever its size. */
static void add_value(struct line *l, const struct kvm_one_reg *reg, bool good)
{
	const size_t size = KVM_REG_SIZE(reg->id);
	unsigned char value[REG_MAX];

	add(l, ", size=%zu", size);
	if (!reg->addr || size > sizeof(value) || !read_memory(value, reg->addr, size, good))
		return;
	add(l, ", value=0x");
	for (size_t i = size; i-- > 0;)
		add(l, "%02x", value[i]);
}

/*
 * Two requests are one number: KVM_ARM_SET_DEVICE_ADDR of a VM, and KVM_GET_ONE_REG of a vCPU,
 * which is in the table.
 */
static const struct described set_device_addr = {
	KVM_ARM_SET_DEVICE_ADDR,
	{F(kvm_arm_device_addr, id, hex), F(kvm_arm_device_addr, addr, hex)}};
_Static_assert(KVM_ARM_SET_DEVICE_ADDR == KVM_GET_ONE_REG, "or the names' table tells them apart");

static bool is_set_device_addr(const char *kind, unsigned int request)
{
	return request == KVM_ARM_SET_DEVICE_ADDR && !strcmp(kind, "vm");
}

static const char *name_of(const char *kind, unsigned int request)
{
	if (request != KVM_GET_ONE_REG)
		return NAME(request_names, request);
	return is_set_device_addr(kind, request) ? "KVM_ARM_SET_DEVICE_ADDR" : "KVM_GET_ONE_REG";
}

static void add_argument(struct line *l, const char *kind, unsigned int request, unsigned long arg,
			 bool good)
{
	const struct described *d = described;
	unsigned char bytes[ARG_MAX_];
	const size_t size = _IOC_SIZE(request);

	while (d < described + ARRAY_SIZE(described) && d->request != request)
		d++;
	if (is_set_device_addr(kind, request))
		d = &set_device_addr;
	if (d == described + ARRAY_SIZE(described)) {
		if (arg)
			add(l, "%#lx", arg);
		return;
	}
	if (!d->fields[0].size) {
		add(l, "%s=", d->fields[0].name);
		d->fields[0].show(l, arg);
		return;
	}
	if (size > sizeof(bytes) || !read_memory(bytes, arg, size, good)) {
		add(l, "%#lx", arg);
		return;
	}
	for (const struct field *f = d->fields; f->name; f++) {
		add(l, "%s%s=", f == d->fields ? "" : ", ", f->name);
		f->show(l, number(bytes + f->offset, f->size));
	}
	if (d != &set_device_addr && (request == KVM_GET_ONE_REG || request == KVM_SET_ONE_REG))
		add_value(l, (const struct kvm_one_reg *)bytes, good);
}

static void add_exit(struct line *l, const struct kvm_run *run)
{
	const char *name = NAME(exit_names, run->exit_reason);

	if (name)
		add(l, " %s", name);
	else
		add(l, " exit_reason=%u", run->exit_reason);
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		add(l, "(phys_addr=%#llx, len=%u, is_write=%u", run->mmio.phys_addr, run->mmio.len,
		    run->mmio.is_write);
		if (run->mmio.is_write)
			add(l, ", data=%#" PRIx64, number(run->mmio.data, run->mmio.len));
		add(l, ")");
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		add(l, "(type=%u, flags=%#llx)", run->system_event.type, run->system_event.flags);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		add(l, "(suberror=%u)", run->internal.suberror);
		break;
	case KVM_EXIT_ARM_NISV:
		add(l, "(esr_iss=%#llx, fault_ipa=%#llx)", run->arm_nisv.esr_iss,
		    run->arm_nisv.fault_ipa);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		add(l, "(hardware_entry_failure_reason=%#llx)",
		    run->fail_entry.hardware_entry_failure_reason);
		break;
	}
	add(l, " device_irq_level=%#llx", run->s.regs.device_irq_level);
}

/*
 * How the vCPU came back. The page is mapped for the moment: a mapping that is kept would keep the
 * vCPU.
 */
static void add_run(struct line *l, int fd, bool good)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct kvm_run *run = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (run == MAP_FAILED)
		return;
	if (good)
		add_exit(l, run);
	else
		add(l, " device_irq_level=%#llx", run->s.regs.device_irq_level);
	munmap(run, size);
}

static const struct name kinds[] = {
	{0, "/memfd:armature-system"}, {1, "/memfd:armature-vm"}, {2, "/memfd:armature-vcpu"},
	{3, "/memfd:armature-"},       {1, "anon_inode:kvm-vm"},  {2, "anon_inode:kvm-vcpu"},
	{3, "anon_inode:kvm-"},
};

static const char *const kind_names[] = {"system", "vm", "vcpu", "device"};

/* What a descriptor is, from the name that the kernel shows of it. */
static const char *kind_of(int fd)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return "?";
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i].name, strlen(kinds[i].name)))
			return kind_names[kinds[i].value];
	return kind_names[0]; /* the file that --kvm names */
}

bool log_on(void)
{
	return log_fd >= 0;
}

static unsigned long now(clockid_t clock, struct timespec *t)
{
	clock_gettime(clock, t);
	return (unsigned long)t->tv_sec * 1000000000ul + (unsigned long)t->tv_nsec;
}

unsigned long log_start(void)
{
	struct timespec t;

	return now(CLOCK_MONOTONIC, &t);
}

void log_request(int fd, unsigned long request, unsigned long arg, unsigned long start, int ret)
{
	const unsigned long took = log_start() - start, day = 86400;
	const int error = errno;
	const char *kind = kind_of(fd), *name = name_of(kind, (unsigned int)request);
	struct line l = {.length = 0};
	unsigned long second;
	struct timespec t;

	/* UTC, like every log that is compared with another's. */
	now(CLOCK_REALTIME, &t);
	second = (unsigned long)t.tv_sec % day;
	add(&l, "%02lu:%02lu:%02lu.%06ld %d %s:%d ", second / 3600, second / 60 % 60, second % 60,
	    t.tv_nsec / 1000, gettid(), kind, fd);
	if (name)
		add(&l, "%s(", name);
	else
		add(&l, "KVM_%#lx(", request);
	add_argument(&l, kind, (unsigned int)request, arg, ret >= 0);
	add(&l, ret < 0 ? ") = %d %s" : ") = %d", ret, ret < 0 ? strerrorname_np(error) : "");
	if ((unsigned int)request == KVM_RUN)
		add_run(&l, fd, ret >= 0);
	add(&l, " <%lu.%lu us>\n", took / 1000, took / 100 % 10);
	if (write(log_fd, l.text, l.length) < 0) {
		/* A full disk: the program goes on without its log. */
	}
	errno = error;
}

__attribute__((constructor)) static void open_log(void)
{
	const char *path = getenv(DOOR_LOG);
	int saved = errno;

	if (path)
		log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	errno = saved;
}
