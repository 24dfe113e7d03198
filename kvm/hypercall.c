/* SPDX-License-Identifier: MIT */
/*
 * What HVC means to a guest: the SMC calling convention (Arm DEN 0028), with PSCI, the entropy
 * service (Arm DEN 0098) and KVM's own vendor service; and the firmware registers by which a VMM
 * sees and limits them (KVM_REG_ARM_FW, api.rst 4.68 and
 * Documentation/virt/kvm/arm/hypercalls.rst).
 *
 * As on Linux the CPU's errata are told here: this machine has none of the three that have a
 * workaround call.
 */
#include <sys/random.h>
#include <string.h>
#include <time.h>

#include "cpu/timer.h"
#include "kvm/kvm.h"

#define SMCCC_SUCCESS       0
#define SMCCC_NOT_SUPPORTED ((uint64_t)-1)
#define SMCCC_NOT_REQUIRED  ((uint64_t)-2)
#define SMCCC_UNAFFECTED    1 /* ARCH_WORKAROUND_1 and _3 */
#define SMCCC_VERSION_1_1   0x10001

#define SMCCC_VERSION       0x80000000u
#define SMCCC_ARCH_FEATURES 0x80000001u
#define SMCCC_WORKAROUND_1  0x80008000u
#define SMCCC_WORKAROUND_2  0x80007fffu
#define SMCCC_WORKAROUND_3  0x80003fffu
#define PV_TIME_FEATURES    0xc5000020u
#define PV_TIME_ST          0xc5000021u
#define TRNG_VERSION        0x84000050u
#define TRNG_FEATURES       0x84000051u
#define TRNG_GET_UUID       0x84000052u
#define TRNG_RND32          0x84000053u
#define TRNG_RND64          0xc4000053u
#define VENDOR_FEATURES     0x86000000u
#define VENDOR_PTP          0x86000001u
#define VENDOR_UID          0x8600ff01u

#define TRNG_VERSION_1_0   0x10000
#define TRNG_SUCCESS       0
#define TRNG_INVALID_PARAM ((uint64_t)-2)
#define TRNG_NO_ENTROPY    ((uint64_t)-3)
#define TRNG_WORDS         3 /* x1 to x3 */

/* KVM's vendor UID, 28b46fb6-2ec5-11e9-a9ca-4b564d003a74: what guests look for. */
#define KVM_UID_0 0xb66fb428u
#define KVM_UID_1 0xe911c52eu
#define KVM_UID_2 0x564bcaa9u
#define KVM_UID_3 0x743a004du

#define PTP_VIRTUAL_COUNTER  0
#define PTP_PHYSICAL_COUNTER 1

/* Owner and number of a fast call. */
#define OWNER(fn)        (((fn) >> 24) & 0x3f)
#define NUMBER(fn)       ((fn)&0xffff)
#define OWNER_STANDARD   4
#define PSCI_LAST_NUMBER 0x1f

#define STD_SERVICES     (1ull << KVM_REG_ARM_STD_BIT_TRNG_V1_0)
#define STD_HYP_SERVICES (1ull << KVM_REG_ARM_STD_HYP_BIT_PV_TIME)
#define VENDOR_SERVICES \
	((1ull << KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT) | (1ull << KVM_REG_ARM_VENDOR_HYP_BIT_PTP))

void smccc_return(struct vcpu *vcpu, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3)
{
	uint64_t *x = vcpu->cpu->x;

	x[0] = x0;
	x[1] = x1;
	x[2] = x2;
	x[3] = x3;
}

/* ---- Services ---- */

enum service_gate { GATE_NONE, GATE_STD, GATE_STD_HYP, GATE_VENDOR };

struct service {
	uint32_t fn;
	enum service_gate gate; /* which firmware register hides it … */
	unsigned int bit;       /* … and with which bit */
	void (*call)(struct vcpu *vcpu, uint64_t v[4]);
};

static const struct service *find_service(uint32_t fn);
static bool is_open(const struct firmware *fw, const struct service *s);

static void call_version(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = SMCCC_VERSION_1_1;
}

static void call_arch_features(struct vcpu *vcpu, uint64_t v[4])
{
	switch ((uint32_t)vcpu->cpu->x[1]) {
	case SMCCC_WORKAROUND_1:
	case SMCCC_WORKAROUND_3:
		v[0] = SMCCC_UNAFFECTED;
		break;
	case SMCCC_WORKAROUND_2:
		v[0] = SMCCC_NOT_REQUIRED;
		break;
	case PV_TIME_FEATURES:
		if (is_open(&vcpu->vm->fw, find_service(PV_TIME_FEATURES)))
			v[0] = SMCCC_SUCCESS;
		break;
	}
}

/*
 * Stolen time (Arm DEN 0057). As on Linux the calls are there, and say that there is none for this
 * vCPU: its VMM has given no memory for it, which here cannot be given (KVM_CAP_STEAL_TIME).
 */
static void pv_time(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = SMCCC_NOT_SUPPORTED;
}

static void trng_version(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = TRNG_VERSION_1_0;
}

static void trng_features(struct vcpu *vcpu, uint64_t v[4])
{
	switch ((uint32_t)vcpu->cpu->x[1]) {
	case TRNG_VERSION:
	case TRNG_FEATURES:
	case TRNG_GET_UUID:
	case TRNG_RND32:
	case TRNG_RND64:
		v[0] = TRNG_SUCCESS;
		break;
	}
}

/* The back end of the entropy source: this library. A random UUID, drawn once for the project. */
static void trng_uuid(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = 0x5fd1a50du;
	v[1] = 0x43f74b2cu;
	v[2] = 0x1e3c0fa7u;
	v[3] = 0x9b6d82e4u;
}

/* Fill @words of @width bits with x1 fresh bits, the first bits in the last word. */
static void trng_random(struct vcpu *vcpu, uint64_t v[4], unsigned int width)
{
	uint64_t bits = width == 64 ? vcpu->cpu->x[1] : (uint32_t)vcpu->cpu->x[1];
	unsigned int i;
	uint64_t r;

	if (!bits || bits > width * TRNG_WORDS) {
		v[0] = TRNG_INVALID_PARAM;
		return;
	}
	for (i = 0; i < TRNG_WORDS; i++) {
		unsigned int here = bits > width * i ? (unsigned int)(bits - width * i) : 0;

		if (!here)
			break;
		if (getrandom(&r, sizeof(r), 0) != sizeof(r)) {
			memset(v, 0, 4 * sizeof(v[0]));
			v[0] = TRNG_NO_ENTROPY;
			return;
		}
		if (here > width)
			here = width;
		v[TRNG_WORDS - i] = r >> (64 - here);
	}
	v[0] = TRNG_SUCCESS;
}

static void trng_rnd32(struct vcpu *vcpu, uint64_t v[4])
{
	trng_random(vcpu, v, 32);
}

static void trng_rnd64(struct vcpu *vcpu, uint64_t v[4])
{
	trng_random(vcpu, v, 64);
}

static void vendor_uid(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = KVM_UID_0;
	v[1] = KVM_UID_1;
	v[2] = KVM_UID_2;
	v[3] = KVM_UID_3;
}

static void vendor_features(struct vcpu *vcpu, uint64_t v[4])
{
	v[0] = vcpu->vm->fw.vendor_hyp_bmap;
}

/* Wall-clock time and a counter, taken together (Documentation/virt/kvm/arm/ptp_kvm.rst). */
static void vendor_ptp(struct vcpu *vcpu, uint64_t v[4])
{
	uint32_t which = (uint32_t)vcpu->cpu->x[1];
	struct timespec ts;
	uint64_t real, count;

	if (which != PTP_VIRTUAL_COUNTER && which != PTP_PHYSICAL_COUNTER)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	count = timer_now(vcpu->cpu, which == PTP_VIRTUAL_COUNTER ? TIMER_VIRT : TIMER_PHYS);
	real = (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
	v[0] = real >> 32;
	v[1] = (uint32_t)real;
	v[2] = count >> 32;
	v[3] = (uint32_t)count;
}

static const struct service services[] = {
	{SMCCC_VERSION, GATE_NONE, 0, call_version},
	{SMCCC_ARCH_FEATURES, GATE_NONE, 0, call_arch_features},
	{PV_TIME_FEATURES, GATE_STD_HYP, KVM_REG_ARM_STD_HYP_BIT_PV_TIME, pv_time},
	{PV_TIME_ST, GATE_STD_HYP, KVM_REG_ARM_STD_HYP_BIT_PV_TIME, pv_time},
	{TRNG_VERSION, GATE_STD, KVM_REG_ARM_STD_BIT_TRNG_V1_0, trng_version},
	{TRNG_FEATURES, GATE_STD, KVM_REG_ARM_STD_BIT_TRNG_V1_0, trng_features},
	{TRNG_GET_UUID, GATE_STD, KVM_REG_ARM_STD_BIT_TRNG_V1_0, trng_uuid},
	{TRNG_RND32, GATE_STD, KVM_REG_ARM_STD_BIT_TRNG_V1_0, trng_rnd32},
	{TRNG_RND64, GATE_STD, KVM_REG_ARM_STD_BIT_TRNG_V1_0, trng_rnd64},
	{VENDOR_UID, GATE_VENDOR, KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT, vendor_uid},
	{VENDOR_FEATURES, GATE_VENDOR, KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT, vendor_features},
	{VENDOR_PTP, GATE_VENDOR, KVM_REG_ARM_VENDOR_HYP_BIT_PTP, vendor_ptp},
};

static const struct service *find_service(uint32_t fn)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(services); i++)
		if (services[i].fn == fn)
			return &services[i];
	return NULL;
}

static bool is_open(const struct firmware *fw, const struct service *s)
{
	switch (s->gate) {
	case GATE_STD:
		return fw->std_bmap >> s->bit & 1;
	case GATE_STD_HYP:
		return fw->std_hyp_bmap >> s->bit & 1;
	case GATE_VENDOR:
		return fw->vendor_hyp_bmap >> s->bit & 1;
	case GATE_NONE:
		break;
	}
	return true;
}

static bool is_psci(uint32_t fn)
{
	if (fn >= KVM_PSCI_FN(0) && fn <= KVM_PSCI_FN(3))
		return true;
	return OWNER(fn) == OWNER_STANDARD && NUMBER(fn) <= PSCI_LAST_NUMBER;
}

int hypercall(struct vcpu *vcpu)
{
	uint64_t v[4] = {SMCCC_NOT_SUPPORTED};
	uint32_t fn = (uint32_t)vcpu->cpu->x[0];
	const struct service *s;

	if (is_psci(fn))
		return psci_call(vcpu, fn);
	s = find_service(fn);
	if (s && is_open(&vcpu->vm->fw, s))
		s->call(vcpu, v);
	smccc_return(vcpu, v[0], v[1], v[2], v[3]);
	return 1;
}

/* ---- Firmware registers ---- */

/* In the order of KVM_GET_REG_LIST. */
const uint64_t firmware_regs[] = {
	KVM_REG_ARM_PSCI_VERSION,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
	KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3,
	KVM_REG_ARM_STD_BMAP,
	KVM_REG_ARM_STD_HYP_BMAP,
	KVM_REG_ARM_VENDOR_HYP_BMAP,
};
const size_t firmware_nr_regs = ARRAY_SIZE(firmware_regs);

#define WORKAROUND_LEVEL_MASK 0xfu

void firmware_init(struct firmware *fw)
{
	fw->std_bmap = STD_SERVICES;
	fw->std_hyp_bmap = STD_HYP_SERVICES;
	fw->vendor_hyp_bmap = VENDOR_SERVICES;
}

/* The VM's, unless this vCPU is of before PSCI 0.2. */
static uint64_t vcpu_psci_version(struct vcpu *vcpu)
{
	uint64_t version;

	if (!vcpu_has_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2))
		return KVM_PSCI_0_1;
	version = vcpu->vm->fw.psci_version;
	return version ? version : KVM_PSCI_1_1;
}

/** firmware_get() - Value of a firmware register: 0 or -ENOENT. */
long firmware_get(struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
	const struct firmware *fw = &vcpu->vm->fw;

	switch (id) {
	case KVM_REG_ARM_PSCI_VERSION:
		*value = vcpu_psci_version(vcpu);
		return 0;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1:
		*value = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1_NOT_REQUIRED;
		return 0;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2:
		*value = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_REQUIRED;
		return 0;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3:
		*value = KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3_NOT_REQUIRED;
		return 0;
	case KVM_REG_ARM_STD_BMAP:
		*value = fw->std_bmap;
		return 0;
	case KVM_REG_ARM_STD_HYP_BMAP:
		*value = fw->std_hyp_bmap;
		return 0;
	case KVM_REG_ARM_VENDOR_HYP_BMAP:
		*value = fw->vendor_hyp_bmap;
		return 0;
	}
	return -ENOENT;
}

static long set_psci_version(struct vcpu *vcpu, uint64_t value)
{
	bool wants_02 = vcpu_has_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2);

	switch (value) {
	case KVM_PSCI_0_1:
		if (wants_02)
			return -EINVAL;
		break;
	case KVM_PSCI_0_2:
	case KVM_PSCI_1_0:
	case KVM_PSCI_1_1:
		if (!wants_02)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	vcpu->vm->fw.psci_version = value;
	return 0;
}

/* Any level up to what the machine has: here NOT_REQUIRED, the best there is. */
static long set_workaround_2(uint64_t value)
{
	uint64_t level = value & WORKAROUND_LEVEL_MASK;

	if (value &
	    ~(uint64_t)(WORKAROUND_LEVEL_MASK | KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED))
		return -EINVAL;
	if ((value & KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED) &&
	    level != KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_AVAIL)
		return -EINVAL;
	return level > KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_REQUIRED ? -EINVAL : 0;
}

/* A service may be hidden until a vCPU has run. */
static long set_bmap(struct vm *vm, _Atomic uint64_t *bmap, uint64_t supported, uint64_t value)
{
	long ret = 0;

	if (value & ~supported)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (vm->has_run && value != *bmap)
		ret = -EBUSY;
	else
		*bmap = value;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/** firmware_set() - Set a firmware register: 0, -ENOENT, -EINVAL, -EBUSY. */
long firmware_set(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct vm *vm = vcpu->vm;

	switch (id) {
	case KVM_REG_ARM_PSCI_VERSION:
		return set_psci_version(vcpu, value);
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1:
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3:
		return value > KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1_NOT_REQUIRED ? -EINVAL : 0;
	case KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2:
		return set_workaround_2(value);
	case KVM_REG_ARM_STD_BMAP:
		return set_bmap(vm, &vm->fw.std_bmap, STD_SERVICES, value);
	case KVM_REG_ARM_STD_HYP_BMAP:
		return set_bmap(vm, &vm->fw.std_hyp_bmap, STD_HYP_SERVICES, value);
	case KVM_REG_ARM_VENDOR_HYP_BMAP:
		return set_bmap(vm, &vm->fw.vendor_hyp_bmap, VENDOR_SERVICES, value);
	}
	return -ENOENT;
}
