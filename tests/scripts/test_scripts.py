#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scripts on machines that are not as they like it; TAP.

Other distributions are a PATH without Debian's tools and a compiler without some header; other
mirrors are a repository in a folder. What is missing is said in one line.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBIAN_TOOLS = ('dpkg', 'dpkg-query', 'apt-get', 'apt-config', 'apt-cache')
MAKE_VARIABLES = ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'MAKE_TERMOUT', 'MAKE_TERMERR')
HEADERS = ('libfdt.h', 'zlib.h')
NAME_ONE = 'ARMATURE_DEBIAN_MIRROR="URI [RELEASE]"'


class Failed(Exception):
    """A test's demand that was not met."""


def run(args, **env):
    """(status, lines of standard error without progress) of a command with this environment."""
    # What a make that runs the tests tells its children is not for theirs.
    env = {**{k: v for k, v in os.environ.items() if k not in MAKE_VARIABLES}, **env}
    p = subprocess.run(args, cwd=TOP, env=env, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    lines = [line for line in p.stderr.splitlines() if '==>' not in line]
    return p.returncode, lines


def demand_line(result, *parts):
    """Demand that a command failed with one line, which has all the parts."""
    status, lines = result
    if status == 0 or len(lines) != 1 or any(part not in lines[0] for part in parts):
        raise Failed('status %d, said: %s' % (status, ' / '.join(lines)))


def demand_silence(result):
    """Demand that a command succeeded and said nothing."""
    status, lines = result
    if status != 0 or lines:
        raise Failed('status %d, said: %s' % (status, ' / '.join(lines)))


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)


# ---- Other distributions -------------------------------------------------------------------------

def other_system(folder, without=()):
    """The environment of a system that has everything but Debian's tools and what is named."""
    path = os.path.join(folder, 'bin')
    os.makedirs(path)
    for name in ('bash', 'sh', 'env', 'cat', 'dirname', 'sed', 'grep', 'id', 'make', 'meson',
                 'ninja', 'pkg-config', 'sudo', 'sort', 'touch', 'python3'):
        # What building takes need not be what it is called here.
        if name not in without:
            os.symlink(shutil.which(name) or shutil.which('true'), os.path.join(path, name))
    missing = [name for name in HEADERS if name in without]
    if 'cc' not in without:
        write(os.path.join(path, 'cc'), '#!/bin/sh\nread -r line\ncase $line in\n%s*) ;;\nesac\n' %
              ''.join('*%s*) exit 1 ;;\n' % name for name in missing), 0o755)
    return {'PATH': path, 'CC': 'cc'}


def script(folder, without, *args):
    return run([os.path.join(TOP, 'scripts', 'deps'), *args], **other_system(folder, without))


def everything_is_there(folder):
    """On a system that is no Debian, building starts where all that it takes is there"""
    demand_silence(script(folder, (), '--only-ask', 'build'))


def something_is_missing(folder):
    """There, what building lacks is named in one line"""
    rows = (('meson',), ('ninja',), ('pkg-config',), ('cc', *HEADERS), ('libfdt.h',), ('zlib.h',),
            ('meson', 'zlib.h'))
    for n, row in enumerate(rows):
        result = script(os.path.join(folder, str(n)), row, '--only-ask', 'build')
        demand_line(result, 'these are missing: %s.' %
                    ' '.join(sorted(row, key=('cc', 'meson', 'ninja', 'pkg-config',
                                              *HEADERS).index)), 'This is no Debian')


def make_says_so(folder):
    """There, `make` says what is missing, and builds nothing"""
    status, lines = run(['make', '--no-print-directory', 'BUILD=' + os.path.join(folder, 'build')],
                        **other_system(folder, ('meson', 'libfdt.h')))
    said = [line for line in lines if not line.startswith('make: ***')]
    demand_line((status, said), 'deps: these are missing: meson libfdt.h.')
    if os.path.exists(os.path.join(folder, 'build')):
        raise Failed('it has made something')


def nothing_is_installed(folder):
    """There, what the tests take is named as Debian does, and nothing is installed"""
    demand_line(script(folder, (), 'test'), 'this is no Debian', 'libcmocka-dev')


# ---- Mirrors -------------------------------------------------------------------------------------

def release():
    """The code name of this machine's system."""
    with open('/etc/os-release') as f:
        found = re.search(r'^VERSION_CODENAME="?(\w+)', f.read(), re.M)
    return found[1] if found else 'stable'


def repository(folder, architectures):
    """The URI of a mirror with no packages, and none for other architectures."""
    dist = os.path.join(folder, 'mirror', 'dists', release())
    for architecture in architectures:
        write(os.path.join(dist, 'main', 'binary-' + architecture, 'Packages'), '')
    empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    write(os.path.join(dist, 'Release'), 'Codename: %s\nArchitectures: %s\nComponents: main\n'
          'Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n%s' %
          (release(), ' '.join(architectures),
           ''.join(' %s 0 main/binary-%s/Packages\n' % (empty, a) for a in architectures)))
    return 'file:' + os.path.join(folder, 'mirror')


def apt(folder, one_line='', deb822=''):
    """The environment of a system whose apt has these sources."""
    etc = os.path.join(folder, 'etc')
    write(os.path.join(etc, 'sources.list'), one_line)
    write(os.path.join(etc, 'parts', 'test.sources'), deb822)
    write(os.path.join(etc, 'apt.conf'), 'Dir::Etc::sourcelist "%s/sources.list";\n'
          'Dir::Etc::sourceparts "%s/parts/";\nAcquire::Retries::Delay "false";\n' % (etc, etc))
    return {'APT_CONFIG': os.path.join(etc, 'apt.conf'), 'ARMATURE_DEBIAN_MIRROR': '',
            'ARMATURE_CACHE': os.path.join(folder, 'cache')}


def get(folder, **env):
    return run([os.path.join(TOP, 'scripts', 'apt-arm64'), 'get', os.path.join(folder, 'debs'),
                'hello'], **env)


UBUNTU = ('Types: deb\nURIs: http://archive.invalid/ubuntu\nSuites: %s\nComponents: main universe\n'
          'Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n')


def no_mirror(folder):
    """Where apt's sources name no mirror of Debian, one line says how to name one"""
    for n, sources in enumerate(({}, {'deb822': UBUNTU % release()},
                                 {'one_line': 'deb http://archive.invalid/x other main\n'})):
        env = apt(os.path.join(folder, str(n)), **sources)
        demand_line(get(folder, **env), 'name no mirror of Debian', NAME_ONE)


def mirror_without_arm64(folder):
    """Where the mirror has no arm64, one line says so and how to name one that has"""
    uri = repository(folder, ['amd64', 'i386'])
    line = 'deb [arch=amd64 trusted=yes] %s %s main universe\n' % (uri, release())
    demand_line(get(folder, **apt(folder, one_line=line)), uri + ' has no arm64', NAME_ONE)


def mirror_out_of_reach(folder):
    """A mirror that cannot be reached is not taken for one without arm64"""
    env = apt(folder, one_line='deb [trusted=yes] http://127.0.0.1:9/x %s main\n' % release())
    status, lines = get(folder, **env)
    if status == 0 or 'cannot be read' not in lines[-1] or '127.0.0.1:9' not in lines[0]:
        raise Failed('status %d, said: %s' % (status, ' / '.join(lines)))


def mirror_with_arm64(folder):
    """A mirror that has arm64, and no backports, is read"""
    uri = repository(folder, ['amd64', 'arm64'])
    env = apt(folder, one_line='deb [trusted=yes] %s %s main\n' % (uri, release()))
    demand_silence(run([os.path.join(TOP, 'scripts', 'apt-arm64'), 'update'], **env))


def other_release(folder):
    """A bare Debian is made of a mirror that apt's sources name, or one line says so"""
    if os.geteuid() == 0 and not subprocess.run(['unshare', '--mount', 'true'],
                                                capture_output=True).returncode:
        command = [os.path.join(TOP, 'scripts', 'in-debian'), '--ask', 'trixie']
        demand_line(run(command, **apt(folder)), 'name no mirror of Debian', NAME_ONE)
        line = 'deb [trusted=yes] file:/x %s main\n' % release()
        demand_silence(run(command, **apt(folder, one_line=line)))


OTHERS = (everything_is_there, something_is_missing, make_says_so, nothing_is_installed)
MIRRORS = (no_mirror, mirror_without_arm64, mirror_out_of_reach, mirror_with_arm64, other_release)


def main():
    tests = list(OTHERS)
    if shutil.which('apt-config'):
        tests += MIRRORS
    failed = False
    for n, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                problem = None
            except Failed as e:
                problem = str(e)
        print('%s %d - %s' % ('not ok' if problem else 'ok', n, test.__doc__))
        if problem:
            print('# ' + problem)
            failed = True
    print('1..%d' % len(tests))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
