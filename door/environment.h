/* SPDX-License-Identifier: MIT */
/* What armature exec tells the door, in the environment, so that children have it too. */
#ifndef DOOR_ENVIRONMENT_H
#define DOOR_ENVIRONMENT_H

#define DOOR_KVM  "ARMATURE_DOOR_KVM"  /* Linux's KVM, by its path, instead of ours */
#define DOOR_LOG  "ARMATURE_DOOR_LOG"  /* a file for log.c */
#define DOOR_TRAP "ARMATURE_DOOR_TRAP" /* "1": trap.c */

#endif
