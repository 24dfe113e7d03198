/* SPDX-License-Identifier: MIT */
/*
 * Entry and exception vectors of a big-endian guest. Instructions are little-endian in any guest,
 * and so is the Image's header; data is as SCTLR_EL1.EE says, which is 0 at first.
 */
	.section .text.start, "ax"
	.globl start
start:
	/* Linux, Documentation/arm64/booting.rst: the header of an Image. */
	b	entry
	.byte	0, 0, 0, 0
	.byte	0, 0, 8, 0, 0, 0, 0, 0		/* text_offset */
	.byte	0, 0, 0x10, 0, 0, 0, 0, 0	/* image_size */
	.byte	0xb, 0, 0, 0, 0, 0, 0, 0	/* big-endian, 4K pages, anywhere */
	.skip	24
	.ascii	"ARM\x64"
	.byte	0, 0, 0, 0

entry:
	mrs	x1, sctlr_el1
	orr	x1, x1, #(3 << 24)		/* EE, E0E */
	msr	sctlr_el1, x1
	mov	x1, #(3 << 20)
	msr	cpacr_el1, x1
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	isb
	ldr	x1, =stack_top
	mov	sp, x1
	ldr	x1, =bss_start
	ldr	x2, =image_end
1:	cmp	x1, x2
	b.hs	2f
	str	xzr, [x1], #8
	b	1b
2:	bl	main
	b	.

	/* Each calls trap(the vector's number, x0); what that returns is x0 afterwards. */
	.macro	vector number
	.balign	128
	stp	x1, x2, [sp, #-176]!
	mov	x1, x0
	mov	x0, #\number
	b	trap_entry
	.endm

	.text
	.balign	2048
vectors:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\n
	.endr

trap_entry:
	stp	x3, x4, [sp, #16]
	stp	x5, x6, [sp, #32]
	stp	x7, x8, [sp, #48]
	stp	x9, x10, [sp, #64]
	stp	x11, x12, [sp, #80]
	stp	x13, x14, [sp, #96]
	stp	x15, x16, [sp, #112]
	stp	x17, x18, [sp, #128]
	stp	x29, x30, [sp, #144]
	bl	trap
	ldp	x3, x4, [sp, #16]
	ldp	x5, x6, [sp, #32]
	ldp	x7, x8, [sp, #48]
	ldp	x9, x10, [sp, #64]
	ldp	x11, x12, [sp, #80]
	ldp	x13, x14, [sp, #96]
	ldp	x15, x16, [sp, #112]
	ldp	x17, x18, [sp, #128]
	ldp	x29, x30, [sp, #144]
	ldp	x1, x2, [sp], #176
	eret

	/*
	 * uint64_t call_el0(const void *data): at EL0, loads a double word and a word, stores the
	 * word 8 bytes on, and comes back with the double word.
	 */
	.globl	call_el0
call_el0:
	stp	x29, x30, [sp, #-16]!
	adr	x1, 1f
	msr	elr_el1, x1
	msr	spsr_el1, xzr			/* EL0t, nothing masked */
	eret
1:	ldr	x2, [x0]
	ldr	w3, [x0]
	str	w3, [x0, #8]
	mov	x0, x2
	svc	#0
	.globl	back_from_el0
back_from_el0:
	ldp	x29, x30, [sp], #16
	ret
