#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare <armature/kvm_arm64.h> with Linux's own header for arm64.

Both headers are given to a compiler; every macro that is a number, every enumerator, the size of
every structure and the offset and size of every member become words in a section of an object
file, which is read back and compared word by word. Ours is compiled twice, for this machine and for
arm64. Nothing is run for arm64.

What must always hold: a name of the real headers that ours lacks, or ours has and they do not, is
in the list of exclusions, and an exclusion that matches nothing is an error too, so the list cannot
rot. The list holds for the headers of the kernels from OLDEST to NEWEST; what still newer ones add
is only told. The last case changes numbers in a copy of our header and demands that the comparison
notices each.

Prints TAP; "1..0 # SKIP" without a cross compiler.
"""
import argparse
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

CROSS = 'aarch64-linux-gnu-gcc'

# The kernels whose headers the exclusions know: those of Debian 12 and 13.
OLDEST, NEWEST = (6, 1), (6, 12)

# The real header needs these of its reader: some macros use kernel-internal names, and
# capabilities of x86 devices are behind conditions.
REAL = '''
#include <stddef.h>
#define __KVM_HAVE_PIT
#define __KVM_HAVE_PIT_STATE2
#define __KVM_HAVE_MCE
#define __KVM_HAVE_XEN_HVM
#define __KVM_HAVE_DEBUGREGS
#define __KVM_HAVE_XSAVE
#define __KVM_HAVE_XCRS
#define __KVM_HAVE_IOAPIC
struct kvm_pic_state { char none; };
struct kvm_ioapic_state { char none; };
#include <linux/kvm.h>
#define SZ_64K 0x10000
#define GENMASK(h, l) (((~0UL) << (l)) & (~0UL >> (63 - (h))))
#define __GENMASK(h, l) GENMASK(h, l)
#define PAGE_SIZE 4096UL
'''
OURS = '''
#include <armature/kvm_arm64.h>
#define PAGE_SIZE 4096UL
'''

NAMES = re.compile(r'(__)?KVM_|KVMIO$|(__)?ARM64_SYS_REG|SYNC_REGS_|VGIC_|PSCI_|PSR_')
STRUCTS = re.compile(r'kvm_|user_(pt_regs|fpsimd_state)$')
NO_MACROS = re.compile(r'__KVM_HAVE_(PIT|PIT_STATE2|MCE|XEN_HVM|DEBUGREGS|XSAVE|XCRS|IOAPIC)$')

# Macros with arguments are compared by their value for some.
SAMPLES = {
    'KVM_VM_TYPE_ARM_IPA_SIZE': ['0x12345', '36'],
    'KVM_REG_SIZE': ['KVM_REG_SIZE_U%d' % (8 << n) for n in range(9)],
    'KVM_REG_ARM_CORE_REG': ['regs.regs[0]', 'regs.regs[30]', 'regs.sp', 'regs.pc', 'regs.pstate',
                             'sp_el1', 'elr_el1', 'spsr[0]', 'spsr[4]', 'fp_regs.vregs[0]',
                             'fp_regs.vregs[31]', 'fp_regs.fpsr', 'fp_regs.fpcr'],
    'ARM64_SYS_REG_SHIFT_MASK': ['0xffffffULL, OP0', '0xffffffULL, OP1', '0xffffffULL, CRN',
                                 '0xffffffULL, CRM', '0xffffffULL, OP2', '1, OP0', '1, CRM'],
    '__ARM64_SYS_REG': ['3, 0, 1, 0, 0', '2, 7, 15, 15, 7'],
    'ARM64_SYS_REG': ['3, 0, 1, 0, 0', '2, 7, 15, 15, 7', '3, 3, 14, 3, 2'],
    'KVM_REG_ARM_FW_REG': ['0', '3', '0x12345'],
    'KVM_REG_ARM_FW_FEAT_BMAP_REG': ['0', '3', '0x12345'],
    'KVM_REG_ARM64_SVE_ZREG': ['0, 0', '31, 31', '99, 99'],
    'KVM_REG_ARM64_SVE_PREG': ['0, 0', '15, 31', '99, 99'],
    'KVM_REG_ARM64_SVE_FFR': ['0', '31', '99'],
    'PSCI_0_2_FN': ['0', '18'],
    'PSCI_0_2_FN64': ['0', '18'],
    'PSCI_VERSION': ['0, 2', '1, 1', '0x1234, 0x12345'],
    'PSCI_VERSION_MAJOR': ['0x10002'],
    'PSCI_VERSION_MINOR': ['0x10002'],
    'KVM_PSCI_FN': ['0', '3'],
}

# (pattern, replacement) for the copies of our header that must be told from the real one.
MUTATIONS = [
    (r'(#define KVM_CAP_ARM_USER_IRQ\s+)144', r'\g<1>137'),
    (r'(#define KVM_EXIT_INTR\s+)10', r'\g<1>9'),
    (r'char padding\[256\]', 'char padding[248]'),
    (r'(__u8 immediate_exit;.*\n\s*__u8 padding1\[)6', r'\g<1>5'),
    (r'(#define KVM_REG_ARM_TIMER_CNT\s+ARM64_SYS_REG)\(3, 3, 14, 3, 2\)', r'\1(3, 3, 14, 0, 2)'),
    (r'(#define KVM_MEM_READONLY\s+\()1UL', r'\g<1>1U'),
    (r'(KVM_DEV_TYPE_ARM_VGIC_V3 = )7', r'\g<1>8'),
    (r'_IOWR\(KVMIO, 0xc0,', '_IOW(KVMIO, 0xc0,'),
    (r'(#define KVM_REG_ARM64_SYSREG_CRM_SHIFT\s+)3', r'\g<1>4'),
    (r'\t__u32 first, last;', '\t__u32 last, first;'),
]


class Header:
    """A header as one compiler sees it: macros, structures, enumerators, and their numbers."""

    def __init__(self, cc, text, flags=()):
        self.cc = cc + ['-std=gnu17'] + list(flags)
        self.text = text
        self.macros = {}
        for line in self.run(['-E', '-dM']).splitlines():
            m = re.match(r'#define (\w+)(\([^)]*\))?\s*(.*)', line)
            if m and NAMES.match(m[1]):
                self.macros[m[1]] = (m[2], m[3])
        self.structs, self.enumerators = parse(self.run(['-E', '-P']))
        self.structs = {k: v for k, v in self.structs.items() if STRUCTS.match(k)}
        self.enumerators = [e for e in self.enumerators
                            if NAMES.match(e) or e.startswith('kvm_ioeventfd_flag')]

    def run(self, args, text=None):
        return subprocess.run(self.cc + args + ['-x', 'c', '-'], input=text or self.text,
                              capture_output=True, text=True, check=True).stdout

    def numbers(self, items):
        """Compile the expressions of items; return a list of integers, one an item."""
        c = self.text + ('const unsigned long long abi_words[] '
                         '__attribute__((section("abi"), used)) = {\n' +
                         ''.join('\t(unsigned long long)(%s),\n' % e for _, e in items) + '};\n')
        with tempfile.TemporaryDirectory() as d:
            obj = os.path.join(d, 'abi.o')
            r = subprocess.run(self.cc + ['-x', 'c', '-', '-c', '-o', obj], input=c, text=True,
                               capture_output=True)
            if r.returncode:
                raise RuntimeError(r.stderr)
            data = section(obj, b'abi')
        return list(struct.unpack('<%dQ' % (len(data) // 8), data))


def section(path, name):
    """The bytes of a section of a 64-bit little-endian ELF object."""
    with open(path, 'rb') as f:
        elf = f.read()
    shoff, = struct.unpack_from('<Q', elf, 40)
    shentsize, shnum, shstrndx = struct.unpack_from('<HHH', elf, 58)
    headers = [struct.unpack_from('<IIQQQQ', elf, shoff + i * shentsize) for i in range(shnum)]
    strings = headers[shstrndx][4]
    for h in headers:
        start = strings + h[0]
        if elf[start:elf.index(b'\0', start)] == name:
            return elf[h[4]:h[4] + h[5]]
    raise RuntimeError('no section %s' % name)


def parse(text):
    """Find the structures, with the paths of their members, and the enumerators."""
    text = re.sub(r'__attribute__\s*\(\([^()]*(\([^()]*\)[^()]*)*\)\)|__extension__', ' ', text)
    tok = re.findall(r'[A-Za-z_]\w*|[0-9]\w*|"[^"]*"|\S', text)
    structs, enumerators = {}, []

    def members(i, prefix):
        """Parse from behind '{' to behind '}'; return the index and the paths."""
        out = []
        while tok[i] != '}':
            if tok[i] in ('struct', 'union') and '{' in tok[i + 1:i + 3]:
                i = tok.index('{', i) + 1
                inner = i
                end, _ = members(i, '')
                name = tok[end] if tok[end] != ';' else None
                i, paths = members(inner, prefix + (name + '.' if name else ''))
                if name:
                    out.append(prefix + name)
                out += paths
                i = tok.index(';', i) + 1
                continue
            decl = []
            while tok[i] != ';':
                decl.append(tok[i])
                i += 1
            i += 1
            text = re.sub(r'\[[^]]*\]', lambda m: '[]' if m[0] == '[ ]' else '', ' '.join(decl))
            for part in text.split(','):
                name = re.search(r'(\w+) ?(\[\])?\s*$', part)
                out.append(prefix + name[1] + (name[2] or ''))
        return i + 1, out

    i = 0
    while i < len(tok):
        if tok[i] == 'struct' and i + 2 < len(tok) and tok[i + 2] == '{':
            name = tok[i + 1]
            i, paths = members(i + 3, '')
            structs[name] = paths
        elif tok[i] == 'enum' and '{' in tok[i + 1:i + 3]:
            i = tok.index('{', i)
            body = ' '.join(tok[i + 1:tok.index('}', i)])
            enumerators += re.findall(r'(?:^|,) ?([A-Za-z_]\w*)', body)
        else:
            i += 1
    return structs, enumerators


def all_items(h, gone):
    """Every (description, expression) that both headers must agree on; the real one lacks gone."""
    items = []
    for name, (args, value) in sorted(h.macros.items()):
        if name in gone:
            continue
        if args:
            calls = ['%s(%s)' % (name, a) for a in SAMPLES[name]]
        elif value:
            calls = [name]
        else:
            continue
        for c in calls:
            items += [(c, c), ('size of the type of ' + c, 'sizeof(%s)' % c),
                      ('sign of the type of ' + c,
                       '(__typeof__(%s))-1 < (__typeof__(%s))1' % (c, c))]
    items += [(e, e) for e in h.enumerators if e not in gone]
    for name, paths in sorted(h.structs.items()):
        if name in gone:
            continue
        s = 'struct ' + name
        items.append(('size of ' + s, 'sizeof(%s)' % s))
        items.append(('alignment of ' + s, '_Alignof(%s)' % s))
        for p in paths:
            if name in ('kvm_sregs', 'kvm_fpu') or '%s.%s' % (name, p) in gone:
                continue
            flexible = p.endswith('[]')
            p = p.removesuffix('[]')
            items.append(('offset of %s.%s' % (s, p), '__builtin_offsetof(%s, %s)' % (s, p)))
            if not flexible:
                items.append(('size of %s.%s' % (s, p), 'sizeof(((%s *)0)->%s)' % (s, p)))
    return items


def differences(ours, real, items):
    a, b = ours.numbers(items), real.numbers(items)
    assert len(a) == len(b) == len(items)
    return ['%s: %#x here, %#x in Linux' % (d, x, y) for (d, _), x, y in zip(items, a, b) if x != y]


def lacks(a, b):
    """The names that header b has and a does not: (kind, name), a member's being struct.member."""
    names = [('macro', n) for n in b.macros if n not in a.macros and not NO_MACROS.match(n)]
    names += [('macro', n) for n in b.enumerators if n not in a.enumerators and NAMES.match(n)]
    for s, paths in b.structs.items():
        if s not in a.structs:
            names.append(('struct', s))
        elif s not in ('kvm_sregs', 'kvm_fpu'):
            names += [('struct', s + '.' + p) for p in paths if p not in a.structs[s]]
    return names


class Exclusions:
    """The list, and which of its lines have been of use.

    A line is "KIND REGEX [since VERSION] [until VERSION]"; it must exclude something in the headers
    of the kernels since and until then. A KIND that starts with "our-" is about names of ours.
    """

    def __init__(self, path, version):
        self.lines = []
        self.version = version
        with open(path) as f:
            for line in map(str.split, f):
                if line and line[0][0] != '#':
                    versions = (tuple(map(int, v.split('.'))) for v in line[3::2])
                    when = dict(zip(line[2::2], versions))
                    self.lines.append((line[0], re.compile(line[1]), when.get('since', OLDEST),
                                       when.get('until', version)))
        self.used = set()

    def filter(self, names, prefix=''):
        """The names that no line of the kind excludes."""
        left = []
        for kind, name in names:
            hits = [i for i, (k, r, _, _) in enumerate(self.lines)
                    if k == prefix + kind and r.fullmatch(name)]
            self.used.update(hits)
            if not hits:
                left.append('%s %s' % (kind, name))
        return left

    def unlike(self, differences):
        """The differences in numbers that no line excludes."""
        return [d for d in differences if self.filter([('value', d.split(':')[0])])]

    def idle(self):
        """The lines that should have excluded something and did not."""
        return [r.pattern for i, (_, r, since, until) in enumerate(self.lines)
                if i not in self.used and since <= self.version <= until]


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def case(self, name, problems, skip=None):
        self.n += 1
        self.failed += bool(problems)
        print('%s %d - %s%s' % ('not ok' if problems else 'ok', self.n, name,
                                ' # SKIP ' + skip if skip else ''))
        for p in problems[:40]:
            print('# ' + p)


def mutants(args, native, real, items):
    """Changed copies of our header that the comparison does not notice."""
    path = os.path.join(args.header_dir, 'armature', 'kvm_arm64.h')
    with open(path) as f:
        text = f.read()
    survivors = []
    for pattern, replacement in MUTATIONS:
        changed, n = re.subn(pattern, replacement, text, count=1)
        if n != 1 or changed == text:
            survivors.append('nothing to change for ' + pattern)
            continue
        with tempfile.TemporaryDirectory() as d:
            os.mkdir(os.path.join(d, 'armature'))
            with open(os.path.join(d, 'armature', 'kvm_arm64.h'), 'w') as f:
                f.write(changed)
            h = Header(native, OURS, ['-I' + d])
            if not differences(h, real, items):
                survivors.append('not noticed: ' + pattern)
    return survivors


def cplusplus(args):
    """Compile our header as C++ with what compilers there are."""
    problems, found = [], False
    for cxx in ('g++', 'clang++'):
        if not shutil.which(cxx):
            continue
        found = True
        text = ('#include <armature/kvm_arm64.h>\n'
                'static_assert(sizeof(kvm_sregs) == 0 && sizeof(kvm_run) == 2352, "");\n')
        r = subprocess.run([cxx, '-Wall', '-Wextra', '-Werror', '-I' + args.header_dir,
                            '-fsyntax-only', '-x', 'c++', '-'], input=text, text=True,
                           capture_output=True)
        if r.returncode:
            problems += r.stderr.splitlines()
    return problems, None if found else 'no C++ compiler'


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('--cc', required=True, help='the compiler for this machine')
    ap.add_argument('--header-dir', required=True)
    ap.add_argument('--exclude', required=True)
    args = ap.parse_args()

    if not shutil.which(CROSS):
        print('1..0 # SKIP %s is not installed (package gcc-aarch64-linux-gnu)' % CROSS)
        return 0
    probe = subprocess.run([CROSS, '-E', '-P', '-x', 'c', '-'], capture_output=True, text=True,
                           input='#include <linux/kvm.h>\n#include <linux/version.h>\n'
                                 'LINUX_VERSION_CODE')
    if probe.returncode:
        print('1..0 # SKIP no <linux/kvm.h> for arm64 (package linux-libc-dev-arm64-cross)')
        return 0
    code = int(probe.stdout.split()[-1])
    version = code >> 16, code >> 8 & 255
    native = shlex.split(args.cc)
    flags = ['-I' + args.header_dir]
    real = Header([CROSS], REAL)
    here = Header(native, OURS, flags)
    there = Header([CROSS], OURS, flags)
    exclusions = Exclusions(args.exclude, version)
    missing, extra = lacks(here, real), lacks(real, here)
    items = all_items(here, {name for _, name in extra})

    tap = Tap()
    left = exclusions.filter(missing)
    if version > NEWEST:
        for name in left:
            print('# newer than Linux %d.%d: %s' % (*NEWEST, name))
        left = []
    tap.case('each name of Linux %d.%d is here or excluded' % version, left)
    left = exclusions.filter(extra, 'our-')
    tap.case('each name here is one of Linux %d.%d, or excluded' % version, left)
    tap.case('the same on both machines', [n for n in set(here.structs) ^ set(there.structs)])
    tap.case('%d sizes, offsets and numbers, compiled for this machine' % len(items),
             exclusions.unlike(differences(here, real, items)))
    tap.case('%d sizes, offsets and numbers, compiled for arm64' % len(items),
             exclusions.unlike(differences(there, real, items)))
    if '__aarch64__' in here.run(['-E', '-dM']):
        tap.case('each exclusion excludes something', [], 'arm64 brings <asm/ptrace.h> whole')
    else:
        tap.case('each exclusion excludes something', exclusions.idle())
    tap.case('C++ takes the header', *cplusplus(args))
    tap.case('%d wrong headers are each noticed' % len(MUTATIONS),
             mutants(args, native, real, items))
    print('1..%d' % tap.n)
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
