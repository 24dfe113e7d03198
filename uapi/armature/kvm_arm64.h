/* SPDX-License-Identifier: MIT */
/*
 * The KVM API as an arm64 kernel speaks it, for a program on any 64-bit little-endian host.
 *
 * Linux keeps this interface in two places, <linux/kvm.h> and the <asm/kvm.h> of the architecture
 * that is compiled for; on an x86-64 host the second one describes x86 guests. Here the arm64 view
 * stands in one file, with the names that Linux gives, so that one source speaks both to Linux's
 * /dev/kvm on an arm64 host and to libarmature anywhere.
 *
 * What must always hold: every size, offset and number is the one of Linux 6.1 for arm64. The suite
 * "uapi" compares them all with the real headers through a cross compiler. What belongs to other
 * architectures only is left out, except where it is a number in a common list.
 *
 * Reference: Linux, Documentation/virt/kvm/api.rst and Documentation/virt/kvm/devices/.
 *
 * Do not include <linux/kvm.h> in the same file.
 */
#ifndef ARMATURE_KVM_ARM64_H
#define ARMATURE_KVM_ARM64_H

#ifdef __LINUX_KVM_H
#error "<armature/kvm_arm64.h> stands in place of <linux/kvm.h>: include one of the two"
#endif

#include <stddef.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#ifdef __aarch64__
#include <asm/ptrace.h>
#endif

#define KVM_API_VERSION 12

/* The letter of every KVM request. */
#define KVMIO 0xAE

/* What the architecture brings to the common interface. */
#define __KVM_HAVE_GUEST_DEBUG
#define __KVM_HAVE_IRQ_LINE
#define __KVM_HAVE_READONLY_MEM
#define __KVM_HAVE_VCPU_EVENTS

/* ---- 1. Registers as structures --------------------------------------------------------- */

#ifndef __aarch64__
/* <asm/ptrace.h> has these on an arm64 host. */

/* PSTATE as SPSR_ELx holds it (Arm ARM, C5.2.18): mode, masks, and flags. */
#define PSR_MODE_EL0t   0x00000000
#define PSR_MODE_EL1t   0x00000004
#define PSR_MODE_EL1h   0x00000005
#define PSR_MODE_EL2t   0x00000008
#define PSR_MODE_EL2h   0x00000009
#define PSR_MODE_EL3t   0x0000000c
#define PSR_MODE_EL3h   0x0000000d
#define PSR_MODE_MASK   0x0000000f
#define PSR_MODE32_BIT  0x00000010
#define PSR_F_BIT       0x00000040
#define PSR_I_BIT       0x00000080
#define PSR_A_BIT       0x00000100
#define PSR_D_BIT       0x00000200
#define PSR_BTYPE_MASK  0x00000c00
#define PSR_BTYPE_SHIFT 10
#define PSR_SSBS_BIT    0x00001000
#define PSR_PAN_BIT     0x00400000
#define PSR_UAO_BIT     0x00800000
#define PSR_DIT_BIT     0x01000000
#define PSR_TCO_BIT     0x02000000
#define PSR_V_BIT       0x10000000
#define PSR_C_BIT       0x20000000
#define PSR_Z_BIT       0x40000000
#define PSR_N_BIT       0x80000000

/* X0 to X30, a stack pointer, PC and PSTATE. */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

/* V0 to V31, as whole 128-bit numbers of the host's byte order. */
struct user_fpsimd_state {
	__extension__ unsigned __int128 vregs[32];
	__u32 fpsr;
	__u32 fpcr;
	__u32 __reserved[2];
};
#endif

/* The banked SPSRs in kvm_regs.spsr[]. All but the first matter to AArch32 only. */
#define KVM_SPSR_EL1 0
#define KVM_SPSR_SVC KVM_SPSR_EL1
#define KVM_SPSR_ABT 1
#define KVM_SPSR_UND 2
#define KVM_SPSR_IRQ 3
#define KVM_SPSR_FIQ 4
#define KVM_NR_SPSR  5

/*
 * The core registers. No request moves this structure on arm64: it gives the core registers their
 * numbers, see KVM_REG_ARM_CORE_REG(). regs.sp is SP_EL0.
 */
struct kvm_regs {
	struct user_pt_regs regs;
	__u64 sp_el1;
	__u64 elr_el1;
	__u64 spsr[KVM_NR_SPSR];
	struct user_fpsimd_state fp_regs;
};

/* Empty on arm64; the array keeps the size at 0 in C++ as well, because requests encode it. */
struct kvm_sregs {
	__u8 none[0];
};

struct kvm_fpu {
	__u8 none[0];
};

/* ---- 2. The system: versions, capabilities, creating a VM ------------------------------- */

#define KVM_GET_API_VERSION    _IO(KVMIO, 0x00)
#define KVM_CREATE_VM          _IO(KVMIO, 0x01)
#define KVM_CHECK_EXTENSION    _IO(KVMIO, 0x03)
#define KVM_GET_VCPU_MMAP_SIZE _IO(KVMIO, 0x04)

/* KVM_CREATE_VM's argument: bits 7 to 0 are the width of guest physical addresses; 0 means 40. */
#define KVM_VM_TYPE_ARM_IPA_SIZE_MASK  0xffULL
#define KVM_VM_TYPE_ARM_IPA_SIZE(bits) ((bits)&KVM_VM_TYPE_ARM_IPA_SIZE_MASK)

/*
 * Capabilities, for KVM_CHECK_EXTENSION on the system and, with KVM_CAP_CHECK_EXTENSION_VM, on a
 * VM. One list of numbers serves all architectures; 0 is the answer for what is not there.
 */
#define KVM_CAP_IRQCHIP                     0
#define KVM_CAP_HLT                         1
#define KVM_CAP_MMU_SHADOW_CACHE_CONTROL    2
#define KVM_CAP_USER_MEMORY                 3
#define KVM_CAP_SET_TSS_ADDR                4
#define KVM_CAP_VAPIC                       6
#define KVM_CAP_EXT_CPUID                   7
#define KVM_CAP_CLOCKSOURCE                 8
#define KVM_CAP_NR_VCPUS                    9
#define KVM_CAP_NR_MEMSLOTS                 10
#define KVM_CAP_PIT                         11
#define KVM_CAP_NOP_IO_DELAY                12
#define KVM_CAP_PV_MMU                      13
#define KVM_CAP_MP_STATE                    14
#define KVM_CAP_COALESCED_MMIO              15
#define KVM_CAP_SYNC_MMU                    16
#define KVM_CAP_IOMMU                       18
#define KVM_CAP_DESTROY_MEMORY_REGION_WORKS 21
#define KVM_CAP_USER_NMI                    22
#define KVM_CAP_SET_GUEST_DEBUG             23
#define KVM_CAP_REINJECT_CONTROL            24
#define KVM_CAP_IRQ_ROUTING                 25
#define KVM_CAP_IRQ_INJECT_STATUS           26
#define KVM_CAP_ASSIGN_DEV_IRQ              29
#define KVM_CAP_JOIN_MEMORY_REGIONS_WORKS   30
#define KVM_CAP_MCE                         31
#define KVM_CAP_IRQFD                       32
#define KVM_CAP_PIT2                        33
#define KVM_CAP_SET_BOOT_CPU_ID             34
#define KVM_CAP_PIT_STATE2                  35
#define KVM_CAP_IOEVENTFD                   36
#define KVM_CAP_SET_IDENTITY_MAP_ADDR       37
#define KVM_CAP_XEN_HVM                     38
#define KVM_CAP_ADJUST_CLOCK                39
#define KVM_CAP_INTERNAL_ERROR_DATA         40
#define KVM_CAP_VCPU_EVENTS                 41
#define KVM_CAP_S390_PSW                    42
#define KVM_CAP_PPC_SEGSTATE                43
#define KVM_CAP_HYPERV                      44
#define KVM_CAP_HYPERV_VAPIC                45
#define KVM_CAP_HYPERV_SPIN                 46
#define KVM_CAP_PCI_SEGMENT                 47
#define KVM_CAP_PPC_PAIRED_SINGLES          48
#define KVM_CAP_INTR_SHADOW                 49
#define KVM_CAP_DEBUGREGS                   50
#define KVM_CAP_X86_ROBUST_SINGLESTEP       51
#define KVM_CAP_PPC_OSI                     52
#define KVM_CAP_PPC_UNSET_IRQ               53
#define KVM_CAP_ENABLE_CAP                  54
#define KVM_CAP_XSAVE                       55
#define KVM_CAP_XCRS                        56
#define KVM_CAP_PPC_GET_PVINFO              57
#define KVM_CAP_PPC_IRQ_LEVEL               58
#define KVM_CAP_ASYNC_PF                    59
#define KVM_CAP_TSC_CONTROL                 60
#define KVM_CAP_GET_TSC_KHZ                 61
#define KVM_CAP_PPC_BOOKE_SREGS             62
#define KVM_CAP_SPAPR_TCE                   63
#define KVM_CAP_PPC_SMT                     64
#define KVM_CAP_PPC_RMA                     65
#define KVM_CAP_MAX_VCPUS                   66
#define KVM_CAP_PPC_HIOR                    67
#define KVM_CAP_PPC_PAPR                    68
#define KVM_CAP_SW_TLB                      69
#define KVM_CAP_ONE_REG                     70
#define KVM_CAP_S390_GMAP                   71
#define KVM_CAP_TSC_DEADLINE_TIMER          72
#define KVM_CAP_S390_UCONTROL               73
#define KVM_CAP_SYNC_REGS                   74
#define KVM_CAP_PCI_2_3                     75
#define KVM_CAP_KVMCLOCK_CTRL               76
#define KVM_CAP_SIGNAL_MSI                  77
#define KVM_CAP_PPC_GET_SMMU_INFO           78
#define KVM_CAP_S390_COW                    79
#define KVM_CAP_PPC_ALLOC_HTAB              80
#define KVM_CAP_READONLY_MEM                81
#define KVM_CAP_IRQFD_RESAMPLE              82
#define KVM_CAP_PPC_BOOKE_WATCHDOG          83
#define KVM_CAP_PPC_HTAB_FD                 84
#define KVM_CAP_S390_CSS_SUPPORT            85
#define KVM_CAP_PPC_EPR                     86
#define KVM_CAP_ARM_PSCI                    87
#define KVM_CAP_ARM_SET_DEVICE_ADDR         88
#define KVM_CAP_DEVICE_CTRL                 89
#define KVM_CAP_IRQ_MPIC                    90
#define KVM_CAP_PPC_RTAS                    91
#define KVM_CAP_IRQ_XICS                    92
#define KVM_CAP_ARM_EL1_32BIT               93
#define KVM_CAP_SPAPR_MULTITCE              94
#define KVM_CAP_EXT_EMUL_CPUID              95
#define KVM_CAP_HYPERV_TIME                 96
#define KVM_CAP_IOAPIC_POLARITY_IGNORED     97
#define KVM_CAP_ENABLE_CAP_VM               98
#define KVM_CAP_S390_IRQCHIP                99
#define KVM_CAP_IOEVENTFD_NO_LENGTH         100
#define KVM_CAP_VM_ATTRIBUTES               101
#define KVM_CAP_ARM_PSCI_0_2                102
#define KVM_CAP_PPC_FIXUP_HCALL             103
#define KVM_CAP_PPC_ENABLE_HCALL            104
#define KVM_CAP_CHECK_EXTENSION_VM          105
#define KVM_CAP_S390_USER_SIGP              106
#define KVM_CAP_S390_VECTOR_REGISTERS       107
#define KVM_CAP_S390_MEM_OP                 108
#define KVM_CAP_S390_USER_STSI              109
#define KVM_CAP_S390_SKEYS                  110
#define KVM_CAP_MIPS_FPU                    111
#define KVM_CAP_MIPS_MSA                    112
#define KVM_CAP_S390_INJECT_IRQ             113
#define KVM_CAP_S390_IRQ_STATE              114
#define KVM_CAP_PPC_HWRNG                   115
#define KVM_CAP_DISABLE_QUIRKS              116
#define KVM_CAP_X86_SMM                     117
#define KVM_CAP_MULTI_ADDRESS_SPACE         118
#define KVM_CAP_GUEST_DEBUG_HW_BPS          119
#define KVM_CAP_GUEST_DEBUG_HW_WPS          120
#define KVM_CAP_SPLIT_IRQCHIP               121
#define KVM_CAP_IOEVENTFD_ANY_LENGTH        122
#define KVM_CAP_HYPERV_SYNIC                123
#define KVM_CAP_S390_RI                     124
#define KVM_CAP_SPAPR_TCE_64                125
#define KVM_CAP_ARM_PMU_V3                  126
#define KVM_CAP_VCPU_ATTRIBUTES             127
#define KVM_CAP_MAX_VCPU_ID                 128
#define KVM_CAP_X2APIC_API                  129
#define KVM_CAP_S390_USER_INSTR0            130
#define KVM_CAP_MSI_DEVID                   131
#define KVM_CAP_PPC_HTM                     132
#define KVM_CAP_SPAPR_RESIZE_HPT            133
#define KVM_CAP_PPC_MMU_RADIX               134
#define KVM_CAP_PPC_MMU_HASH_V3             135
#define KVM_CAP_IMMEDIATE_EXIT              136
#define KVM_CAP_MIPS_VZ                     137
#define KVM_CAP_MIPS_TE                     138
#define KVM_CAP_MIPS_64BIT                  139
#define KVM_CAP_S390_GS                     140
#define KVM_CAP_S390_AIS                    141
#define KVM_CAP_SPAPR_TCE_VFIO              142
#define KVM_CAP_X86_DISABLE_EXITS           143
#define KVM_CAP_ARM_USER_IRQ                144
#define KVM_CAP_S390_CMMA_MIGRATION         145
#define KVM_CAP_PPC_FWNMI                   146
#define KVM_CAP_PPC_SMT_POSSIBLE            147
#define KVM_CAP_HYPERV_SYNIC2               148
#define KVM_CAP_HYPERV_VP_INDEX             149
#define KVM_CAP_S390_AIS_MIGRATION          150
#define KVM_CAP_PPC_GET_CPU_CHAR            151
#define KVM_CAP_S390_BPB                    152
#define KVM_CAP_GET_MSR_FEATURES            153
#define KVM_CAP_HYPERV_EVENTFD              154
#define KVM_CAP_HYPERV_TLBFLUSH             155
#define KVM_CAP_S390_HPAGE_1M               156
#define KVM_CAP_NESTED_STATE                157
#define KVM_CAP_ARM_INJECT_SERROR_ESR       158
#define KVM_CAP_MSR_PLATFORM_INFO           159
#define KVM_CAP_PPC_NESTED_HV               160
#define KVM_CAP_HYPERV_SEND_IPI             161
#define KVM_CAP_COALESCED_PIO               162
#define KVM_CAP_HYPERV_ENLIGHTENED_VMCS     163
#define KVM_CAP_EXCEPTION_PAYLOAD           164
#define KVM_CAP_ARM_VM_IPA_SIZE             165
#define KVM_CAP_MANUAL_DIRTY_LOG_PROTECT    166
#define KVM_CAP_HYPERV_CPUID                167
#define KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2   168
#define KVM_CAP_PPC_IRQ_XIVE                169
#define KVM_CAP_ARM_SVE                     170
#define KVM_CAP_ARM_PTRAUTH_ADDRESS         171
#define KVM_CAP_ARM_PTRAUTH_GENERIC         172
#define KVM_CAP_PMU_EVENT_FILTER            173
#define KVM_CAP_ARM_IRQ_LINE_LAYOUT_2       174
#define KVM_CAP_HYPERV_DIRECT_TLBFLUSH      175
#define KVM_CAP_PPC_GUEST_DEBUG_SSTEP       176
#define KVM_CAP_ARM_NISV_TO_USER            177
#define KVM_CAP_ARM_INJECT_EXT_DABT         178
#define KVM_CAP_S390_VCPU_RESETS            179
#define KVM_CAP_S390_PROTECTED              180
#define KVM_CAP_PPC_SECURE_GUEST            181
#define KVM_CAP_HALT_POLL                   182
#define KVM_CAP_ASYNC_PF_INT                183
#define KVM_CAP_LAST_CPU                    184
#define KVM_CAP_SMALLER_MAXPHYADDR          185
#define KVM_CAP_S390_DIAG318                186
#define KVM_CAP_STEAL_TIME                  187
#define KVM_CAP_X86_USER_SPACE_MSR          188
#define KVM_CAP_X86_MSR_FILTER              189
#define KVM_CAP_ENFORCE_PV_FEATURE_CPUID    190
#define KVM_CAP_SYS_HYPERV_CPUID            191
#define KVM_CAP_DIRTY_LOG_RING              192
#define KVM_CAP_X86_BUS_LOCK_EXIT           193
#define KVM_CAP_PPC_DAWR1                   194
#define KVM_CAP_SET_GUEST_DEBUG2            195
#define KVM_CAP_SGX_ATTRIBUTE               196
#define KVM_CAP_VM_COPY_ENC_CONTEXT_FROM    197
#define KVM_CAP_PTP_KVM                     198
#define KVM_CAP_HYPERV_ENFORCE_CPUID        199
#define KVM_CAP_SREGS2                      200
#define KVM_CAP_EXIT_HYPERCALL              201
#define KVM_CAP_PPC_RPT_INVALIDATE          202
#define KVM_CAP_BINARY_STATS_FD             203
#define KVM_CAP_EXIT_ON_EMULATION_FAILURE   204
#define KVM_CAP_ARM_MTE                     205
#define KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM    206
#define KVM_CAP_VM_GPA_BITS                 207
#define KVM_CAP_XSAVE2                      208
#define KVM_CAP_SYS_ATTRIBUTES              209
#define KVM_CAP_PPC_AIL_MODE_3              210
#define KVM_CAP_S390_MEM_OP_EXTENSION       211
#define KVM_CAP_PMU_CAPABILITY              212
#define KVM_CAP_DISABLE_QUIRKS2             213
#define KVM_CAP_VM_TSC_CONTROL              214
#define KVM_CAP_SYSTEM_EVENT_DATA           215
#define KVM_CAP_ARM_SYSTEM_SUSPEND          216
#define KVM_CAP_S390_PROTECTED_DUMP         217
#define KVM_CAP_X86_TRIPLE_FAULT_EVENT      218
#define KVM_CAP_X86_NOTIFY_VMEXIT           219
#define KVM_CAP_VM_DISABLE_NX_HUGE_PAGES    220
#define KVM_CAP_S390_ZPCI_OP                221
#define KVM_CAP_S390_CPU_TOPOLOGY           222
#define KVM_CAP_USER_MEMORY2                231
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL      223

/* For a capability that must be switched on, on a VM or a vCPU. */
struct kvm_enable_cap {
	__u32 cap;
	__u32 flags;
	__u64 args[4];
	__u8 pad[64];
};

#define KVM_ENABLE_CAP _IOW(KVMIO, 0xa3, struct kvm_enable_cap)

/* Arguments of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2. */
#define KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE (1 << 0)
#define KVM_DIRTY_LOG_INITIALLY_SET         (1 << 1)

/* ---- 3. A VM: memory --------------------------------------------------------------------- */

struct kvm_userspace_memory_region {
	__u32 slot; /* bits 31 to 16: address space, 0 on arm64 */
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size; /* bytes; 0 deletes the slot */
	__u64 userspace_addr;
};

/* The same, with the file that a guest's private memory is in: arm64 has no such memory. */
struct kvm_userspace_memory_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;
	__u32 guest_memfd;
	__u32 pad1;
	__u64 pad2[14];
};

#define KVM_MEM_LOG_DIRTY_PAGES (1UL << 0)
#define KVM_MEM_READONLY        (1UL << 1)
#define KVM_MEM_GUEST_MEMFD     (1UL << 2) /* of kvm_userspace_memory_region2 */

/* The predecessor, which let the kernel find the memory; no kernel serves it any more. */
struct kvm_memory_region {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
};

/* One bit for each page of the slot, bit 0 of the first word for the first page. */
struct kvm_dirty_log {
	__u32 slot;
	__u32 padding1;
	union {
		void *dirty_bitmap;
		__u64 padding2;
	};
};

/* first_page is a multiple of 64; num_pages as well, unless the range reaches the slot's end. */
struct kvm_clear_dirty_log {
	__u32 slot;
	__u32 num_pages;
	__u64 first_page;
	union {
		void *dirty_bitmap;
		__u64 padding2;
	};
};

/* An entry of the dirty ring, which lies in the vCPU's mapping. */
struct kvm_dirty_gfn {
	__u32 flags;
	__u32 slot;
	__u64 offset;
};

#define KVM_DIRTY_GFN_F_DIRTY     (1UL << 0) /* set by the kernel: to be collected */
#define KVM_DIRTY_GFN_F_RESET     (1UL << 1) /* set by the collector: to be recycled */
#define KVM_DIRTY_GFN_F_MASK      0x3
#define KVM_DIRTY_LOG_PAGE_OFFSET 0 /* no dirty ring on arm64 in 6.1 */

#define KVM_SET_MEMORY_REGION       _IOW(KVMIO, 0x40, struct kvm_memory_region)
#define KVM_GET_DIRTY_LOG           _IOW(KVMIO, 0x42, struct kvm_dirty_log)
#define KVM_SET_NR_MMU_PAGES        _IO(KVMIO, 0x44)
#define KVM_GET_NR_MMU_PAGES        _IO(KVMIO, 0x45)
#define KVM_SET_USER_MEMORY_REGION  _IOW(KVMIO, 0x46, struct kvm_userspace_memory_region)
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#define KVM_CLEAR_DIRTY_LOG         _IOWR(KVMIO, 0xc0, struct kvm_clear_dirty_log)
#define KVM_RESET_DIRTY_RINGS       _IO(KVMIO, 0xc7)

/* Memory tags (MTE), between guest memory and a buffer with one byte for each 16 bytes. */
struct kvm_arm_copy_mte_tags {
	__u64 guest_ipa;
	__u64 length;
	void *addr;
	__u64 flags;
	__u64 reserved[2];
};

#define KVM_ARM_TAGS_TO_GUEST   0
#define KVM_ARM_TAGS_FROM_GUEST 1

#define KVM_ARM_MTE_COPY_TAGS _IOR(KVMIO, 0xb4, struct kvm_arm_copy_mte_tags)

/* Writes that may be collected in a ring instead of causing an exit each. */
struct kvm_coalesced_mmio_zone {
	__u64 addr;
	__u32 size;
	union {
		__u32 pad;
		__u32 pio;
	};
};

struct kvm_coalesced_mmio {
	__u64 phys_addr;
	__u32 len;
	union {
		__u32 pad;
		__u32 pio;
	};
	__u8 data[8];
};

/* Page KVM_COALESCED_MMIO_PAGE_OFFSET of a vCPU's mapping. */
struct kvm_coalesced_mmio_ring {
	__u32 first, last;
	struct kvm_coalesced_mmio coalesced_mmio[];
};

#define KVM_COALESCED_MMIO_PAGE_OFFSET 1
/* Needs PAGE_SIZE of whoever uses it: the page size of the kernel that is talked to. */
#define KVM_COALESCED_MMIO_MAX \
	((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

#define KVM_REGISTER_COALESCED_MMIO   _IOW(KVMIO, 0x67, struct kvm_coalesced_mmio_zone)
#define KVM_UNREGISTER_COALESCED_MMIO _IOW(KVMIO, 0x68, struct kvm_coalesced_mmio_zone)

/* ---- 4. A VM: interrupts ----------------------------------------------------------------- */

struct kvm_irq_level {
	union {
		__u32 irq;
		__s32 status; /* out, of KVM_IRQ_LINE_STATUS */
	};
	__u32 level;
};

/* kvm_irq_level.irq: | vcpu2 31:28 | type 27:24 | vcpu 23:16 | number 15:0 | */
#define KVM_ARM_IRQ_VCPU2_SHIFT 28
#define KVM_ARM_IRQ_VCPU2_MASK  0xf
#define KVM_ARM_IRQ_TYPE_SHIFT  24
#define KVM_ARM_IRQ_TYPE_MASK   0xf
#define KVM_ARM_IRQ_VCPU_SHIFT  16
#define KVM_ARM_IRQ_VCPU_MASK   0xff
#define KVM_ARM_IRQ_NUM_SHIFT   0
#define KVM_ARM_IRQ_NUM_MASK    0xffff

#define KVM_ARM_IRQ_TYPE_CPU 0 /* a pin of a vCPU; without an in-kernel irqchip */
#define KVM_ARM_IRQ_TYPE_SPI 1 /* the in-kernel irqchip's */
#define KVM_ARM_IRQ_TYPE_PPI 2 /* the in-kernel irqchip's */

/* The numbers of type CPU. */
#define KVM_ARM_IRQ_CPU_IRQ 0
#define KVM_ARM_IRQ_CPU_FIQ 1

#define KVM_ARM_IRQ_GIC_MAX 127 /* of old, before KVM_DEV_ARM_VGIC_GRP_NR_IRQS */
#define KVM_NR_IRQCHIPS     1

struct kvm_irq_routing_irqchip {
	__u32 irqchip;
	__u32 pin;
};

struct kvm_irq_routing_msi {
	__u32 address_lo;
	__u32 address_hi;
	__u32 data;
	union {
		__u32 pad;
		__u32 devid; /* with KVM_MSI_VALID_DEVID */
	};
};

/* Of s390 only, but it gives the entry below its alignment of 8. */
struct kvm_irq_routing_s390_adapter {
	__u64 ind_addr;
	__u64 summary_addr;
	__u64 ind_offset;
	__u32 summary_offset;
	__u32 adapter_id;
};

#define KVM_IRQ_ROUTING_IRQCHIP 1
#define KVM_IRQ_ROUTING_MSI     2

struct kvm_irq_routing_entry {
	__u32 gsi;
	__u32 type; /* KVM_IRQ_ROUTING_* */
	__u32 flags;
	__u32 pad;
	union {
		struct kvm_irq_routing_irqchip irqchip;
		struct kvm_irq_routing_msi msi;
		struct kvm_irq_routing_s390_adapter adapter;
		__u32 pad[8];
	} u;
};

struct kvm_irq_routing {
	__u32 nr;
	__u32 flags;
	struct kvm_irq_routing_entry entries[];
};

struct kvm_irqfd {
	__u32 fd;
	__u32 gsi;
	__u32 flags;
	__u32 resamplefd;
	__u8 pad[16];
};

#define KVM_IRQFD_FLAG_DEASSIGN (1 << 0)
#define KVM_IRQFD_FLAG_RESAMPLE (1 << 1)

struct kvm_ioeventfd {
	__u64 datamatch;
	__u64 addr;
	__u32 len; /* 1, 2, 4 or 8; 0 for any */
	__s32 fd;
	__u32 flags;
	__u8 pad[36];
};

/* The bit numbers of kvm_ioeventfd.flags. */
enum {
	kvm_ioeventfd_flag_nr_datamatch = 0,
	kvm_ioeventfd_flag_nr_pio = 1,
	kvm_ioeventfd_flag_nr_deassign = 2,
	kvm_ioeventfd_flag_nr_virtio_ccw_notify = 3,
	kvm_ioeventfd_flag_nr_fast_mmio = 4,
	kvm_ioeventfd_flag_nr_max = 5,
};

#define KVM_IOEVENTFD_FLAG_DATAMATCH         (1 << kvm_ioeventfd_flag_nr_datamatch)
#define KVM_IOEVENTFD_FLAG_PIO               (1 << kvm_ioeventfd_flag_nr_pio)
#define KVM_IOEVENTFD_FLAG_DEASSIGN          (1 << kvm_ioeventfd_flag_nr_deassign)
#define KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY (1 << kvm_ioeventfd_flag_nr_virtio_ccw_notify)
#define KVM_IOEVENTFD_VALID_FLAG_MASK        ((1 << kvm_ioeventfd_flag_nr_max) - 1)

struct kvm_msi {
	__u32 address_lo;
	__u32 address_hi;
	__u32 data;
	__u32 flags;
	__u32 devid;
	__u8 pad[12];
};

#define KVM_MSI_VALID_DEVID (1U << 0)

#define KVM_CREATE_IRQCHIP  _IO(KVMIO, 0x60)
#define KVM_IRQ_LINE        _IOW(KVMIO, 0x61, struct kvm_irq_level)
#define KVM_IRQ_LINE_STATUS _IOWR(KVMIO, 0x67, struct kvm_irq_level)
#define KVM_SET_GSI_ROUTING _IOW(KVMIO, 0x6a, struct kvm_irq_routing)
#define KVM_IRQFD           _IOW(KVMIO, 0x76, struct kvm_irqfd)
#define KVM_IOEVENTFD       _IOW(KVMIO, 0x79, struct kvm_ioeventfd)
#define KVM_SIGNAL_MSI      _IOW(KVMIO, 0xa5, struct kvm_msi)

/* ---- 5. A VM: devices -------------------------------------------------------------------- */

enum kvm_device_type {
	KVM_DEV_TYPE_FSL_MPIC_20 = 1,
	KVM_DEV_TYPE_FSL_MPIC_42 = 2,
	KVM_DEV_TYPE_XICS = 3,
	KVM_DEV_TYPE_VFIO = 4,
	KVM_DEV_TYPE_ARM_VGIC_V2 = 5,
	KVM_DEV_TYPE_FLIC = 6,
	KVM_DEV_TYPE_ARM_VGIC_V3 = 7,
	KVM_DEV_TYPE_ARM_VGIC_ITS = 8,
	KVM_DEV_TYPE_XIVE = 9,
	KVM_DEV_TYPE_ARM_PV_TIME = 10,
	KVM_DEV_TYPE_MAX = 11,
};

/* Programs ask with #ifdef whether a type is known. */
#define KVM_DEV_TYPE_FSL_MPIC_20  KVM_DEV_TYPE_FSL_MPIC_20
#define KVM_DEV_TYPE_FSL_MPIC_42  KVM_DEV_TYPE_FSL_MPIC_42
#define KVM_DEV_TYPE_XICS         KVM_DEV_TYPE_XICS
#define KVM_DEV_TYPE_VFIO         KVM_DEV_TYPE_VFIO
#define KVM_DEV_TYPE_ARM_VGIC_V2  KVM_DEV_TYPE_ARM_VGIC_V2
#define KVM_DEV_TYPE_FLIC         KVM_DEV_TYPE_FLIC
#define KVM_DEV_TYPE_ARM_VGIC_V3  KVM_DEV_TYPE_ARM_VGIC_V3
#define KVM_DEV_TYPE_ARM_VGIC_ITS KVM_DEV_TYPE_ARM_VGIC_ITS
#define KVM_DEV_TYPE_XIVE         KVM_DEV_TYPE_XIVE
#define KVM_DEV_TYPE_ARM_PV_TIME  KVM_DEV_TYPE_ARM_PV_TIME

struct kvm_create_device {
	__u32 type; /* KVM_DEV_TYPE_* */
	__u32 fd;   /* out */
	__u32 flags;
};

#define KVM_CREATE_DEVICE_TEST 1 /* only ask */

/* An attribute of a device, a VM or a vCPU: set, got, or asked for. */
struct kvm_device_attr {
	__u32 flags; /* 0 */
	__u32 group;
	__u64 attr;
	__u64 addr; /* of the value */
};

#define KVM_CREATE_DEVICE   _IOWR(KVMIO, 0xe0, struct kvm_create_device)
#define KVM_SET_DEVICE_ATTR _IOW(KVMIO, 0xe1, struct kvm_device_attr)
#define KVM_GET_DEVICE_ATTR _IOW(KVMIO, 0xe2, struct kvm_device_attr)
#define KVM_HAS_DEVICE_ATTR _IOW(KVMIO, 0xe3, struct kvm_device_attr)

/* The old way to say where the in-kernel GICv2 lies: id is type in 15:0 and device in 31:16. */
struct kvm_arm_device_addr {
	__u64 id;
	__u64 addr;
};

#define KVM_ARM_DEVICE_TYPE_SHIFT 0
#define KVM_ARM_DEVICE_TYPE_MASK  0xffffUL
#define KVM_ARM_DEVICE_ID_SHIFT   16
#define KVM_ARM_DEVICE_ID_MASK    0xffff0000UL
#define KVM_ARM_DEVICE_VGIC_V2    0

#define KVM_ARM_SET_DEVICE_ADDR _IOW(KVMIO, 0xab, struct kvm_arm_device_addr)

/* Frames of the in-kernel GICs: what attribute of group ADDR places each, and how large it is. */
#define KVM_VGIC_V2_ADDR_TYPE_DIST          0
#define KVM_VGIC_V2_ADDR_TYPE_CPU           1
#define KVM_VGIC_V3_ADDR_TYPE_DIST          2
#define KVM_VGIC_V3_ADDR_TYPE_REDIST        3
#define KVM_VGIC_ITS_ADDR_TYPE              4
#define KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION 5

#define KVM_VGIC_V2_DIST_SIZE   0x1000
#define KVM_VGIC_V2_CPU_SIZE    0x2000
#define KVM_VGIC_V3_DIST_SIZE   0x10000
#define KVM_VGIC_V3_REDIST_SIZE 0x20000
#define KVM_VGIC_V3_ITS_SIZE    0x20000

/* Groups of attributes of the in-kernel GICs. */
#define KVM_DEV_ARM_VGIC_GRP_ADDR        0
#define KVM_DEV_ARM_VGIC_GRP_DIST_REGS   1
#define KVM_DEV_ARM_VGIC_GRP_CPU_REGS    2
#define KVM_DEV_ARM_VGIC_GRP_NR_IRQS     3
#define KVM_DEV_ARM_VGIC_GRP_CTRL        4
#define KVM_DEV_ARM_VGIC_GRP_REDIST_REGS 5
#define KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS 6
#define KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO  7
#define KVM_DEV_ARM_VGIC_GRP_ITS_REGS    8

/* How a register of a GIC is named in attr: whose it is, and where. */
#define KVM_DEV_ARM_VGIC_OFFSET_SHIFT      0
#define KVM_DEV_ARM_VGIC_OFFSET_MASK       (0xffffffffULL << KVM_DEV_ARM_VGIC_OFFSET_SHIFT)
#define KVM_DEV_ARM_VGIC_CPUID_SHIFT       32
#define KVM_DEV_ARM_VGIC_CPUID_MASK        (0xffULL << KVM_DEV_ARM_VGIC_CPUID_SHIFT)
#define KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT    32
#define KVM_DEV_ARM_VGIC_V3_MPIDR_MASK     (0xffffffffULL << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT)
#define KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK 0xffff

/* Group LEVEL_INFO: what is asked, and for which 32 interrupts. */
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT 10
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK \
	(0x3fffffULL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT)
#define KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK 0x3ff
#define VGIC_LEVEL_INFO_LINE_LEVEL             0

/* Group CTRL. */
#define KVM_DEV_ARM_VGIC_CTRL_INIT           0
#define KVM_DEV_ARM_ITS_SAVE_TABLES          1
#define KVM_DEV_ARM_ITS_RESTORE_TABLES       2
#define KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES 3
#define KVM_DEV_ARM_ITS_CTRL_RESET           4

/* The VFIO device: which groups a VM uses. */
#define KVM_DEV_VFIO_GROUP     1
#define KVM_DEV_VFIO_GROUP_ADD 1
#define KVM_DEV_VFIO_GROUP_DEL 2

/* ---- 6. A vCPU: making one --------------------------------------------------------------- */

#define KVM_ARM_TARGET_AEM_V8        0
#define KVM_ARM_TARGET_FOUNDATION_V8 1
#define KVM_ARM_TARGET_CORTEX_A57    2
#define KVM_ARM_TARGET_XGENE_POTENZA 3
#define KVM_ARM_TARGET_CORTEX_A53    4
#define KVM_ARM_TARGET_GENERIC_V8    5 /* any ARMv8 CPU; what PREFERRED_TARGET answers today */
#define KVM_ARM_NUM_TARGETS          6

/* Bit numbers in kvm_vcpu_init.features. */
#define KVM_ARM_VCPU_POWER_OFF       0 /* starts stopped, until PSCI CPU_ON */
#define KVM_ARM_VCPU_EL1_32BIT       1 /* EL1 is AArch32 */
#define KVM_ARM_VCPU_PSCI_0_2        2 /* PSCI 0.2 or later, not 0.1 */
#define KVM_ARM_VCPU_PMU_V3          3
#define KVM_ARM_VCPU_SVE             4
#define KVM_ARM_VCPU_PTRAUTH_ADDRESS 5
#define KVM_ARM_VCPU_PTRAUTH_GENERIC 6

struct kvm_vcpu_init {
	__u32 target;
	__u32 features[7];
};

#define KVM_CREATE_VCPU          _IO(KVMIO, 0x41)
#define KVM_ARM_VCPU_INIT        _IOW(KVMIO, 0xae, struct kvm_vcpu_init)
#define KVM_ARM_PREFERRED_TARGET _IOR(KVMIO, 0xaf, struct kvm_vcpu_init)
#define KVM_ARM_VCPU_FINALIZE    _IOW(KVMIO, 0xc2, int)

/* Attributes of a vCPU. Group PMU_V3_CTRL: */
#define KVM_ARM_VCPU_PMU_V3_CTRL    0
#define KVM_ARM_VCPU_PMU_V3_IRQ     0 /* an int: the interrupt of an in-kernel irqchip */
#define KVM_ARM_VCPU_PMU_V3_INIT    1
#define KVM_ARM_VCPU_PMU_V3_FILTER  2 /* a struct kvm_pmu_event_filter */
#define KVM_ARM_VCPU_PMU_V3_SET_PMU 3 /* an int: which of the host's PMUs */
/* Group TIMER_CTRL, each an int, a PPI: */
#define KVM_ARM_VCPU_TIMER_CTRL       1
#define KVM_ARM_VCPU_TIMER_IRQ_VTIMER 0
#define KVM_ARM_VCPU_TIMER_IRQ_PTIMER 1
/* Group PVTIME_CTRL, a __u64: where the stolen time is told. */
#define KVM_ARM_VCPU_PVTIME_CTRL 2
#define KVM_ARM_VCPU_PVTIME_IPA  0

/* Events base_event and the nevents - 1 that follow. */
struct kvm_pmu_event_filter {
	__u16 base_event;
	__u16 nevents;
	__u8 action;
	__u8 pad[3];
};

#define KVM_PMU_EVENT_ALLOW 0
#define KVM_PMU_EVENT_DENY  1

#define KVM_SET_PMU_EVENT_FILTER _IOW(KVMIO, 0xb2, struct kvm_pmu_event_filter)

/* ---- 7. A vCPU: running it --------------------------------------------------------------- */

/* kvm_run.exit_reason: one list for all architectures. */
#define KVM_EXIT_UNKNOWN         0
#define KVM_EXIT_EXCEPTION       1
#define KVM_EXIT_IO              2
#define KVM_EXIT_HYPERCALL       3
#define KVM_EXIT_DEBUG           4
#define KVM_EXIT_HLT             5
#define KVM_EXIT_MMIO            6
#define KVM_EXIT_IRQ_WINDOW_OPEN 7
#define KVM_EXIT_SHUTDOWN        8
#define KVM_EXIT_FAIL_ENTRY      9
#define KVM_EXIT_INTR            10
#define KVM_EXIT_SET_TPR         11
#define KVM_EXIT_TPR_ACCESS      12
#define KVM_EXIT_S390_SIEIC      13
#define KVM_EXIT_S390_RESET      14
#define KVM_EXIT_DCR             15
#define KVM_EXIT_NMI             16
#define KVM_EXIT_INTERNAL_ERROR  17
#define KVM_EXIT_OSI             18
#define KVM_EXIT_PAPR_HCALL      19
#define KVM_EXIT_S390_UCONTROL   20
#define KVM_EXIT_WATCHDOG        21
#define KVM_EXIT_S390_TSCH       22
#define KVM_EXIT_EPR             23
#define KVM_EXIT_SYSTEM_EVENT    24
#define KVM_EXIT_S390_STSI       25
#define KVM_EXIT_IOAPIC_EOI      26
#define KVM_EXIT_HYPERV          27
#define KVM_EXIT_ARM_NISV        28
#define KVM_EXIT_X86_RDMSR       29
#define KVM_EXIT_X86_WRMSR       30
#define KVM_EXIT_DIRTY_RING_FULL 31
#define KVM_EXIT_AP_RESET_HOLD   32
#define KVM_EXIT_X86_BUS_LOCK    33
#define KVM_EXIT_XEN             34
#define KVM_EXIT_RISCV_SBI       35
#define KVM_EXIT_RISCV_CSR       36
#define KVM_EXIT_NOTIFY          37

/* kvm_run.io.direction */
#define KVM_EXIT_IO_IN  0
#define KVM_EXIT_IO_OUT 1

/* kvm_run.internal.suberror */
#define KVM_INTERNAL_ERROR_EMULATION              1
#define KVM_INTERNAL_ERROR_SIMUL_EX               2
#define KVM_INTERNAL_ERROR_DELIVERY_EV            3
#define KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON 4
/* kvm_run.emulation_failure.flags */
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES (1ULL << 0)

/* kvm_run.system_event.type; the flags of a reset on arm64 */
#define KVM_SYSTEM_EVENT_SHUTDOWN               1
#define KVM_SYSTEM_EVENT_RESET                  2
#define KVM_SYSTEM_EVENT_CRASH                  3
#define KVM_SYSTEM_EVENT_WAKEUP                 4
#define KVM_SYSTEM_EVENT_SUSPEND                5
#define KVM_SYSTEM_EVENT_SEV_TERM               6
#define KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2 (1ULL << 0)

/* kvm_run.fail_entry.hardware_entry_failure_reason */
#define KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED (1ULL << 0)

/* kvm_run.debug.arch: the syndrome, and the address for a watchpoint. */
struct kvm_debug_exit_arch {
	__u32 hsr;
	__u32 hsr_high; /* when kvm_run.flags has KVM_DEBUG_ARCH_HSR_HIGH_VALID */
	__u64 far;
};

#define KVM_DEBUG_ARCH_HSR_HIGH_VALID (1 << 0)

/*
 * The levels of the in-kernel devices' outputs, for a VM without an in-kernel irqchip: fresh after
 * every return to user space, whatever kvm_valid_regs and kvm_dirty_regs say
 * (KVM_CAP_ARM_USER_IRQ).
 */
struct kvm_sync_regs {
	__u64 device_irq_level;
};

#define KVM_ARM_DEV_EL1_VTIMER (1 << 0)
#define KVM_ARM_DEV_EL1_PTIMER (1 << 1)
#define KVM_ARM_DEV_PMU        (1 << 2)

#define SYNC_REGS_SIZE_BYTES 2048

/* What a vCPU shares with its VMM: mmap() of the vCPU at offset 0. */
struct kvm_run {
	__u8 request_interrupt_window; /* in */
	__u8 immediate_exit;           /* in */
	__u8 padding1[6];

	__u32 exit_reason;                  /* out, as all that follows */
	__u8 ready_for_interrupt_injection; /* x86 only, as the next */
	__u8 if_flag;
	__u16 flags;

	__u64 cr8; /* x86 only, as the next */
	__u64 apic_base;

	union {
		struct {
			__u64 hardware_exit_reason;
		} hw;
		struct {
			__u64 hardware_entry_failure_reason;
			__u32 cpu;
		} fail_entry;
		struct {
			__u32 exception;
			__u32 error_code;
		} ex;
		struct {
			__u8 direction;
			__u8 size;
			__u16 port;
			__u32 count;
			__u64 data_offset;
		} io;
		struct {
			struct kvm_debug_exit_arch arch;
		} debug;
		/*
		 * data holds len bytes in guest memory order; for a read, they go in by the next
		 * run.
		 */
		struct {
			__u64 phys_addr;
			__u8 data[8];
			__u32 len;
			__u8 is_write;
		} mmio;
		struct {
			__u64 nr;
			__u64 args[6];
			__u64 ret;
			__u32 longmode;
			__u32 pad;
		} hypercall;
		struct {
			__u32 suberror;
			__u32 ndata;
			__u64 data[16];
		} internal;
		/* internal, with suberror EMULATION, seen in more detail */
		struct {
			__u32 suberror;
			__u32 ndata;
			__u64 flags;
			union {
				struct {
					__u8 insn_size;
					__u8 insn_bytes[15];
				};
			};
		} emulation_failure;
		struct {
			__u32 type; /* KVM_SYSTEM_EVENT_* */
			__u32 ndata;
			union {
				__u64 flags;
				__u64 data[16];
			};
		} system_event;
		/* a data abort without a valid syndrome, with KVM_CAP_ARM_NISV_TO_USER enabled */
		struct {
			__u64 esr_iss;
			__u64 fault_ipa;
		} arm_nisv;
		char padding[256];
	};

	__u64 kvm_valid_regs; /* in; no register class on arm64 */
	__u64 kvm_dirty_regs;
	union {
		struct kvm_sync_regs regs;
		char padding[SYNC_REGS_SIZE_BYTES];
	} s;
};

/* The mask of signals while KVM_RUN runs; len is the size of the kernel's sigset, 8. */
struct kvm_signal_mask {
	__u32 len;
	__u8 sigset[];
};

struct kvm_mp_state {
	__u32 mp_state;
};

/* arm64 knows RUNNABLE, STOPPED and, when enabled, SUSPENDED. */
#define KVM_MP_STATE_RUNNABLE      0
#define KVM_MP_STATE_UNINITIALIZED 1
#define KVM_MP_STATE_INIT_RECEIVED 2
#define KVM_MP_STATE_HALTED        3
#define KVM_MP_STATE_SIPI_RECEIVED 4
#define KVM_MP_STATE_STOPPED       5
#define KVM_MP_STATE_CHECK_STOP    6
#define KVM_MP_STATE_OPERATING     7
#define KVM_MP_STATE_LOAD          8
#define KVM_MP_STATE_AP_RESET_HOLD 9
#define KVM_MP_STATE_SUSPENDED     10

/* Requests of other architectures' vCPUs; arm64 refuses them. */
struct kvm_interrupt {
	__u32 irq;
};

struct kvm_translation {
	__u64 linear_address;
	__u64 physical_address;
	__u8 valid;
	__u8 writeable;
	__u8 usermode;
	__u8 pad[5];
};

#define KVM_RUN             _IO(KVMIO, 0x80)
#define KVM_GET_REGS        _IOR(KVMIO, 0x81, struct kvm_regs)
#define KVM_SET_REGS        _IOW(KVMIO, 0x82, struct kvm_regs)
#define KVM_GET_SREGS       _IOR(KVMIO, 0x83, struct kvm_sregs)
#define KVM_SET_SREGS       _IOW(KVMIO, 0x84, struct kvm_sregs)
#define KVM_TRANSLATE       _IOWR(KVMIO, 0x85, struct kvm_translation)
#define KVM_INTERRUPT       _IOW(KVMIO, 0x86, struct kvm_interrupt)
#define KVM_SET_SIGNAL_MASK _IOW(KVMIO, 0x8b, struct kvm_signal_mask)
#define KVM_GET_FPU         _IOR(KVMIO, 0x8c, struct kvm_fpu)
#define KVM_SET_FPU         _IOW(KVMIO, 0x8d, struct kvm_fpu)
#define KVM_GET_MP_STATE    _IOR(KVMIO, 0x98, struct kvm_mp_state)
#define KVM_SET_MP_STATE    _IOW(KVMIO, 0x99, struct kvm_mp_state)

/* Exceptions that wait to be taken. An SError stays pending; an external abort is set only. */
struct kvm_vcpu_events {
	struct {
		__u8 serror_pending;
		__u8 serror_has_esr;
		__u8 ext_dabt_pending;
		__u8 pad[5];
		__u64 serror_esr;
	} exception;
	__u32 reserved[12];
};

#define KVM_GET_VCPU_EVENTS _IOR(KVMIO, 0x9f, struct kvm_vcpu_events)
#define KVM_SET_VCPU_EVENTS _IOW(KVMIO, 0xa0, struct kvm_vcpu_events)

/* Debugging a guest from outside: breakpoints, watchpoints (Arm ARM, D17.3), single step. */
#define KVM_ARM_MAX_DBG_REGS 16

struct kvm_guest_debug_arch {
	__u64 dbg_bcr[KVM_ARM_MAX_DBG_REGS];
	__u64 dbg_bvr[KVM_ARM_MAX_DBG_REGS];
	__u64 dbg_wcr[KVM_ARM_MAX_DBG_REGS];
	__u64 dbg_wvr[KVM_ARM_MAX_DBG_REGS];
};

struct kvm_guest_debug {
	__u32 control; /* KVM_GUESTDBG_* */
	__u32 pad;
	struct kvm_guest_debug_arch arch;
};

#define KVM_GUESTDBG_ENABLE     0x00000001
#define KVM_GUESTDBG_SINGLESTEP 0x00000002
#define KVM_GUESTDBG_USE_SW_BP  (1 << 16)
#define KVM_GUESTDBG_USE_HW     (1 << 17)

#define KVM_SET_GUEST_DEBUG _IOW(KVMIO, 0x9b, struct kvm_guest_debug)

/* ---- 8. A vCPU: one register at a time --------------------------------------------------- */

struct kvm_one_reg {
	__u64 id;
	__u64 addr; /* of the value, as large as the id says */
};

struct kvm_reg_list {
	__u64 n; /* in: room for so many; out: so many there are */
	__u64 reg[];
};

#define KVM_GET_ONE_REG  _IOW(KVMIO, 0xab, struct kvm_one_reg)
#define KVM_SET_ONE_REG  _IOW(KVMIO, 0xac, struct kvm_one_reg)
#define KVM_GET_REG_LIST _IOWR(KVMIO, 0xb0, struct kvm_reg_list)

/* An id: | architecture 63:56 | size 55:52 | 0 51:28 | coprocessor 27:16 | which 15:0 | */
#define KVM_REG_ARCH_MASK 0xff00000000000000ULL
#define KVM_REG_GENERIC   0x0000000000000000ULL
#define KVM_REG_PPC       0x1000000000000000ULL
#define KVM_REG_X86       0x2000000000000000ULL
#define KVM_REG_IA64      0x3000000000000000ULL
#define KVM_REG_ARM       0x4000000000000000ULL
#define KVM_REG_S390      0x5000000000000000ULL
#define KVM_REG_ARM64     0x6000000000000000ULL
#define KVM_REG_MIPS      0x7000000000000000ULL
#define KVM_REG_RISCV     0x8000000000000000ULL

/* The size is the logarithm of the number of bytes. */
#define KVM_REG_SIZE_SHIFT 52
#define KVM_REG_SIZE_MASK  0x00f0000000000000ULL
#define KVM_REG_SIZE_U8    0x0000000000000000ULL
#define KVM_REG_SIZE_U16   0x0010000000000000ULL
#define KVM_REG_SIZE_U32   0x0020000000000000ULL
#define KVM_REG_SIZE_U64   0x0030000000000000ULL
#define KVM_REG_SIZE_U128  0x0040000000000000ULL
#define KVM_REG_SIZE_U256  0x0050000000000000ULL
#define KVM_REG_SIZE_U512  0x0060000000000000ULL
#define KVM_REG_SIZE_U1024 0x0070000000000000ULL
#define KVM_REG_SIZE_U2048 0x0080000000000000ULL
#define KVM_REG_SIZE(id)   (1U << (((id)&KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT))

/* The "coprocessors" of arm64. */
#define KVM_REG_ARM_COPROC_MASK  0x000000000fff0000
#define KVM_REG_ARM_COPROC_SHIFT 16
#define KVM_REG_ARM_CORE         (0x10 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_DEMUX        (0x11 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM64_SYSREG     (0x13 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_FW           (0x14 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM64_SVE        (0x15 << KVM_REG_ARM_COPROC_SHIFT)
#define KVM_REG_ARM_FW_FEAT_BMAP (0x16 << KVM_REG_ARM_COPROC_SHIFT)

/*
 * Core registers: the offset in struct kvm_regs, in words. Sizes U64, U128 (V) and U32 (FPSR,
 * FPCR).
 */
#define KVM_REG_ARM_CORE_REG(name) (offsetof(struct kvm_regs, name) / sizeof(__u32))

/* Demultiplexed registers: CCSIDR, one for each value of CSSELR. */
#define KVM_REG_ARM_DEMUX_ID_MASK   0x000000000000ff00
#define KVM_REG_ARM_DEMUX_ID_SHIFT  8
#define KVM_REG_ARM_DEMUX_ID_CCSIDR (0x00 << KVM_REG_ARM_DEMUX_ID_SHIFT)
#define KVM_REG_ARM_DEMUX_VAL_MASK  0x00000000000000ff
#define KVM_REG_ARM_DEMUX_VAL_SHIFT 0

/* System registers: the fields of the MRS instruction. */
#define KVM_REG_ARM64_SYSREG_OP0_MASK  0x000000000000c000
#define KVM_REG_ARM64_SYSREG_OP0_SHIFT 14
#define KVM_REG_ARM64_SYSREG_OP1_MASK  0x0000000000003800
#define KVM_REG_ARM64_SYSREG_OP1_SHIFT 11
#define KVM_REG_ARM64_SYSREG_CRN_MASK  0x0000000000000780
#define KVM_REG_ARM64_SYSREG_CRN_SHIFT 7
#define KVM_REG_ARM64_SYSREG_CRM_MASK  0x0000000000000078
#define KVM_REG_ARM64_SYSREG_CRM_SHIFT 3
#define KVM_REG_ARM64_SYSREG_OP2_MASK  0x0000000000000007
#define KVM_REG_ARM64_SYSREG_OP2_SHIFT 0

#define ARM64_SYS_REG_SHIFT_MASK(value, field) \
	(((value) << KVM_REG_ARM64_SYSREG_##field##_SHIFT) & KVM_REG_ARM64_SYSREG_##field##_MASK)

#define __ARM64_SYS_REG(op0, op1, crn, crm, op2)                                     \
	(KVM_REG_ARM64 | KVM_REG_ARM64_SYSREG | ARM64_SYS_REG_SHIFT_MASK(op0, OP0) | \
	 ARM64_SYS_REG_SHIFT_MASK(op1, OP1) | ARM64_SYS_REG_SHIFT_MASK(crn, CRN) |   \
	 ARM64_SYS_REG_SHIFT_MASK(crm, CRM) | ARM64_SYS_REG_SHIFT_MASK(op2, OP2))

#define ARM64_SYS_REG(...) (__ARM64_SYS_REG(__VA_ARGS__) | KVM_REG_SIZE_U64)

/*
 * The timers' registers. By an old mistake the virtual timer's CVAL and CNT have each other's
 * encodings, and as an ABI they keep them; so these names must be used, and no encoding worked out.
 */
#define KVM_REG_ARM_TIMER_CTL   ARM64_SYS_REG(3, 3, 14, 3, 1) /* CNTV_CTL_EL0 */
#define KVM_REG_ARM_TIMER_CNT   ARM64_SYS_REG(3, 3, 14, 3, 2) /* CNTVCT_EL0, with CNTV_CVAL's */
#define KVM_REG_ARM_TIMER_CVAL  ARM64_SYS_REG(3, 3, 14, 0, 2) /* CNTV_CVAL_EL0, with CNTVCT's */
#define KVM_REG_ARM_PTIMER_CTL  ARM64_SYS_REG(3, 3, 14, 2, 1) /* CNTP_CTL_EL0 */
#define KVM_REG_ARM_PTIMER_CVAL ARM64_SYS_REG(3, 3, 14, 2, 2) /* CNTP_CVAL_EL0 */
#define KVM_REG_ARM_PTIMER_CNT  ARM64_SYS_REG(3, 3, 14, 0, 1) /* CNTPCT_EL0 */

/* The firmware that KVM is to its guest: its PSCI version, and what it says of CPU errata. */
#define KVM_REG_ARM_FW_REG(nr)   (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW | ((nr)&0xffff))
#define KVM_REG_ARM_PSCI_VERSION KVM_REG_ARM_FW_REG(0)

#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1              KVM_REG_ARM_FW_REG(1)
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1_NOT_AVAIL    0
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1_AVAIL        1
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1_NOT_REQUIRED 2

#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2              KVM_REG_ARM_FW_REG(2)
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_AVAIL    0
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_UNKNOWN      1
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_AVAIL        2
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_NOT_REQUIRED 3
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED      (1U << 4)

#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3              KVM_REG_ARM_FW_REG(3)
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3_NOT_AVAIL    0
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3_AVAIL        1
#define KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3_NOT_REQUIRED 2

/* Bitmaps of the firmware's services that the guest may see. */
#define KVM_REG_ARM_FW_FEAT_BMAP_REG(nr) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW_FEAT_BMAP | ((nr)&0xffff))
#define KVM_REG_ARM_STD_BMAP        KVM_REG_ARM_FW_FEAT_BMAP_REG(0)
#define KVM_REG_ARM_STD_HYP_BMAP    KVM_REG_ARM_FW_FEAT_BMAP_REG(1)
#define KVM_REG_ARM_VENDOR_HYP_BMAP KVM_REG_ARM_FW_FEAT_BMAP_REG(2)

/* Their bit numbers. */
enum {
	KVM_REG_ARM_STD_BIT_TRNG_V1_0 = 0,
};

enum {
	KVM_REG_ARM_STD_HYP_BIT_PV_TIME = 0,
};

enum {
	KVM_REG_ARM_VENDOR_HYP_BIT_FUNC_FEAT = 0,
	KVM_REG_ARM_VENDOR_HYP_BIT_PTP = 1,
};

/* SVE: Z registers in slices of 256 bytes, P registers and FFR in slices of 32. */
#define KVM_REG_ARM64_SVE_ZREG_BASE 0
#define KVM_REG_ARM64_SVE_PREG_BASE 0x400
#define KVM_REG_ARM64_SVE_FFR_BASE  0x600
#define KVM_ARM64_SVE_NUM_ZREGS     32
#define KVM_ARM64_SVE_NUM_PREGS     16
#define KVM_ARM64_SVE_MAX_SLICES    32

#define KVM_REG_ARM64_SVE_ZREG(n, slice)                                                        \
	(KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_ARM64_SVE_ZREG_BASE | KVM_REG_SIZE_U2048 | \
	 (((n) & (KVM_ARM64_SVE_NUM_ZREGS - 1)) << 5) |                                         \
	 ((slice) & (KVM_ARM64_SVE_MAX_SLICES - 1)))

#define KVM_REG_ARM64_SVE_PREG(n, slice)                                                       \
	(KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_ARM64_SVE_PREG_BASE | KVM_REG_SIZE_U256 | \
	 (((n) & (KVM_ARM64_SVE_NUM_PREGS - 1)) << 5) |                                        \
	 ((slice) & (KVM_ARM64_SVE_MAX_SLICES - 1)))

#define KVM_REG_ARM64_SVE_FFR(slice)                                                          \
	(KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_ARM64_SVE_FFR_BASE | KVM_REG_SIZE_U256 | \
	 ((slice) & (KVM_ARM64_SVE_MAX_SLICES - 1)))

/* The vector lengths a vCPU has: a bitmap from VQ_MIN to VQ_MAX, in quadwords of 16 bytes. */
#define KVM_ARM64_SVE_VQ_MIN    1
#define KVM_ARM64_SVE_VQ_MAX    512
#define KVM_REG_ARM64_SVE_VLS   (KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_SIZE_U512 | 0xffff)
#define KVM_ARM64_SVE_VLS_WORDS ((KVM_ARM64_SVE_VQ_MAX - KVM_ARM64_SVE_VQ_MIN) / 64 + 1)

/* ---- 9. Counters of a VM or a vCPU, read from a descriptor of their own ------------------ */

/* The file starts so; the offsets are of its name, its descriptors and its data. */
struct kvm_stats_header {
	__u32 flags;
	__u32 name_size;
	__u32 num_desc;
	__u32 id_offset;
	__u32 desc_offset;
	__u32 data_offset;
};

struct kvm_stats_desc {
	__u32 flags; /* type, unit and base */
	__s16 exponent;
	__u16 size; /* how many __u64 */
	__u32 offset;
	__u32 bucket_size;
	char name[];
};

#define KVM_STATS_TYPE_SHIFT       0
#define KVM_STATS_TYPE_MASK        (0xf << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_CUMULATIVE  (0x0 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_INSTANT     (0x1 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_PEAK        (0x2 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LINEAR_HIST (0x3 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_LOG_HIST    (0x4 << KVM_STATS_TYPE_SHIFT)
#define KVM_STATS_TYPE_MAX         KVM_STATS_TYPE_LOG_HIST

#define KVM_STATS_UNIT_SHIFT   4
#define KVM_STATS_UNIT_MASK    (0xf << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_NONE    (0x0 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BYTES   (0x1 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_SECONDS (0x2 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_CYCLES  (0x3 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_BOOLEAN (0x4 << KVM_STATS_UNIT_SHIFT)
#define KVM_STATS_UNIT_MAX     KVM_STATS_UNIT_BOOLEAN

#define KVM_STATS_BASE_SHIFT 8
#define KVM_STATS_BASE_MASK  (0xf << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW10 (0x0 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_POW2  (0x1 << KVM_STATS_BASE_SHIFT)
#define KVM_STATS_BASE_MAX   KVM_STATS_BASE_POW2

#define KVM_GET_STATS_FD _IO(KVMIO, 0xce)

/* ---- 10. PSCI, as guests call it (Arm DEN 0022) ------------------------------------------ */

#ifndef _LINUX_PSCI_H
/* Function identifiers of SMCCC; those of SMC64 have bit 30 set. */
#define PSCI_0_2_64BIT     0x40000000
#define PSCI_0_2_FN_BASE   0x84000000
#define PSCI_0_2_FN64_BASE (PSCI_0_2_FN_BASE + PSCI_0_2_64BIT)
#define PSCI_0_2_FN(nr)    (PSCI_0_2_FN_BASE + (nr))
#define PSCI_0_2_FN64(nr)  (PSCI_0_2_FN64_BASE + (nr))

#define PSCI_0_2_FN_PSCI_VERSION          PSCI_0_2_FN(0)
#define PSCI_0_2_FN_CPU_SUSPEND           PSCI_0_2_FN(1)
#define PSCI_0_2_FN_CPU_OFF               PSCI_0_2_FN(2)
#define PSCI_0_2_FN_CPU_ON                PSCI_0_2_FN(3)
#define PSCI_0_2_FN_AFFINITY_INFO         PSCI_0_2_FN(4)
#define PSCI_0_2_FN_MIGRATE               PSCI_0_2_FN(5)
#define PSCI_0_2_FN_MIGRATE_INFO_TYPE     PSCI_0_2_FN(6)
#define PSCI_0_2_FN_MIGRATE_INFO_UP_CPU   PSCI_0_2_FN(7)
#define PSCI_0_2_FN_SYSTEM_OFF            PSCI_0_2_FN(8)
#define PSCI_0_2_FN_SYSTEM_RESET          PSCI_0_2_FN(9)
#define PSCI_0_2_FN64_CPU_SUSPEND         PSCI_0_2_FN64(1)
#define PSCI_0_2_FN64_CPU_ON              PSCI_0_2_FN64(3)
#define PSCI_0_2_FN64_AFFINITY_INFO       PSCI_0_2_FN64(4)
#define PSCI_0_2_FN64_MIGRATE             PSCI_0_2_FN64(5)
#define PSCI_0_2_FN64_MIGRATE_INFO_UP_CPU PSCI_0_2_FN64(7)
#define PSCI_1_0_FN_PSCI_FEATURES         PSCI_0_2_FN(10)
#define PSCI_1_0_FN_SYSTEM_SUSPEND        PSCI_0_2_FN(14)
#define PSCI_1_0_FN_SET_SUSPEND_MODE      PSCI_0_2_FN(15)
#define PSCI_1_0_FN64_SYSTEM_SUSPEND      PSCI_0_2_FN64(14)
#define PSCI_1_1_FN_SYSTEM_RESET2         PSCI_0_2_FN(18)
#define PSCI_1_1_FN64_SYSTEM_RESET2       PSCI_0_2_FN64(18)

#define PSCI_1_1_RESET_TYPE_SYSTEM_WARM_RESET 0
#define PSCI_1_1_RESET_TYPE_VENDOR_START      0x80000000U

/* AFFINITY_INFO and MIGRATE_INFO_TYPE answer with */
#define PSCI_0_2_AFFINITY_LEVEL_ON         0
#define PSCI_0_2_AFFINITY_LEVEL_OFF        1
#define PSCI_0_2_AFFINITY_LEVEL_ON_PENDING 2
#define PSCI_0_2_TOS_UP_MIGRATE            0
#define PSCI_0_2_TOS_UP_NO_MIGRATE         1
#define PSCI_0_2_TOS_MP                    2

#define PSCI_RET_SUCCESS          0
#define PSCI_RET_NOT_SUPPORTED    (-1)
#define PSCI_RET_INVALID_PARAMS   (-2)
#define PSCI_RET_DENIED           (-3)
#define PSCI_RET_ALREADY_ON       (-4)
#define PSCI_RET_ON_PENDING       (-5)
#define PSCI_RET_INTERNAL_FAILURE (-6)
#define PSCI_RET_NOT_PRESENT      (-7)
#define PSCI_RET_DISABLED         (-8)
#define PSCI_RET_INVALID_ADDRESS  (-9)

/* A version: major in 31:16, minor in 15:0. */
#define PSCI_VERSION_MAJOR_SHIFT 16
#define PSCI_VERSION_MINOR_MASK  ((1U << PSCI_VERSION_MAJOR_SHIFT) - 1)
#define PSCI_VERSION_MAJOR_MASK  (~PSCI_VERSION_MINOR_MASK)
#define PSCI_VERSION_MAJOR(ver)  (((ver)&PSCI_VERSION_MAJOR_MASK) >> PSCI_VERSION_MAJOR_SHIFT)
#define PSCI_VERSION_MINOR(ver)  ((ver)&PSCI_VERSION_MINOR_MASK)
#define PSCI_VERSION(major, minor)                                           \
	((((major) << PSCI_VERSION_MAJOR_SHIFT) & PSCI_VERSION_MAJOR_MASK) | \
	 ((minor)&PSCI_VERSION_MINOR_MASK))
#endif

/* PSCI 0.1, of KVM's own numbers, for a vCPU without KVM_ARM_VCPU_PSCI_0_2. */
#define KVM_PSCI_FN_BASE        0x95c1ba5e
#define KVM_PSCI_FN(nr)         (KVM_PSCI_FN_BASE + (nr))
#define KVM_PSCI_FN_CPU_SUSPEND KVM_PSCI_FN(0)
#define KVM_PSCI_FN_CPU_OFF     KVM_PSCI_FN(1)
#define KVM_PSCI_FN_CPU_ON      KVM_PSCI_FN(2)
#define KVM_PSCI_FN_MIGRATE     KVM_PSCI_FN(3)

#define KVM_PSCI_RET_SUCCESS PSCI_RET_SUCCESS
#define KVM_PSCI_RET_NI      PSCI_RET_NOT_SUPPORTED
#define KVM_PSCI_RET_INVAL   PSCI_RET_INVALID_PARAMS
#define KVM_PSCI_RET_DENIED  PSCI_RET_DENIED

#endif
