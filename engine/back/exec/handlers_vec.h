/* SPDX-License-Identifier: MIT */
/*
 * Handlers: vectors and floating point. Included in the executor's function. Meanings are in vec/
 * and cpu/fp/.
 */

do_VEC : u[1].vec(cpu, &V(u->d), &V(u->a), &V(u->b), &V(u->c), u->imm);
NEXT2;
do_VCONST : V(u->d) = (union vreg){.d = {u[1].k, u->imm == IR_FULL ? u[1].k : 0}};
NEXT2;
#define VEC2(n, op)                                                                \
	do_##n:                                                                    \
	{                                                                          \
		union vreg a = V(u->a), b = V(u->b);                               \
                                                                                   \
		V(u->d) = (union vreg){.d = {a.d[0] op b.d[0], a.d[1] op b.d[1]}}; \
	}                                                                          \
	NEXT;
VEC2(VAND, &)
VEC2(VORR, |)
VEC2(VEOR, ^)
#undef VEC2
do_VGET8 : X(u->d) = V(u->a).b[u->imm & 15];
NEXT;
do_VGET16 : X(u->d) = V(u->a).h[u->imm & 7];
NEXT;
do_VGET32 : X(u->d) = V(u->a).s[u->imm & 3];
NEXT;
do_VGET64 : X(u->d) = V(u->a).d[u->imm & 1];
NEXT;
do_VGETS:
{
	uint64_t v = op_sext(lane_get(&V(u->a), IR_LANE(u->b), (unsigned int)u->imm),
			     8u << IR_LANE(u->b));

	X(u->d) = u->c ? v : (uint32_t)v;
}
NEXT;
do_VSET:
{
	uint64_t x = X(u->b);
	union vreg v = V(u->a);

	lane_set(&v, u->c, (unsigned int)u->imm, x);
	V(u->d) = v;
}
NEXT;
do_VDUP : V(u->d) = lane_dup(X(u->a), IR_LANE(u->b), IR_SHAPE(u->b));
NEXT;
do_VFROM : V(u->d) = lane_dup(X(u->a), IR_LANE(u->b), IR_SCALAR);
NEXT;
do_VDUPL : V(u->d) = lane_dup(lane_get(&V(u->a), IR_LANE(u->b), (unsigned int)u->imm),
			      IR_LANE(u->b), IR_SHAPE(u->b));
NEXT;
do_VINSL:
{
	uint64_t x = lane_get(&V(u->b), u->c, (unsigned int)u->imm >> 8);
	union vreg v = V(u->a);

	lane_set(&v, u->c, u->imm & 0xff, x);
	V(u->d) = v;
}
NEXT;
do_VZEXT:
{
	union vreg v = V(u->a);

	if (IR_SHAPE(u->b) == IR_SCALAR)
		v = lane_dup(v.d[0], IR_LANE(u->b), IR_SCALAR);
	else if (IR_SHAPE(u->b) == IR_HALF)
		v.d[1] = 0;
	V(u->d) = v;
}
NEXT;
do_FTOI : X(u->d) = call_vec_int(cpu, u);
NEXT;
do_ITOF:
{
	union vreg v;

	vec_itof(cpu, &v, X(u->a), IR_LANE(u->b), u->imm);
	V(u->d) = v;
}
NEXT;
do_FCMP
    : FLAGS(u->d) = vec_fcmp(cpu, &V(u->a), u->imm &VEC_FCMP_ZERO ? NULL : &V(u->b), u->c, u->imm);
NEXT;
#define FP2(n, op)                                                                               \
	do_##n##_F32:                                                                            \
	{                                                                                        \
		uint32_t r =                                                                     \
			fp_fast32_##op((struct fp_env *)&cpu->fpcr, V(u->a).s[0], V(u->b).s[0]); \
                                                                                                 \
		V(u->d) = (union vreg){.d = {r, 0}};                                             \
	}                                                                                        \
	NEXT;                                                                                    \
	do_##n##_F64:                                                                            \
	{                                                                                        \
		uint64_t r =                                                                     \
			fp_fast64_##op((struct fp_env *)&cpu->fpcr, V(u->a).d[0], V(u->b).d[0]); \
                                                                                                 \
		V(u->d) = (union vreg){.d = {r, 0}};                                             \
	}                                                                                        \
	NEXT;
FP2_KINDS(FP2)
#undef FP2
