/* SPDX-License-Identifier: MIT */
/*
 * What a program is, from its file: a script, or an ELF file of some machine, with a loader or
 * without, that needs a C library or not.
 */
#include "cli/program.h"
#include "cli/options.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXIT_NO_DOOR    2
#define EXIT_NO_PROGRAM 126
#define EXIT_NOT_FOUND  127

#define MAX_SCRIPTS  4 /* interpreters that are scripts themselves, as Linux allows */
#define SCRIPT_LINE  256
#define MAX_HEADERS  64
#define MAX_DYNAMICS 4096
#define MAX_NOTES    64
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

#ifdef __aarch64__
#define NATIVE EM_AARCH64
#else
#define NATIVE EM_X86_64
#endif

/* 0 for a file that may be executed. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : -errno;
	return S_ISREG(st.st_mode) && !access(path, X_OK) ? 0 : -EACCES;
}

int program_search(const char *name, char *path)
{
	const char *place = getenv("PATH"), *end;
	int err = -ENOENT;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return executable(path);
	}
	for (place = place ? place : DEFAULT_PATH;; place = end + 1) {
		end = strchrnul(place, ':');
		snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - place), place,
			 end > place ? "/" : "./", name);
		switch (executable(path)) {
		case 0:
			return 0;
		case -EACCES:
			err = -EACCES;
		}
		if (!*end)
			return err;
	}
}

/* An ELF file, as far as it is read. */
struct elf {
	const char *path;
	int fd;
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_HEADERS];
	char loader[PATH_MAX]; /* "" without one */
	bool needs_libc, is_go;
};

static bool read_at(const struct elf *elf, void *to, size_t size, uint64_t offset)
{
	return pread(elf->fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* Where a virtual address lies in the file; 0 if nowhere. */
static uint64_t file_offset(const struct elf *elf, uint64_t address)
{
	for (unsigned int i = 0; i < elf->header.e_phnum; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type == PT_LOAD && address - p->p_vaddr < p->p_filesz)
			return p->p_offset + (address - p->p_vaddr);
	}
	return 0;
}

static bool is_libc(const struct elf *elf, uint64_t name)
{
	char text[8] = "";

	return pread(elf->fd, text, sizeof(text), (off_t)name) > 0 && !strncmp(text, "libc.so", 7);
}

static void read_dynamic(struct elf *elf, const Elf64_Phdr *p)
{
	static Elf64_Dyn table[MAX_DYNAMICS];
	ssize_t size =
		pread(elf->fd, table, p->p_filesz < sizeof(table) ? p->p_filesz : sizeof(table),
		      (off_t)p->p_offset);
	size_t rows = size < 0 ? 0 : (size_t)size / sizeof(table[0]);
	uint64_t strings = 0;

	for (size_t i = 0; i < rows && table[i].d_tag != DT_NULL; i++)
		if (table[i].d_tag == DT_STRTAB)
			strings = file_offset(elf, table[i].d_un.d_ptr);
	for (size_t i = 0; strings && i < rows && table[i].d_tag != DT_NULL; i++)
		if (table[i].d_tag == DT_NEEDED && is_libc(elf, strings + table[i].d_un.d_val))
			elf->needs_libc = true;
}

/* Notes are padded to four bytes; segments of other alignments hold none that are looked for. */
static uint64_t note_size(uint32_t size)
{
	return ((uint64_t)size + 3) & ~3ull;
}

/*
 * Go marks its programs by a note whose owner is "Go". A linker puts it behind others, in the same
 * segment.
 */
static void read_notes(struct elf *elf, const Elf64_Phdr *p)
{
	struct {
		Elf64_Nhdr header;
		char owner[4];
	} note;
	uint64_t at = 0;

	for (int i = 0; i < MAX_NOTES && at + sizeof(note) <= p->p_filesz &&
			read_at(elf, &note, sizeof(note), p->p_offset + at);
	     i++) {
		if (note.header.n_namesz == 4 && !memcmp(note.owner, "Go\0", 4))
			elf->is_go = true;
		at += sizeof(note.header) + note_size(note.header.n_namesz) +
		      note_size(note.header.n_descsz);
	}
}

/* Return: 0, or -ENOEXEC for a file that is damaged. */
static int read_segments(struct elf *elf)
{
	const Elf64_Ehdr *h = &elf->header;

	if (!h->e_phnum || h->e_phnum > MAX_HEADERS || h->e_phentsize != sizeof(Elf64_Phdr) ||
	    !read_at(elf, elf->segments, h->e_phnum * sizeof(Elf64_Phdr), h->e_phoff))
		return -ENOEXEC;
	for (unsigned int i = 0; i < h->e_phnum; i++) {
		const Elf64_Phdr *p = &elf->segments[i];

		if (p->p_type == PT_DYNAMIC)
			read_dynamic(elf, p);
		else if (p->p_type == PT_NOTE)
			read_notes(elf, p);
		else if (p->p_type == PT_INTERP &&
			 (p->p_filesz > sizeof(elf->loader) || !p->p_filesz ||
			  !read_at(elf, elf->loader, p->p_filesz, p->p_offset) ||
			  elf->loader[p->p_filesz - 1]))
			return -ENOEXEC;
	}
	return 0;
}

static int refuse(int status, const char *name, const char *why)
{
	complain("'%s' %s", name, why);
	return status;
}

/*
 * The loader ignores LD_PRELOAD of programs that gain rights by being executed. The kernel gives
 * none on a file system that is mounted nosuid; a process that wants no new privileges keeps its
 * user and group, but a file's capabilities count for the loader all the same.
 */
static bool gains_rights(int fd)
{
	struct statvfs vfs;
	struct stat st;
	char capability;

	if (fstat(fd, &st) || (!fstatvfs(fd, &vfs) && vfs.f_flag & ST_NOSUID))
		return false;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 &&
	    ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	     ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getegid())))
		return true;
	return getuid() && (fgetxattr(fd, "security.capability", &capability, 0) > 0);
}

static int examine_elf(struct program *program, struct elf *elf, const char *name,
		       const char *sysroot)
{
	char loader[PATH_MAX + PATH_MAX];

	if (elf->header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf->header.e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(
			EXIT_NO_PROGRAM, name,
			"is a program for 32 bits or another byte order; the door is there for "
			"those of 64 bits");
	program->native = elf->header.e_machine == NATIVE;
	program->arm64 = elf->header.e_machine == EM_AARCH64;
	if (!program->native && !program->arm64)
		return refuse(EXIT_NO_PROGRAM, name, "is a program for another architecture");
	if (elf->header.e_type != ET_EXEC && elf->header.e_type != ET_DYN)
		return refuse(EXIT_NO_PROGRAM, name, "is an ELF file, but no program");
	if (read_segments(elf))
		return refuse(EXIT_NO_PROGRAM, name, "is a damaged ELF file");
	if (!*elf->loader)
		return refuse(
			EXIT_NO_DOOR, name,
			elf->is_go ? "is linked statically, and nothing can be preloaded into it; "
				     "build it with 'go build -buildmode=pie'"
				   : "is linked statically, and nothing can be preloaded into it; "
				     "build it without -static (Rust: not for musl)");
	if (strstr(elf->loader, "ld-musl"))
		return refuse(EXIT_NO_DOOR, name,
			      "is linked with musl, and the door with glibc; build it for glibc");
	snprintf(loader, sizeof(loader), "%s%s", program->native || !sysroot ? "" : sysroot,
		 elf->loader);
	if ((program->native || sysroot) && access(loader, R_OK)) {
		complain("'%s' needs the loader '%s', which is not there", name, loader);
		return EXIT_NO_PROGRAM;
	}
	if (gains_rights(elf->fd))
		return refuse(EXIT_NO_DOOR, name,
			      "is set-user-ID, set-group-ID or has capabilities, and such programs "
			      "take no "
			      "door; start armature exec with the rights that it needs, on a copy "
			      "without them");
	program->own_calls = !elf->needs_libc || elf->is_go;
	return 0;
}

/* The interpreter on a script's first line. */
static bool interpreter(const char *line, char *path)
{
	size_t length;

	line += strspn(line, " \t");
	length = strcspn(line, " \t\n");
	snprintf(path, PATH_MAX, "%.*s", (int)length, line);
	return length;
}

static int examine(struct program *program, const char *path, const char *name, const char *sysroot,
		   int scripts)
{
	struct elf elf = {.path = path};
	char next[PATH_MAX], *text = (char *)&elf.header, line[SCRIPT_LINE + 1] = "";
	ssize_t n;
	int status;

	elf.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (elf.fd < 0) {
		/* It may be executed, but not read; the kernel gives it no preloads. */
		complain("'%s': %s", path, strerror(errno));
		return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NO_PROGRAM;
	}
	n = pread(elf.fd, line, SCRIPT_LINE, 0);
	memcpy(text, line,
	       n < 0                            ? 0
	       : (size_t)n < sizeof(elf.header) ? (size_t)n
						: sizeof(elf.header));
	if (n >= (ssize_t)sizeof(elf.header) && !memcmp(text, ELFMAG, SELFMAG))
		status = examine_elf(program, &elf, name, sysroot);
	else if (n > 2 && !memcmp(line, "#!", 2) && interpreter(line + 2, next))
		status = scripts ? examine(program, next, next, sysroot, scripts - 1)
				 : refuse(EXIT_NO_PROGRAM, name,
					  "is a script for a script, too often");
	else
		status = refuse(
			EXIT_NO_PROGRAM, name,
			"is no program: neither an ELF file nor a script that begins with '#!'");
	close(elf.fd);
	return status;
}

int program_examine(struct program *program, const char *name, const char *sysroot)
{
	int err;

	memset(program, 0, sizeof(*program));
	err = program_search(name, program->path);
	if (err == -ENOENT)
		return refuse(EXIT_NOT_FOUND, name, "is not there");
	if (err)
		return refuse(EXIT_NO_PROGRAM, name, "may not be executed");
	return examine(program, program->path, name, sysroot, MAX_SCRIPTS);
}
