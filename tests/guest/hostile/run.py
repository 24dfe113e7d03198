#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run one group of the hostile guests, or all of the fatal ones; TAP.

    run.py IMAGE GROUP [SEED]

The program under test is build/armature, or what ARMATURE names. With ARMATURE=qemu the same
guests run on qemu-system-aarch64, to tell a fault of a test from one of armature.
"""
import os
import signal
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ARMATURE = os.environ.get('ARMATURE', os.path.join(TOP, 'build', 'armature'))
CPUS = {'smp': 3, 'atomics': 3, 'code': 3, 'waits': 2, 'loops': 2, 'fatal': 2,
        'fuzz': 2}
SECONDS = 150
DISK = tempfile.NamedTemporaryFile(prefix='armature-hostile-')
DISK.truncate(1 << 20)

# How each of the fatal tests ends. STOPPED: by itself, with a message and exit status 1. KILLED: it
# goes on until it is told to end, and then does so at once. OFF: powered off.
STOPPED, KILLED, OFF = 'stopped', 'killed', 'off'
FATAL = {
    'pair': STOPPED, 'pair-store': STOPPED, 'vector': STOPPED, 'vector-store': STOPPED,
    'write-back': STOPPED, 'exclusive': STOPPED, 'atomic': STOPPED, 'cas': STOPPED, 'zva': STOPPED,
    'crossing': STOPPED, 'crossing-store': STOPPED, 'no-stack': STOPPED,
    'no-vectors': KILLED, 'device-vectors': KILLED, 'spin': KILLED, 'all-spin': KILLED,
    'sleep': KILLED, 'wait': KILLED, 'all-off': KILLED,
    'off-while-spinning': OFF, 'reset': OFF,
}


def command(image, group, append):
    """The command that runs the guests."""
    append = 'group=%s %s' % (group, append)
    cpus = str(CPUS.get(group, 1))
    if ARMATURE == 'qemu':
        return ['qemu-system-aarch64', '-M', 'virt,gic-version=2', '-cpu', 'max', '-nodefaults',
                '-display', 'none', '-serial', 'stdio', '-m', '256', '-smp', cpus,
                '-kernel', image, '-append', append]
    disk = []
    if group == 'fuzz':
        disk = ['-d', DISK.name]
    return [ARMATURE, 'run', '--kvm', 'soft', '-m', '256', '-c', cpus, '-k', image, '-a', append,
            *disk]


def run(args, seconds):
    """(output, messages, exit status); -1: it had to be killed."""
    with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        try:
            out, err = p.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGTERM)
            try:
                out, err = p.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                p.kill()
                out, err = p.communicate()
                return out.decode(errors='replace'), err.decode(errors='replace'), -9
            return out.decode(errors='replace'), err.decode(errors='replace'), -1
        return out.decode(errors='replace'), err.decode(errors='replace'), p.returncode


def group_of_tests(image, group, seed):
    """The guest prints TAP itself; it must come to its end."""
    out, err, status = run(command(image, group, 'seed=' + seed if seed else ''), SECONDS)
    lines = [line for line in out.replace('\r', '').split('\n') if line]
    results = [line for line in lines if line.startswith(('ok - ', 'not ok - '))]
    for line in lines:
        if line != 'END':
            print(line)
    if not results or lines[-1] != 'END' or status != 0:
        for line in err.splitlines():
            print('#', line)
        print('not ok - %s comes to its end (status %d)' % (group, status))
        results.append('')
    print('1..%d' % len(results))


def fatal(image):
    """One guest for each."""
    print('1..%d' % len(FATAL))
    for name, end in FATAL.items():
        out, err, status = run(command(image, 'fatal', 'test=' + name), 2 if end == KILLED else 60)
        good = {
            STOPPED: status == 1 and 'VM is stopped' in err,
            KILLED: status == -1,
            OFF: status == 0,
        }[end] and 'ok - ' not in out and 'Sanitizer' not in err
        print('%s - %s' % ('ok' if good else 'not ok', name))
        if not good:
            for line in (out + err).splitlines():
                print('#', line)
            print('# status %d' % status)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[2] == 'fatal':
        fatal(sys.argv[1])
    else:
        group_of_tests(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else '')
