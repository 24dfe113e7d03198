/* SPDX-License-Identifier: MIT */
/* Counters that a KVM keeps of a vCPU: a file of a header, descriptors with names, and values. */
#include "vmm/counters.h"

#include <armature/kvm_arm64.h>
#include <string.h>
#include <unistd.h>

#define MAX_NAME     256
#define MAX_COUNTERS 1024

int vmm_counters_open(const struct vmm_kvm *kvm, int vcpu_fd)
{
	return vmm_kvm_ioctl(kvm, vcpu_fd, KVM_GET_STATS_FD, 0);
}

static bool read_all(int fd, void *to, size_t len, uint64_t offset)
{
	return pread(fd, to, len, (off_t)offset) == (ssize_t)len;
}

bool vmm_counters_read(int fd, const char *name, uint64_t *value)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc desc;
	char found[MAX_NAME];

	if (fd < 0 || !read_all(fd, &header, sizeof(header), 0) || header.name_size > MAX_NAME ||
	    header.num_desc > MAX_COUNTERS)
		return false;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		const uint64_t at =
			header.desc_offset + (uint64_t)i * (sizeof(desc) + header.name_size);

		if (!read_all(fd, &desc, sizeof(desc), at) ||
		    !read_all(fd, found, header.name_size, at + sizeof(desc)))
			return false;
		if (strnlen(found, header.name_size) < header.name_size && !strcmp(found, name))
			return read_all(fd, value, sizeof(*value),
					(uint64_t)header.data_offset + desc.offset);
	}
	return false;
}
