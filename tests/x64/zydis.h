/* SPDX-License-Identifier: MIT */
/*
 * One instruction of the encoder's, as Zydis reads it. Without Zydis' header a test's main() is
 * SKIP_MAIN.
 */
#ifndef TESTS_X64_ZYDIS_H
#define TESTS_X64_ZYDIS_H

#define EXIT_SKIP 77

#if __has_include(<Zydis/Zydis.h>)
#define HAVE_ZYDIS 1
#include <Zydis/Zydis.h>

struct decoded {
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* False if the @n bytes at @p do not begin with a whole instruction. */
static inline bool decode(const uint8_t *p, size_t n, struct decoded *d)
{
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, n, &d->i, d->op));
}

static inline const char *mnemonic(const struct decoded *d)
{
	return ZydisMnemonicGetString(d->i.mnemonic);
}
#else
#define SKIP_MAIN                                                                 \
	int main(void)                                                            \
	{                                                                         \
		puts("skipped: this takes Zydis, a disassembler (libzydis-dev)"); \
		return EXIT_SKIP;                                                 \
	}
#endif

#endif
