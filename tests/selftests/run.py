#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Linux's own tests of KVM, behind `armature exec`, held to what is written in `expected`.

    run.py ARMATURE VERSION [NAME...]    VERSION as scripts/selftests has it; prints TAP

A test that the list does not have, or that is not built, is a failure like a result that is not the
list's: the list can neither rot nor leave out.
"""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SYSROOT = '/usr/aarch64-linux-gnu'

PATIENCE = 300   # s until a test is taken to hang; not a measure of how long it may take
WANTED = {'pass': (False, False), 'skip': (True, True), 'fail': (True, True), 'none': (False, True)}
RESULTS = {0: 'pass', 4: 'skip'}   # exit statuses of kselftest; whatever else is a failure


def script(*command):
    """What a script prints, a path."""
    return subprocess.run([os.path.join(TOP, 'scripts', command[0]), *command[1:]], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def expected(version):
    """{name: (arguments, result, what it says, why)}"""
    out = {}
    with open(os.path.join(HERE, 'expected')) as f:
        for line in f:
            if line.startswith('#') or not line.strip():
                continue
            name, versions, arguments, result, says, why = (
                [c.strip() for c in line.split('|')] + ['', ''])[:6]
            if (bool(says), bool(why)) != WANTED.get(result):
                sys.exit('run.py: this line of the list is not as it should be: ' + line)
            if version in versions.split():
                out[name] = (arguments.split(), result, says, why)
    return out


def built(folder):
    """The names of the tests' programs."""
    return {os.path.relpath(os.path.join(d, f), folder)
            for d, _, files in os.walk(folder) for f in files}


def run(armature, program, arguments):
    """(result, output) of a test."""
    # meson's tests get memory full of rubbish, and get-reg-list of 6.1 takes it for empty strings.
    env = {k: v for k, v in os.environ.items() if k != 'MALLOC_PERTURB_'}
    p = subprocess.Popen([armature, 'exec', '--sysroot', SYSROOT, program, *arguments], env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, _ = p.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, 9)
        out, _ = p.communicate()
        return 'not over after %d s' % PATIENCE, out.decode(errors='replace')
    return RESULTS.get(p.returncode, 'fail'), out.decode(errors='replace')


def verdict(wanted, says, result, out):
    """What is wrong with a result, or None."""
    if result != wanted:
        return 'the list says %s, it is: %s' % (wanted, result)
    if says not in out:
        return 'it is %s as the list says, but does not say "%s"' % (result, says)
    return None


def show(out):
    """The end of a test's output as TAP's comments, without what its shell cannot preload."""
    lines = [line for line in out.splitlines() if not line.startswith('ERROR: ld.so:')]
    for line in lines[-20:]:
        print('# | ' + line)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    armature, version, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    folder = script('selftests', version)
    script('cross', 'build')
    tests, there = expected(version), built(folder)
    failures = 0
    names = names or sorted(set(tests) | there)
    print('1..%d' % len(names))
    for n, name in enumerate(names, 1):
        started = time.monotonic()
        out, remark = '', ''
        if name not in tests:
            wrong = 'it is not in the list'
        elif name not in there:
            wrong = 'it is in the list, but not built'
        else:
            arguments, wanted, says, why = tests[name]
            wrong = None
            if wanted != 'none':
                result, out = run(armature, os.path.join(folder, name), arguments)
                wrong = verdict(wanted, says, result, out)
            if not wrong and wanted != 'pass':
                remark = ' # SKIP ' + why
        print('%sok %d - %s%s' % ('not ' if wrong else '', n, name, remark))
        print('# %.1f s' % (time.monotonic() - started))
        if wrong:
            failures += 1
            print('# ' + wrong)
            show(out)
        sys.stdout.flush()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
