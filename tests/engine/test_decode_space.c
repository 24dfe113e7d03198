/* SPDX-License-Identifier: MIT */
/*
 * The decode space against llvm-mc: each word that it decodes for the features that guests see must
 * decode here, each other must be UNDEFINED here.
 *
 * usage: test_decode_space LLVM_MC [WORDS [SEED]]
 *
 * Words are seeded: uniform ones, ones of the tables' rows, and ones a bit away from a row. The
 * translation of every word must also pass the IR's verifier. On a mismatch a summary by row or by
 * mnemonic is printed, with an example of each. System registers and SYS are not compared (llvm-mc
 * knows no access rules): tests/cpu has them. Fields that should be ones or zeros are so: with
 * others llvm-mc's verdict is as good as ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/front/a64/decode.h"
#include "tests/engine/random_words.h"
#include "tests/engine/unpredictable.h"

#define DEFAULT_WORDS 1000000
#define DEFAULT_SEED  20
#define LLVM_FEATURES                                                                            \
	"+fp-armv8,+neon,+crc,+lse,+rdm,+aes,+sha2,+fullfp16,+dotprod,+complxnum,+jsconv,+rcpc," \
	"+pan,+uaops,+ssbs,+ccpp,+pan-rwv,+el3"

enum verdict { UNDEF, DECODES, EITHER };

/* Where llvm-mc is not asked, or its verdict is known to be wrong for guests, and why. */
static const struct deviation {
	uint32_t mask, value;
	enum verdict right;
	const char *why;
} deviations[] = {
	{0xffd80000, 0xd5080000, EITHER, "SYS, SYSL: decided by the table of instructions"},
	{0xffd00000, 0xd5100000, EITHER, "MSR, MRS: decided by the register table"},
	{0xfffff0ff, 0xd500407f, DECODES,
	 "MSR UAO: llvm-mc wants CRm<3:1> to be 0, the architecture ignores it"},
	{0xfffff0ff, 0xd500409f, DECODES, "MSR PAN: the same"},
	{0xfffff0ff, 0xd50040bf, DECODES, "MSR SPSel: the same"},
	{0xfffff0ff, 0xd503403f, DECODES, "MSR SSBS: the same"},
	{0xfffff0ff, 0xd501401f, UNDEF, "MSR ALLINT: younger ones print it, whatever the features"},
	{0xfffff0ff, 0xd503407f, UNDEF, "MSR SVCR (SMSTART, SMSTOP): the same"},
	{0xffff0000, 0x00000000, UNDEF, "UDF: permanently undefined, which llvm-mc prints"},
	{0xffe0001f, 0xd4400000, UNDEF, "HLT: UNDEFINED without halting debug"},
	{0xffe0001c, 0xd4a00000, UNDEF, "DCPS: the same"},
	{0xffffffff, 0xd6bf03e0, UNDEF, "DRPS: UNDEFINED outside Debug state"},
};

struct word {
	uint32_t insn;
	enum verdict ours, llvm;
	char mnemonic[12];
};

/* Mismatches of one kind. */
struct group {
	const char *side, *name;
	unsigned int nr;
	uint32_t example;
};

#define MAX_GROUPS 400
static struct group groups[MAX_GROUPS];
static unsigned int nr_groups;

static void count_mismatch(const char *side, const char *name, uint32_t insn)
{
	unsigned int i;

	for (i = 0; i < nr_groups; i++)
		if (!strcmp(groups[i].side, side) && !strcmp(groups[i].name, name))
			break;
	if (i == MAX_GROUPS)
		i--;
	else if (i == nr_groups)
		groups[nr_groups++] = (struct group){.side = side, .name = name, .example = insn};
	groups[i].nr++;
}

/* What ours is to say. */
static enum verdict right_verdict(const struct word *w)
{
	for (unsigned int i = 0; i < sizeof(deviations) / sizeof(*deviations); i++)
		if ((w->insn & deviations[i].mask) == deviations[i].value)
			return deviations[i].right;
	return w->llvm;
}

/* Our verdict; -1 when the translation breaks a rule of the IR. */
static int translate(struct word *w)
{
	static struct ir_block b;
	const struct ir_op *op = &b.op[0];
	char why[200];

	a64_translate_block(&b, &w->insn, 0, CPU_MODE_EL1 | CPU_MODE_FP, 1);
	w->ours =
		b.nr_ops == 1 && op->opc == IR_EXCEPTION && (uint32_t)op->imm == ESR(EC_UNKNOWN, 0)
			? UNDEF
			: DECODES;
	if (!ir_verify(&b, why, sizeof(why)))
		return 0;
	fprintf(stderr, "%08x: %s\n", w->insn, why);
	ir_dump(&b, stderr);
	return -1;
}

static void write_words(const char *path, const struct word *words, unsigned int nr)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		exit(1);
	}
	for (unsigned int i = 0; i < nr; i++)
		fprintf(f, "0x%02x 0x%02x 0x%02x 0x%02x\n", words[i].insn & 0xff,
			words[i].insn >> 8 & 0xff, words[i].insn >> 16 & 0xff, words[i].insn >> 24);
	if (fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* Lines "FILE:LINE:COLUMN: warning: invalid instruction encoding" on standard error. */
static void read_invalid(const char *path, struct word *words, unsigned int nr)
{
	char line[512];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		const char *mark = strstr(line, ": warning: invalid instruction"),
			   *colon = strchr(line, ':');
		unsigned int n;

		if (!mark || !colon || sscanf(colon, ":%u:", &n) != 1 || n < 1 || n > nr)
			continue;
		words[n - 1].llvm = UNDEF;
	}
	if (f)
		fclose(f);
}

/*
 * Standard output has a line "\tMNEMONIC\t..." for each word that decodes, in order. Returns how
 * many.
 */
static unsigned int read_valid(const char *path, struct word *words, unsigned int nr)
{
	unsigned int n = 0, lines = 0;
	char line[512];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] != '\t' || line[1] == '.')
			continue;
		lines++;
		while (n < nr && words[n].llvm == UNDEF)
			n++;
		if (n == nr)
			break;
		sscanf(line, "%11s", words[n].mnemonic);
		/*
		 * Any word of op0 0 that is nothing else is printed as an access to a register
		 * "S0_..."
		 */
		if (strstr(line, "S0_"))
			words[n].llvm = UNDEF;
		n++;
	}
	if (f)
		fclose(f);
	return lines;
}

static bool ask_llvm(const char *llvm_mc, const char *dir, struct word *words, unsigned int nr)
{
	char in[100], out[100], err[100], command[1000];
	unsigned int valid = 0;
	int rc;

	snprintf(in, sizeof(in), "%s/in", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(err, sizeof(err), "%s/err", dir);
	write_words(in, words, nr);
	snprintf(command, sizeof(command), "%s -disassemble -triple=aarch64 -mattr=%s %s >%s 2>%s",
		 llvm_mc, LLVM_FEATURES, in, out, err);
	rc = system(command);
	for (unsigned int i = 0; i < nr; i++)
		words[i].llvm = DECODES;
	read_invalid(err, words, nr);
	for (unsigned int i = 0; i < nr; i++)
		valid += words[i].llvm == DECODES;
	if (rc || read_valid(out, words, nr) != valid) {
		fprintf(stderr, "llvm-mc failed or answered in a way that is not understood\n");
		return false;
	}
	unlink(in);
	unlink(out);
	unlink(err);
	return true;
}

static unsigned int compare(const struct word *words, unsigned int nr)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct word *w = &words[i];
		enum verdict right = right_verdict(w);
		const struct a64_row *row;

		if (w->ours == right || right == EITHER)
			continue;
		bad++;
		row = a64_decode(w->insn);
		if (w->ours == DECODES)
			count_mismatch("only here", row->name, w->insn);
		else
			count_mismatch("only llvm-mc", w->mnemonic, w->insn);
	}
	return bad;
}

int main(int argc, char **argv)
{
	unsigned int nr = argc > 2 ? (unsigned int)atoi(argv[2]) : DEFAULT_WORDS, bad = 0,
		     broken = 0;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : DEFAULT_SEED;
	char dir[] = "/tmp/decode-space-XXXXXX";
	struct word *words = calloc(nr, sizeof(*words));

	if (argc < 2 || !words || !seed || !mkdtemp(dir)) {
		fprintf(stderr, "usage: test_decode_space LLVM_MC [WORDS [SEED]]\n");
		return 2;
	}
	for (unsigned int i = 0; i < nr; i++) {
		words[i].insn = as_it_should_be(decode_space_word(&seed));
		broken += translate(&words[i]) < 0;
	}
	if (!ask_llvm(argv[1], dir, words, nr))
		return 1;
	rmdir(dir);
	bad = compare(words, nr);
	for (unsigned int i = 0; i < nr_groups; i++)
		printf("%-13s %-24s %6u  e.g. %08x\n", groups[i].side, groups[i].name, groups[i].nr,
		       groups[i].example);
	printf("%u words, %u mismatches, %u break the IR's rules\n", nr, bad, broken);
	free(words);
	return bad || broken;
}
