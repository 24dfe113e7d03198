#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot Debian guests and look at what they say.

    guest.py TEST         one of the tests below; prints TAP
    guest.py --list

The program under test is build/armature, or what ARMATURE names. With ARMATURE=qemu the same
guests run on qemu-system-aarch64 instead, to tell a fault of a test from one of armature.

A guest's console goes to a pipe, or to a pseudo-terminal where a test types. Every test demands
that the guest ended by itself in time, with status 0, and that its kernel complained of nothing.
"""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARMATURE = os.environ.get('ARMATURE', os.path.join(TOP, 'build', 'armature'))

# What a sound guest's kernel never says.
COMPLAINTS = re.compile(r'(?m)(?:WARNING: |BUG: |Oops|Kernel panic|unexpected IRQ|nobody cared|'
                        r'rcu.*stall|soft lockup|Spurious|I/O error|EXT4-fs error|'
                        r'Unable to handle|hung_task|clocksource: timekeeping watchdog).*')

# Younger shells shorten the home directory.
PROMPT = 'guest:(/root|~)# '
PATIENCE = 400   # s until a guest is taken to hang; not a measure of how long it may take


class Failed(Exception):
    """A test's demand that was not met."""


def made(*what):
    """The path of something that scripts/guest makes."""
    return subprocess.run([os.path.join(TOP, 'scripts', 'guest'), *what], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def qemu(kernel, initramfs, append, cpus, memory, disks):
    """The command for the same machine on QEMU."""
    args = ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'max,pauth-impdef=on', '-nic', 'none',
            '-display', 'none', '-serial', 'mon:stdio', '-m', str(memory), '-smp', str(cpus),
            '-kernel', kernel, '-initrd', initramfs, '-append', append]
    for n, disk in reversed(list(enumerate(disks))):
        name, _, option = disk.partition(',')
        args += ['-drive', 'file=%s,format=raw,if=none,id=d%d%s' %
                 (name, n, ',readonly=on' if option == 'ro' else ''),
                 '-device', 'virtio-blk-device,drive=d%d' % n]
    return args


def command(kind='cloud', run=None, root=None, cpus=1, memory=512, disks=(), options=(),
            qemu_options=()):
    """The command that boots a guest of a kind, which runs something and powers off."""
    kernel, initramfs = made('kernel', kind), made('initramfs', kind)
    append = 'console=ttyAMA0'
    if root:
        append += ' armature.root=' + root
    if run:
        append += ' armature.run="%s"' % run
    if ARMATURE == 'qemu':
        return qemu(kernel, initramfs, append, cpus, memory, disks) + list(qemu_options)
    args = [ARMATURE, 'run', '-k', kernel, '-i', initramfs, '-a', append, '-m', str(memory),
            '-c', str(cpus)]
    for disk in disks:
        args += ['-d', disk]
    return args + list(options)


def sound(text, status):
    """Demand that a guest ended well."""
    complaint = COMPLAINTS.search(text)
    if complaint:
        raise Failed('the kernel complains: ' + complaint[0])
    if 'reboot: Power down' not in text:
        raise Failed('the guest did not power off')
    if status != 0:
        raise Failed('exit status %d' % status)


def boot(**what):
    """Boot, without a terminal, and return what the guest's console showed."""
    args = command(**what)
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    try:
        out, _ = p.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
        show(out)
        raise Failed('not over after %d s' % PATIENCE)
    text = show(out)
    sound(text, p.returncode)
    return text


def show(out):
    """Put a console into the log, as TAP comments; return it as text."""
    text = out.decode(errors='replace').replace('\r', '')
    for line in text.splitlines():
        print('# | ' + line)
    sys.stdout.flush()
    return text


def demand(text, *patterns):
    """Demand that every pattern is found in a line of its own right."""
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failed('nothing matches ' + pattern)


class Terminal:
    """A guest on a pseudo-terminal, to type at."""

    def __init__(self, args=None, **what):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.p = subprocess.Popen(args or command(**what), stdin=slave, stdout=slave, stderr=slave,
                                  start_new_session=True)
        self.slave = slave
        self.text = b''
        self.seen = 0

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536)
            return True
        return False

    def expect(self, what):
        """Wait until something new that matches is shown; return the match."""
        end = time.monotonic() + PATIENCE
        while True:
            found = re.compile(what.encode()).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return found
            left = end - time.monotonic()
            if left <= 0 or self.p.poll() is not None and not self.read(0.1):
                raise Failed('%r is not shown' % what)
            self.read(min(left, 0.2))

    def type(self, what):
        os.write(self.master, what.encode())

    def finish(self):
        """Wait for the end; return the exit status. The terminal must be as it was."""
        end = time.monotonic() + PATIENCE
        while self.p.poll() is None:
            if time.monotonic() > end:
                raise Failed('still running')
            self.read(0.1)
        while self.read(0.1):
            pass
        if termios.tcgetattr(self.slave) != self.before:
            raise Failed('the terminal is not as it was')
        return self.p.returncode

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        show(self.text)
        os.close(self.master)
        os.close(self.slave)


def interactive(script, args=lambda: None):
    """Run a test that types, and show the console in any case. args() is what to run."""
    def test():
        terminal = Terminal(args())
        try:
            script(terminal)
        finally:
            terminal.close()
    test.__doc__ = script.__doc__
    return test


INTERRUPTS = (r'GIC-0 +27 Level +arch_timer', r'GIC-0 .*arm-pmu', r'GIC-0 .*uart-pl011',
              r'GIC-0 .*rtc-pl031')


def cloud():
    """Debian's cloud kernel, one CPU: its interrupts come from GIC-0"""
    text = boot(run='uname -a; cat /proc/interrupts; '
                    'cd /sys/devices/system/cpu/vulnerabilities; grep . *')
    demand(text, r'^Linux guest 6\..*-cloud-arm64 .*aarch64', r'^spectre_v2:', *INTERRUPTS)
    weak = re.search(r'^\w+:.*(Vulnerable|but not).*$', text, re.M)
    if weak:
        raise Failed('the guest takes this CPU to be unsafe: ' + weak[0])
    count = re.search(r'^ *\d+: +(\d+) +GIC-0 +27', text, re.M)
    if int(count[1]) < 50:
        raise Failed('only %s timer interrupts' % count[1])


def vgic():
    """The GIC in the KVM: the same guest, two CPUs, a disk and a reboot"""
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        text = boot(cpus=2, disks=[disk.name], options=['--irqchip', 'kernel', '--stats'],
                    run='if grep -q marked /dev/vda; then cat /proc/interrupts; else '
                        'echo marked | dd of=/dev/vda conv=fsync; reboot; sleep 60; fi')
    demand(text, r'SMP: Total of 2 processors activated', 'reboot: Restarting system', *INTERRUPTS)
    demand(text, r'^  device-level changes 0: none', r'^  interrupts delivered by the KVM')
    if re.search(r'gic-(dist|cpu)|level change \(', text):
        raise Failed('the VMM had to do with the GIC')
    timer = re.search(r'^ *\d+: +(\d+) +(\d+) +GIC-0 +27', text, re.M)
    if not timer or int(timer[1]) < 20 or int(timer[2]) < 20:
        raise Failed('the timer does not tick on both')


def generic():
    """Debian's plain kernel, linux-image-arm64"""
    text = boot(kind='generic', run='uname -a; cat /proc/interrupts')
    demand(text, r'^Linux guest 6\.\S*-arm64 .*aarch64', *INTERRUPTS)


def backports():
    """The kernel of Debian's backports"""
    text = boot(kind='backports', run='uname -a; cat /proc/interrupts')
    demand(text, r'^Linux guest \d\S*-cloud-arm64 .*aarch64', *INTERRUPTS)


def two_cpus():
    """Two CPUs come up, both work, and they interrupt each other"""
    text = boot(cpus=2, run='nproc; for c in 0 1; do taskset -c $c sh -c '
                "'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done $i' & done; wait; "
                'cat /proc/interrupts')
    demand(text, '^2$', r'SMP: Total of 2 processors activated')
    if len(re.findall('^done 20000$', text, re.M)) != 2:
        raise Failed('not both CPUs did their work')
    timer = re.search(r'^ *\d+: +(\d+) +(\d+) +GIC-0 +27', text, re.M)
    if not timer or int(timer[1]) < 20 or int(timer[2]) < 20:
        raise Failed('the timer does not tick on both')
    ipi = re.search(r'^IPI0: +(\d+) +(\d+) ', text, re.M)
    if int(ipi[1]) + int(ipi[2]) == 0:
        raise Failed('no rescheduling interrupts')


def eight_cpus():
    """Eight CPUs come up"""
    text = boot(cpus=8, run='nproc; grep -c ^processor /proc/cpuinfo; '
                'grep GIC-0 /proc/interrupts')
    demand(text, r'SMP: Total of 8 processors activated', r'^8\n8$')
    timer = re.search(r'^ *\d+: +((\d+ +){8})GIC-0 +27', text, re.M)
    if not timer or min(map(int, timer[1].split())) == 0:
        raise Failed('the timer does not tick on all')


def reboot():
    """A guest reboots, and finds on its disk what it wrote before"""
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(1 << 20)
        text = boot(disks=[disk.name], run='if grep -q marked /dev/vda; then '
                    "echo second time; else echo marked | dd of=/dev/vda conv=fsync; reboot; "
                    'sleep 60; fi')
        demand(text, '^second time', 'reboot: Restarting system')
        if text.count('Booting Linux on physical CPU') != 2:
            raise Failed('not two boots')
        with open(disk.name, 'rb') as f:
            if not f.read().startswith(b'marked\n'):
                raise Failed('the mark is not in the image')


def disks():
    """Two disks in order, one read-only; what the guest writes is in the image"""
    with tempfile.TemporaryDirectory() as d:
        names = [os.path.join(d, n) for n in ('a', 'b')]
        for n, size in zip(names, (3 << 20, 5 << 20)):
            with open(n, 'wb') as f:
                f.write(os.path.basename(n).encode() * size)
        text = boot(disks=[names[0], names[1] + ',ro'], run='cat /sys/block/vda/size '
                    '/sys/block/vdb/size /sys/block/vda/ro /sys/block/vdb/ro; '
                    'yes guest | dd of=/dev/vda bs=4k count=256 conv=fsync iflag=fullblock; '
                    'echo x | dd of=/dev/vdb || echo refused; md5sum /dev/vda /dev/vdb')
        demand(text, r'^6144\n10240\n0\n1$', '^refused$')
        for n, dev in zip(names, ('vda', 'vdb')):
            with open(n, 'rb') as f:
                data = f.read()
            if n == names[0] and data[:1 << 20] != (b'guest\n' * (1 << 20))[:1 << 20]:
                raise Failed('what was written is not there')
            sums = subprocess.run(['md5sum', n], capture_output=True, text=True, check=True).stdout
            demand(text, r'^%s +/dev/%s' % (sums.split()[0], dev))


def on_rootfs(run, look=lambda image: None, **what):
    """Run commands inside a copy of the root file system; look() at the copy afterwards."""
    with tempfile.TemporaryDirectory() as d:
        image = os.path.join(d, 'rootfs')
        subprocess.run(['cp', '--sparse=always', made('rootfs'), image], check=True)
        text = boot(disks=[image], root='/dev/vda', run=run, **what)
        look(image)
    return text


def kept_and_clean(image):
    path = os.environ['PATH'] + ':/sbin:/usr/sbin'
    kept = subprocess.run(['debugfs', '-R', 'cat /root/kept', image], capture_output=True,
                          text=True, env={**os.environ, 'PATH': path})
    if kept.stdout != 'kept\n':
        raise Failed('the file that the guest wrote is not in the image')
    check = subprocess.run(['/sbin/e2fsck', '-fn', image], capture_output=True, text=True)
    if check.returncode:
        raise Failed('e2fsck: ' + check.stdout)


def rootfs():
    """A Debian root file system on a disk runs its own bash, perl and python3"""
    text = on_rootfs('cat /etc/debian_version; '
                     "bash -c 'a=(1 2 3); echo bash ${#a[@]} $BASH_VERSION'; "
                     "perl -e 'print join(q(-), map { $_ ** 2 } 1 .. 5), qq(\\n)'; "
                     "python3 -c 'import math, json, hashlib; print(json.dumps([2 ** 100, math.pi, "
                     "hashlib.sha256(bytes(1000)).hexdigest()]))'; echo kept > /root/kept",
                     kept_and_clean)
    demand(text, r'^\d+\.\d+$', r'^bash 3 5', '^1-4-9-16-25$',
           r'^\[1267650600228229401496703205376, 3.141592653589793, '
           '.541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53.\\]$')


def sixteen_k():
    """A kernel with pages of 16 KiB, on two CPUs, runs a Debian root file system"""
    text = on_rootfs("uname -a; nproc; getconf PAGESIZE; "
                     "perl -e 'for (1 .. 20) { exit unless fork; wait } "
                     "print length(join q(,), 1 .. 50000), qq( forked\\n)'; "
                     'cat /proc/interrupts', kind='16k', cpus=2)
    demand(text, r'^Linux guest \d\S*-arm64-16k .*aarch64', '^2$', '^16384$', '^288893 forked$',
           *INTERRUPTS)


@interactive
def clocks(t):
    """The guest's clocks run as the host's: the date, and how fast time passes"""
    def ask(command):
        """What a command says, in a bracket of the host's date and of its seconds."""
        before = time.time(), time.monotonic()
        t.type('echo =$(%s)=\r' % command)
        said = float(t.expect(r'=([\d.]+)=')[1])
        t.expect(PROMPT)
        return said, before, (time.time(), time.monotonic())
    t.expect(PROMPT)
    for command in ('cat /sys/class/rtc/rtc0/since_epoch', 'date +%s'):
        said, before, after = ask(command)
        if not before[0] - 2 <= said <= after[0] + 2:
            raise Failed('%s: %d, not between %d and %d' % (command, said, before[0], after[0]))
    start, start_before, start_after = ask('cut -d\\  -f1 /proc/uptime')
    time.sleep(5)
    end, end_before, end_after = ask('cut -d\\  -f1 /proc/uptime')
    least, most = end_before[1] - start_after[1], end_after[1] - start_before[1]
    # /proc/uptime is in hundredths.
    if not least - 0.02 <= end - start <= most + 0.02:
        raise Failed('%.2f to %.2f seconds were %.2f' % (least, most, end - start))
    t.type('poweroff\r')
    t.finish()


@interactive
def shell(t):
    """A shell with job control on the terminal, which is restored at the end"""
    t.expect(PROMPT)
    t.type('echo $((6*7))-$(tty)\r')
    t.expect('42-/dev/ttyAMA0')
    t.expect(PROMPT)
    t.type('sleep 1000\r')
    t.expect('sleep 1000')
    time.sleep(1)
    t.type('\x03')
    t.expect(PROMPT)
    t.type('sleep 1000\r')
    t.expect('sleep 1000')
    time.sleep(1)
    t.type('\x1a')
    t.expect('Stopped')
    t.expect(PROMPT)
    t.type('kill %1; for i in 1 2 3; do echo x$i; done\r')
    for i in '123':
        t.expect('x' + i)
    t.expect(PROMPT)
    t.type('poweroff\r')
    status = t.finish()
    sound(t.text.decode(errors='replace'), status)


@interactive
def leave(t):
    """Ctrl-A x leaves a running guest at once, and the terminal as it was"""
    t.expect(PROMPT)
    t.type('echo $((6*7))\r')
    t.expect('42')
    t.type('\x01x')
    t.finish()


@interactive
def killed(t):
    """SIGTERM ends it, and the terminal is as it was"""
    t.expect(PROMPT)
    os.kill(t.p.pid, signal.SIGTERM)
    t.finish()


def small():
    """Guests of 64 to 136 MiB come up: CMA takes its 64 MiB or none, but never all that is left"""
    for memory in (64, 98, 100, 104, 108, 112, 136):
        text = boot(memory=memory, run="grep -E 'MemTotal|CmaTotal' /proc/meminfo")
        demand(text, r'^MemTotal: ')


def small_cache():
    """A code cache that is full all the time boots guests, on each engine"""
    for engine, size, cpus in (('portable', '256K', 4), ('auto', '256K', 1), ('auto', '2M', 4)):
        os.environ.update(ARMATURE_ENGINE=engine, ARMATURE_CODE_CACHE=size, ARMATURE_DUMP='s')
        text = boot(cpus=cpus, run='nproc')
        evicted = re.search(r'^code: .* (\d+) evictions', text, re.M)
        if not evicted or int(evicted[1]) < 1000:
            raise Failed('%s with %s evicts little' % (engine, size))


def uboot_command():
    if ARMATURE == 'qemu':
        return ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'max,pauth-impdef=on', '-nic', 'none',
                '-display', 'none', '-serial', 'mon:stdio', '-m', '512', '-bios', made('uboot')]
    return [ARMATURE, 'run', '--kvm', 'soft', '-k', made('uboot') + ',flat']


def uboot(t):
    """Debian's U-Boot finds its device tree, comes to its prompt, takes commands and powers off"""
    t.expect('U-Boot 20')
    t.expect('DRAM: +512 MiB')
    t.expect('Hit any key')
    t.type('\r')
    t.expect('=> ')
    t.type('fdt addr $fdtcontroladdr; fdt print / model; md.l 40000000 1\r')
    if ARMATURE != 'qemu':
        t.expect('model = "armature"')
    t.expect('40000000: edfe0dd0')
    t.expect('=> ')
    t.type('poweroff\r')
    if t.finish() != 0:
        raise Failed('it did not end well')
    # It probes for flash that is not there, byte by byte.
    told = re.findall('where nothing is', t.text.decode(errors='replace'))
    if len(told) > 8:
        raise Failed('%d messages' % len(told))


PERF = r'''
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
# perf_event_attr, type 0 (hardware): size 64; flags: exclude_kernel | exclude_hv
def event(config, period):
    attr = struct.pack('<IIQQQQQIIQ', 0, 64, config, period, 0, 0, 1 << 5 | 1 << 6, 0, 0, 0)
    fd = libc.syscall(241, ctypes.c_char_p(attr.ljust(64, b'\0')), 0, -1, -1, 0)
    if fd < 0:
        sys.exit('perf_event_open: ' + os.strerror(ctypes.get_errno()))
    return fd
def overflows():
    with open('/proc/interrupts') as f:
        return sum(int(l.split()[1]) for l in f if 'arm-pmu' in l)
fds = [event(0, 0), event(1, 0), event(1, 10000000)]
before = overflows()
x = 0
for i in range(300000):
    x += i
values = [struct.unpack('<Q', os.read(fd, 8))[0] for fd in fds]
print('perf', *values, overflows() - before)
'''


def perf():
    """perf counts cycles and instructions, and the PMU's overflow interrupt arrives"""
    with tempfile.TemporaryDirectory() as d:
        image = os.path.join(d, 'rootfs')
        subprocess.run(['cp', '--sparse=always', made('rootfs'), image], check=True)
        program = os.path.join(d, 'perf.py')
        with open(program, 'w') as f:
            f.write(PERF)
        subprocess.run(['/sbin/debugfs', '-w', '-R', 'write %s /perf.py' % program, image],
                       check=True, capture_output=True)
        text = boot(disks=[image], root='/dev/vda', run='python3 /perf.py',
                    qemu_options=['-icount', 'shift=0'])
    counts = re.search(r'^perf (\d+) (\d+) (\d+) (\d+)', text, re.M)
    if not counts:
        raise Failed('no counts')
    cycles, instructions, sampled, overflows = map(int, counts.groups())
    if cycles == 0 or instructions < 3000000:
        raise Failed('too few: ' + counts[0])
    if not 0.5 <= overflows / (sampled / 10000000) <= 1.5:
        raise Failed('%d overflows for %d instructions, one expected for ten million' %
                     (overflows, sampled))


TESTS = {
    'cloud': cloud, 'vgic': vgic, 'generic': generic, 'backports': backports, 'two-cpus': two_cpus,
    'eight-cpus': eight_cpus, 'reboot': reboot, 'disks': disks, 'rootfs': rootfs,
    '16k': sixteen_k, 'clocks': clocks, 'perf': perf, 'shell': shell,
    'leave': leave, 'killed': killed, 'small': small, 'small-cache': small_cache,
    'u-boot': interactive(uboot, uboot_command),
}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in (*TESTS, '--list'):
        sys.exit(__doc__)
    if sys.argv[1] == '--list':
        for name, test in TESTS.items():
            print('%-12s %s' % (name, test.__doc__))
        return 0
    test = TESTS[sys.argv[1]]
    started = time.monotonic()
    try:
        test()
        problem = None
    except Failed as e:
        problem = str(e)
    print('%s 1 - %s' % ('not ok' if problem else 'ok', test.__doc__))
    if problem:
        print('# ' + problem)
    print('# %.1f s' % (time.monotonic() - started))
    print('1..1')
    return 1 if problem else 0


if __name__ == '__main__':
    sys.exit(main())
