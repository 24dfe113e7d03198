/* SPDX-License-Identifier: MIT */
/*
 * Entry, exception vectors, calls into code that the tests make.
 *
 * What must hold: TPIDR_EL1 is the CPU's struct percpu and SP_EL1 its stack from the first
 * instruction of C on. The offsets of struct frame and struct percpu are asserted in runtime.c.
 */
#define FRAME_SIZE 304
#define PERCPU_STACK_TOP 0
#define PERCPU_EL0_SP 8

	.section .text.start, "ax"
	.globl start
start:
	/* Linux, Documentation/arm64/booting.rst: the header of an Image. */
	b	entry
	.long	0
	.quad	0x80000
	.quad	image_size
	.quad	0xa			/* little-endian, 4K pages, anywhere */
	.quad	0, 0, 0
	.long	0x644d5241
	.long	0

entry:
	mov	x20, x0
	ldr	x0, =bss_start
	ldr	x1, =image_end
1:	cmp	x0, x1
	b.hs	2f
	stp	xzr, xzr, [x0], #16
	b	1b
2:	ldr	x0, =percpu
	bl	setup_cpu
	mov	x0, x20
	bl	main
	b	.

	/* PSCI CPU_ON comes here with the struct percpu in x0. */
	.globl secondary
secondary:
	bl	setup_cpu
	bl	secondary_main
	b	.

setup_cpu:
	msr	tpidr_el1, x0
	ldr	x1, [x0, #PERCPU_STACK_TOP]
	cbnz	x1, 1f
	ldr	x1, =first_stack_top
1:	msr	spsel, #1
	mov	sp, x1
	ldr	x1, =vectors
	msr	vbar_el1, x1
	mov	x1, #(3 << 20)
	msr	cpacr_el1, x1
	isb
	ret

	.macro vector number
	.balign 128
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	mov	x0, #\number
	b	trap_entry
	.endm

	.text
	.balign 2048
	.globl vectors
vectors:
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\n
	.endr

trap_entry:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	mrs	x3, esr_el1
	mrs	x4, far_el1
	stp	x30, x1, [sp, #240]
	stp	x2, x3, [sp, #256]
	stp	x4, x0, [sp, #272]
	mov	x0, sp
	bl	trap
	.globl trap_return
trap_return:
	ldp	x30, x1, [sp, #240]
	ldr	x2, [sp, #256]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	ldp	x0, x1, [sp]
	add	sp, sp, #FRAME_SIZE
	eret

	/*
	 * void call_code(struct code_state *state, const void *code): x0 to x15 and x20 to x23,
	 * NZCV, V0 to V7 from @state and back.
	 */
	.globl call_code
call_code:
	stp	x29, x30, [sp, #-112]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x28, x0
	mov	x27, x1
	ldr	x16, [x28, #160]
	msr	nzcv, x16
	ldp	q0, q1, [x28, #176]
	ldp	q2, q3, [x28, #208]
	ldp	q4, q5, [x28, #240]
	ldp	q6, q7, [x28, #272]
	ldp	x20, x21, [x28, #128]
	ldp	x22, x23, [x28, #144]
	ldp	x2, x3, [x28, #16]
	ldp	x4, x5, [x28, #32]
	ldp	x6, x7, [x28, #48]
	ldp	x8, x9, [x28, #64]
	ldp	x10, x11, [x28, #80]
	ldp	x12, x13, [x28, #96]
	ldp	x14, x15, [x28, #112]
	ldp	x0, x1, [x28]
	blr	x27
	stp	x0, x1, [x28]
	stp	x2, x3, [x28, #16]
	stp	x4, x5, [x28, #32]
	stp	x6, x7, [x28, #48]
	stp	x8, x9, [x28, #64]
	stp	x10, x11, [x28, #80]
	stp	x12, x13, [x28, #96]
	stp	x14, x15, [x28, #112]
	stp	x20, x21, [x28, #128]
	stp	x22, x23, [x28, #144]
	stp	q0, q1, [x28, #176]
	stp	q2, q3, [x28, #208]
	stp	q4, q5, [x28, #240]
	stp	q6, q7, [x28, #272]
	mrs	x16, nzcv
	str	x16, [x28, #160]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #112
	ret

	/*
	 * uint64_t call_el0(uint64_t pc, uint64_t sp, uint64_t arg): runs at EL0 with @arg in x0
	 * until SVC #0; returns x0.
	 */
	.globl call_el0
call_el0:
	stp	x29, x30, [sp, #-112]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mrs	x3, tpidr_el1
	mov	x4, sp
	str	x4, [x3, #PERCPU_EL0_SP]
	msr	sp_el0, x1
	msr	elr_el1, x0
	msr	spsr_el1, xzr
	mov	x0, x2
	eret

	/* void el0_done(uint64_t value): out of the handler, back to who called call_el0(). */
	.globl el0_done
el0_done:
	mrs	x3, tpidr_el1
	ldr	x4, [x3, #PERCPU_EL0_SP]
	mov	sp, x4
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #112
	ret

	.bss
	.balign 16
	.skip	16384
first_stack_top:
