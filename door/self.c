/* SPDX-License-Identifier: MIT */
/* What program this process is, by what the loader has mapped of it. */
#include "door/trap.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEVICE "/dev/kvm"

struct self {
	bool needs_libc, is_go, names_kvm;
};

static void look_at_needs(struct self *self, const ElfW(Dyn) * dynamic)
{
	const char *strings = NULL;
	const ElfW(Dyn) * d;

	/* The loader has made the address of the strings an absolute one. */
	for (d = dynamic; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	for (d = dynamic; strings && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED && !strncmp(strings + d->d_un.d_val, "libc.so", 7))
			self->needs_libc = true;
}

/* Go marks its programs by a note whose owner is "Go"; linkers put others before it. */
static void look_at_notes(struct self *self, const char *note, size_t size)
{
	const char *end = note + size;

	while ((size_t)(end - note) >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *header = (const ElfW(Nhdr) *)note;
		const size_t owner = (header->n_namesz + (size_t)3) & ~(size_t)3;
		const size_t whole =
			sizeof(*header) + owner + ((header->n_descsz + (size_t)3) & ~(size_t)3);

		if (whole > (size_t)(end - note))
			break;
		if (header->n_namesz == 3 + 1 && !memcmp(header + 1, "Go\0", 4))
			self->is_go = true;
		note += whole;
	}
}

/* The first object is the program. */
static int look(struct dl_phdr_info *info, size_t size, void *opaque)
{
	struct self *self = opaque;

	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const char *at = (const char *)(info->dlpi_addr + p->p_vaddr);

		if (p->p_type == PT_DYNAMIC)
			look_at_needs(self, (const ElfW(Dyn) *)at);
		else if (p->p_type == PT_NOTE)
			look_at_notes(self, at, p->p_filesz);
	}
	return 1;
}

static int look_for_name(struct dl_phdr_info *info, size_t size, void *opaque)
{
	struct self *self = opaque;

	for (unsigned int i = 0; !self->names_kvm && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_R)
			self->names_kvm = memmem((const char *)(info->dlpi_addr + p->p_vaddr),
						 p->p_filesz, DEVICE, strlen(DEVICE));
	}
	return 1;
}

bool self_needs_libc(void)
{
	struct self self = {0};

	dl_iterate_phdr(look, &self);
	return self.needs_libc;
}

bool self_makes_calls(void)
{
	struct self self = {0};

	dl_iterate_phdr(look, &self);
	if (self.needs_libc && !self.is_go)
		return false;
	dl_iterate_phdr(look_for_name, &self);
	return self.names_kvm;
}
