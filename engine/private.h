/* SPDX-License-Identifier: MIT */
/* What the engine's own files and its tests know of a machine and a vCPU; others see engine.h. */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include "engine/back/back.h"
#include "engine/code/cache.h"
#include "engine/code/pipeline.h"
#include "engine/engine.h"

#define ENTERED_LINES 512

/* The engine's part of a vCPU. What its back end has of it is cpu->area. */
struct engine_cpu {
	_Atomic uint64_t epoch; /* of the code cache, at this vCPU's last safe point */
	/* Present KVM_RUN, in the order of the machine's: engine_user_wrote(). */
	uint64_t run;
	/* Lines of the execute TLB that got their page in it; more than fit: any may have. */
	struct xtlb_entry *entered[ENTERED_LINES];
	unsigned int nr_entered;
	struct translator *translator;
	/* why the code at PC cannot be entered (dispatch_find()); engine_run() sees to it */
	int error;
	unsigned int failures; /* times in a row that memory was short */
	/* times in a row that the words changed while they were translated */
	unsigned int changes;
};

static inline struct engine_cpu *engine_of(const struct cpu *cpu)
{
	return cpu->engine;
}

static inline struct code_cache *cache_of(const struct cpu *cpu)
{
	return cpu->machine->code;
}

/* As engine_vm_init(), with a back end that the caller has chosen. */
int engine_vm_init_with(struct machine *m, const struct backend *back);

/* Is @letter in ARMATURE_DUMP? */
bool engine_dumps(char letter);

#endif
