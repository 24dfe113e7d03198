/* SPDX-License-Identifier: MIT */
/* Our KVM, broken in one way at a time; see faults.c. */
#ifndef KVM_FAULTS_H
#define KVM_FAULTS_H

struct fault_row {
	const char *name;      /* -Dfault=NAME */
	const char *what;      /* is broken */
	const char *caught_by; /* a test of `armature conform` */
};

/* Row 0 is no fault. */
extern const struct fault_row faults[];
extern const unsigned int nr_faults;

/** fault_choose() - From now on, in this process, the fault of row @nr is there. */
void fault_choose(unsigned int nr);

#endif
