/* SPDX-License-Identifier: MIT */
/* What is counted, told in lines that people read. */
#include "vmm/stats.h"

#include <inttypes.h>
#include <string.h>

#define NR_SGIS 16

static const char *const return_names[VMM_RETURNS] = {
	[VMM_RETURN_MMIO] = "mmio",
	[VMM_RETURN_SYSTEM_EVENT] = "system-event",
	[VMM_RETURN_LEVEL] = "level change (-EINTR)",
	[VMM_RETURN_INTR] = "signal (-EINTR)",
	[VMM_RETURN_AGAIN] = "again (-EAGAIN)",
	[VMM_RETURN_OTHER] = "other",
};

static void add(uint64_t *to, const uint64_t *from, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		to[i] += from[i];
}

static void add_up(struct vmm_vcpu_stats *sum, const struct vmm_summary *summary)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < summary->nr_vcpus; i++) {
		const struct vmm_vcpu_stats *one = summary->vcpus[i];

		add(sum->returns, one->returns, VMM_RETURNS);
		add(sum->mmio, one->mmio, VMM_BUS_REGIONS);
		add(sum->rises, one->rises, VMM_LEVELS);
		add(sum->falls, one->falls, VMM_LEVELS);
		sum->unmapped += one->unmapped;
		sum->carried += one->carried;
	}
}

static uint64_t total(const uint64_t *values, size_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += values[i];
	return sum;
}

/* Prints "label N" with a comma before all but the first; nothing for 0. */
static void item(FILE *to, bool *first, const char *label, uint64_t n)
{
	if (!n)
		return;
	fprintf(to, "%s%s %" PRIu64, *first ? "" : ", ", label, n);
	*first = false;
}

static void end_items(FILE *to, bool first)
{
	fputs(first ? "none\n" : "\n", to);
}

static void print_returns(FILE *to, const struct vmm_vcpu_stats *sum)
{
	bool first = true;

	fprintf(to, "  returns of KVM_RUN   %" PRIu64 ": ", total(sum->returns, VMM_RETURNS));
	for (unsigned int i = 0; i < VMM_RETURNS; i++)
		item(to, &first, return_names[i], sum->returns[i]);
	end_items(to, first);
}

static void print_mmio(FILE *to, const struct vmm_vcpu_stats *sum, const struct vmm_bus *bus)
{
	bool first = true;

	fputs("  MMIO exits           ", to);
	for (unsigned int i = 0; i < bus->nr; i++)
		item(to, &first, bus->regions[i].name, sum->mmio[i]);
	item(to, &first, "nothing there", sum->unmapped);
	end_items(to, first);
}

static void print_levels(FILE *to, const struct vmm_vcpu_stats *sum, bool all)
{
	const uint64_t rises = total(sum->rises, VMM_LEVELS);
	const uint64_t falls = total(sum->falls, VMM_LEVELS);
	bool first = true;

	fprintf(to, "  device-level changes %" PRIu64 ": ", rises + falls);
	for (unsigned int i = 0; i < VMM_LEVELS; i++)
		item(to, &first, vmm_level_devices[i].name, sum->rises[i] + sum->falls[i]);
	end_items(to, first);
	if (all)
		fprintf(to,
			"                       %" PRIu64 " rises, %" PRIu64 " falls; %" PRIu64
			" returns of another kind than -EINTR carried one\n",
			rises, falls, sum->carried);
}

/* SGIs are one class; what has no name is told by its number. */
static void print_delivered(FILE *to, const struct vmm_irqchip *irqchip, uint64_t delivered)
{
	bool first = true;
	char label[32];

	if (vmm_irqchip_in_kvm(irqchip)) {
		fputs("  interrupts delivered by the KVM, which does not count them\n", to);
		return;
	}
	fprintf(to, "  interrupts delivered %" PRIu64 ": ", delivered);
	item(to, &first, "sgi", total(irqchip->delivered, NR_SGIS));
	for (unsigned int i = NR_SGIS; i < VMM_IRQCHIP_IRQS; i++) {
		const char *name = irqchip->names[i];

		if (!name)
			snprintf(label, sizeof(label), "intid-%u", i);
		item(to, &first, name ? name : label, irqchip->delivered[i]);
	}
	end_items(to, first);
}

static void print_instructions(FILE *to, const struct vmm_summary *summary)
{
	const double n = (double)summary->counts.instructions;
	const double us = (double)summary->wall_ns / 1e3;

	if (summary->counts.instructions)
		fprintf(to, "  instructions         %" PRIu64 ", %.1f million a second\n",
			summary->counts.instructions, us > 0 ? n / us : 0);
}

/*
 * What an interrupt costs: all that the VM did, and what only interrupts cause, for each of them.
 */
static void print_cost(FILE *to, const struct vmm_vcpu_stats *sum,
		       const struct vmm_summary *summary, uint64_t delivered)
{
	const int gic_cpu = vmm_bus_find(summary->bus, summary->irqchip->cpu_base, 4);
	const uint64_t own = sum->returns[VMM_RETURN_LEVEL] + sum->returns[VMM_RETURN_INTR] +
			     (gic_cpu < 0 ? 0 : sum->mmio[gic_cpu]);
	const double n = (double)delivered;

	if (!delivered)
		return;
	fputs("  for each interrupt   ", to);
	if (summary->counts.exits)
		fprintf(to, "%.2f exits of the guest, ", (double)summary->counts.exits / n);
	fprintf(to, "%.2f returns of KVM_RUN, %.2f of them MMIO\n",
		(double)total(sum->returns, VMM_RETURNS) / n,
		(double)sum->returns[VMM_RETURN_MMIO] / n);
	fprintf(to,
		"                       %.2f returns for the interrupts themselves (levels, kicks, "
		"gic-cpu)\n",
		(double)own / n);
}

/* With the GIC in the KVM nobody else sees what interrupts cost. */
static void print_kvm_counts(FILE *to, const struct vmm_kvm_counts *counts)
{
	if (counts->exits)
		fprintf(to, "  in the KVM           %" PRIu64 " exits of the guest\n",
			counts->exits);
}

static void print_vcpus(FILE *to, const struct vmm_summary *summary)
{
	for (unsigned int i = 0; i < summary->nr_vcpus; i++) {
		const struct vmm_vcpu_stats *one = summary->vcpus[i];
		bool first = true;

		fprintf(to, "  vCPU %u               %" PRIu64 " returns: ", i,
			total(one->returns, VMM_RETURNS));
		for (unsigned int r = 0; r < VMM_RETURNS; r++)
			item(to, &first, return_names[r], one->returns[r]);
		end_items(to, first);
	}
}

void vmm_stats_print(FILE *to, const struct vmm_summary *summary, bool all)
{
	const uint64_t delivered = total(summary->irqchip->delivered, VMM_IRQCHIP_IRQS);
	struct vmm_vcpu_stats sum;

	add_up(&sum, summary);
	fprintf(to, "armature: %s after %.3f s", summary->ending, (double)summary->wall_ns / 1e9);
	if (summary->boots > 1)
		fprintf(to, " and %" PRIu64 " boots", summary->boots);
	fputs("\n", to);
	print_returns(to, &sum);
	print_levels(to, &sum, all);
	print_delivered(to, summary->irqchip, delivered);
	print_instructions(to, summary);
	if (!all)
		return;
	print_mmio(to, &sum, summary->bus);
	print_cost(to, &sum, summary, delivered);
	if (vmm_irqchip_in_kvm(summary->irqchip))
		print_kvm_counts(to, &summary->counts);
	else
		fprintf(to, "  pin changes          %" PRIu64 "\n", summary->irqchip->pin_changes);
	print_vcpus(to, summary);
}
