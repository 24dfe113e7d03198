/* SPDX-License-Identifier: MIT */
/*
 * Handlers: memory. Included in the executor's function.
 *
 * Where the host has no memory behind a TLB line (cpu/host_mem.h), the access goes the slow way,
 * which finds the same and says so.
 */

/* Leave the block at row @n of it with rc. */
#define FAIL(n)                     \
	do {                        \
		row = &tb->rows[n]; \
		goto leave_at_row;  \
	} while (0)

/* How a value read goes to its slot. */
#define GET_uint64_t(slot, v) X(slot) = (uint64_t)(v)
#define GET_uint32_t(slot, v) X(slot) = (uint32_t)(v)
#define GET_int64_t(slot, v)  X(slot) = (uint64_t)(int64_t)(v)
#define GET_VEC(slot, v)                       \
	do {                                   \
		unsigned __int128 whole = (v); \
		memcpy(&V(slot), &whole, 16);  \
	} while (0)

#define LOAD_AT(label, mem_t, to, address, the_bank)                                               \
	do_##label : va = (address);                                                               \
	{                                                                                          \
		const struct tlb_entry *e = LINE(the_bank, va);                                    \
		mem_t v;                                                                           \
                                                                                                   \
		if (READ_HIT(e, va, sizeof(v)) && likely(load_host(HOST(e, va), &v, sizeof(v)))) { \
			GET_##to(u->c, v);                                                         \
			NEXT;                                                                      \
		}                                                                                  \
	}                                                                                          \
	goto load_missed;

#define LOAD(n, mem_t, to)                                                                        \
	LOAD_AT(LD##n, mem_t, to, X(u->a) + (uint64_t)(int64_t)u->imm, bank)                      \
	LOAD_AT(LD##n##_X, mem_t, to, X(u->a) + (X(u->b) << u->imm), bank)                        \
	LOAD_AT(LD##n##_UX, mem_t, to, X(u->a) + ((uint64_t)W(u->b) << u->imm), bank)             \
	LOAD_AT(LD##n##_SX, mem_t, to, X(u->a) + ((uint64_t)(int64_t)(int32_t)W(u->b) << u->imm), \
		bank)                                                                             \
	LOAD_AT(LDT##n, mem_t, to, X(u->a) + (uint64_t)(int64_t)u->imm, cpu->bank_el0)
LOAD_KINDS(LOAD)
#undef LOAD

load_missed : rc = load_slow(cpu, tb, u->d, va, u->c, EXEC_SLOT_DISCARD);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;

#define STORE_AT(label, mem_t, address, the_bank)                             \
	do_##label : va = (address);                                          \
	{                                                                     \
		const struct tlb_entry *e = LINE(the_bank, va);               \
                                                                              \
		if (WRITE_HIT(e, va, sizeof(mem_t)) &&                        \
		    likely(store_host(HOST(e, va), s + u->c, sizeof(mem_t)))) \
			NEXT;                                                 \
	}                                                                     \
	goto store_missed;

#define STORE(n, mem_t)                                                                        \
	STORE_AT(ST##n, mem_t, X(u->a) + (uint64_t)(int64_t)u->imm, bank)                      \
	STORE_AT(ST##n##_X, mem_t, X(u->a) + (X(u->b) << u->imm), bank)                        \
	STORE_AT(ST##n##_UX, mem_t, X(u->a) + ((uint64_t)W(u->b) << u->imm), bank)             \
	STORE_AT(ST##n##_SX, mem_t, X(u->a) + ((uint64_t)(int64_t)(int32_t)W(u->b) << u->imm), \
		 bank)                                                                         \
	STORE_AT(STT##n, mem_t, X(u->a) + (uint64_t)(int64_t)u->imm, cpu->bank_el0)
STORE_KINDS(STORE)
#undef STORE

store_missed : rc = store_slow(cpu, tb, u->d, va, u->c, EXEC_SLOT_ZERO);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;

/*
 * Ordered: aligned, or the slow path raises the alignment fault. On a host with weaker order the
 * fences are not free; an exchange is a store and a full barrier. Atomics hold the granule's word
 * of the exclusive monitor, or wait for it in the slow path.
 */
#define ORDERED_HIT(hit, e, va, mem_t) \
	(hit(e, va, sizeof(mem_t)) && likely(!((va) & (sizeof(mem_t) - 1))))
#define ORDERED(n, mem_t)                                                                      \
	do_LDA##n : va = X(u->a) + (uint64_t)(int64_t)u->imm;                                  \
	{                                                                                      \
		const struct tlb_entry *e = LINE(bank, va);                                    \
		mem_t v;                                                                       \
                                                                                               \
		if (ORDERED_HIT(READ_HIT, e, va, mem_t) &&                                     \
		    likely(host_load##n(HOST(e, va), &v))) {                                   \
			atomic_thread_fence(memory_order_acquire);                             \
			X(u->c) = v;                                                           \
			NEXT;                                                                  \
		}                                                                              \
	}                                                                                      \
	goto load_missed;                                                                      \
	do_STL##n : va = X(u->a) + (uint64_t)(int64_t)u->imm;                                  \
	{                                                                                      \
		const struct tlb_entry *e = LINE(bank, va);                                    \
		mem_t old;                                                                     \
                                                                                               \
		if (ORDERED_HIT(WRITE_HIT, e, va, mem_t) &&                                    \
		    likely(host_swap##n(HOST(e, va), (mem_t)X(u->c), &old)))                   \
			NEXT;                                                                  \
	}                                                                                      \
	goto store_missed;                                                                     \
	do_RMW##n : va = X(u->a);                                                              \
	{                                                                                      \
		const struct tlb_entry *e = LINE(bank, va);                                    \
		struct monitor_hold hold;                                                      \
                                                                                               \
		if (ORDERED_HIT(WRITE_HIT, e, va, mem_t) &&                                    \
		    likely(monitor_try(cpu->machine, HOST(e, va), &hold))) {                   \
			mem_t old;                                                             \
			bool there = host_rmw##n(HOST(e, va), (enum mem_rmw)u->imm,            \
						 (mem_t)X(u->c), &old);                        \
                                                                                               \
			monitor_release(&hold, there);                                         \
			if (likely(there)) {                                                   \
				X(u->b) = old;                                                 \
				NEXT;                                                          \
			}                                                                      \
		}                                                                              \
	}                                                                                      \
	goto rmw_missed;                                                                       \
	do_CAS##n : va = X(u->a);                                                              \
	{                                                                                      \
		const struct tlb_entry *e = LINE(bank, va);                                    \
		struct monitor_hold hold;                                                      \
                                                                                               \
		if (ORDERED_HIT(WRITE_HIT, e, va, mem_t) &&                                    \
		    likely(monitor_try(cpu->machine, HOST(e, va), &hold))) {                   \
			mem_t expect = (mem_t)X(u->b);                                         \
			bool done = false;                                                     \
			bool there = host_cas##n(HOST(e, va), &expect, (mem_t)X(u->c), &done); \
                                                                                               \
			monitor_release(&hold, there &&done);                                  \
			if (likely(there)) {                                                   \
				X(u->imm) = expect;                                            \
				NEXT;                                                          \
			}                                                                      \
		}                                                                              \
	}                                                                                      \
	goto cas_missed;
ORDERED_KINDS(ORDERED)
#undef ORDERED

do_RMW_ANY : va = X(u->a);
rmw_missed:
{
	uint64_t old = 0;

	rc = access_rmw(cpu, va, &tb->rows[u->d].mem, (enum mem_rmw)u->imm, X(u->c), &old);
	if (unlikely(rc))
		FAIL(u->d);
	X(u->b) = old;
}
NEXT;

do_CAS_ANY : va = X(u->a);
cas_missed:
{
	uint64_t expect[2] = {X(u->b)}, value[2] = {X(u->c)}, old[2] = {0};

	rc = access_cas(cpu, va, &tb->rows[u->d].mem, expect, value, old);
	if (unlikely(rc))
		FAIL(u->d);
	X(u->imm) = old[0];
}
NEXT;

#define LOAD_PAIR(n, mem_t, to)                                            \
	do_LDP##n : va = X(u->a) + (uint64_t)(int64_t)u->imm;              \
	{                                                                  \
		const struct tlb_entry *e = LINE(bank, va);                \
                                                                           \
		if (READ_HIT(e, va, 2 * sizeof(mem_t))) {                  \
			const mem_t *host = HOST(e, va);                   \
			mem_t v, w;                                        \
                                                                           \
			if (unlikely(!load_host(host, &v, sizeof(v)) ||    \
				     !load_host(host + 1, &w, sizeof(w)))) \
				goto load_pair_missed;                     \
			GET_##to(u->c, v);                                 \
			GET_##to(u->b, w);                                 \
			NEXT;                                              \
		}                                                          \
	}                                                                  \
	goto load_pair_missed;
LOAD_PAIR_KINDS(LOAD_PAIR)
#undef LOAD_PAIR

load_pair_missed : rc = load_slow(cpu, tb, u->d, va, u->c, u->b);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;

#define STORE_PAIR(n, mem_t)                                                       \
	do_STP##n : va = X(u->a) + (uint64_t)(int64_t)u->imm;                      \
	{                                                                          \
		const struct tlb_entry *e = LINE(bank, va);                        \
                                                                                   \
		if (WRITE_HIT(e, va, 2 * sizeof(mem_t))) {                         \
			mem_t *host = HOST(e, va);                                 \
                                                                                   \
			if (likely(store_host(host, s + u->c, sizeof(mem_t)) &&    \
				   store_host(host + 1, s + u->b, sizeof(mem_t)))) \
				NEXT;                                              \
		}                                                                  \
	}                                                                          \
	goto store_pair_missed;
STORE_PAIR_KINDS(STORE_PAIR)
#undef STORE_PAIR

store_pair_missed : rc = store_slow(cpu, tb, u->d, va, u->c, u->b);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;

/* Whatever the probe must not serve: big-endian data, exclusives, strict alignment. */
do_LD_ANY
    : va = X(u->a) + (uint64_t)(int64_t)u->imm + index_value(&tb->rows[u->d].mem, X(u[1].more[0]));
rc = load_slow(cpu, tb, u->d, va, u->c, u[1].more[1]);
if (unlikely(rc))
	FAIL(u->d);
NEXT2;
do_ST_ANY:
{
	const struct mem_desc *d = &tb->rows[u->d].mem;

	va = X(u->a) + (uint64_t)(int64_t)u->imm + (d->pair ? 0 : index_value(d, X(u[1].more[0])));
	rc = store_slow(cpu, tb, u->d, va, u->c, u[1].more[0]);
	if (unlikely(rc))
		FAIL(u->d);
}
NEXT2;
do_STX:
{
	uint64_t in[2] = {X(u->c), X(u[1].more[0])};
	uint32_t status = 1;

	va = X(u->a) + (uint64_t)(int64_t)u->imm;
	rc = access_store_excl(cpu, va, &tb->rows[u->d].mem, in, &status);
	if (unlikely(rc))
		FAIL(u->d);
	X(u[1].more[1]) = status;
}
NEXT2;
do_PROBE_R : rc = access_probe(cpu, X(u->a) + (uint64_t)(int64_t)tb->rows[u->d].mem.offset,
			       (uint64_t)u->imm, &tb->rows[u->d].mem, false);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;
do_PROBE_W : rc = access_probe(cpu, X(u->a) + (uint64_t)(int64_t)tb->rows[u->d].mem.offset,
			       (uint64_t)u->imm, &tb->rows[u->d].mem, true);
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;
do_SPCHECK : if (unlikely(X(u->a) & 15))
{
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_SP_ALIGN, 0)};
	rc = CPU_FAULT;
	FAIL(u->d);
}
NEXT;
do_ZVA : rc = access_dc_zva(cpu, X(u->a));
if (unlikely(rc))
	FAIL(u->d);
bank = cpu->bank;
NEXT;
do_CLREX : cpu->excl_size = 0;
NEXT;
do_FENCE :
    /* The host keeps loads and stores in order but for a store before a load. */
    if (u->imm == IR_FENCE_FULL) atomic_thread_fence(memory_order_seq_cst);
else atomic_thread_fence(memory_order_acq_rel);
NEXT;
do_CALL:
{
	uint64_t result = 0;

	cpu->icount += u[1].counted;
	rc = u[1].fn(cpu, X(u->a), X(u->b), X(u->c), &result);
	if (unlikely(rc))
		FAIL(u->d);
	X(u[1].result) = result;
	bank = cpu->bank;
}
NEXT2;
do_STEP : cpu_step_done(cpu, u->imm);
bank = cpu->bank;
NEXT;
do_COUNT : X(u->a) += (uint64_t)u->imm;
NEXT;
