"""Names that a program in C can have: prefixes of its files and identifiers."""

from __future__ import annotations

import re

_HEADERS = """
alloca argz assert byteswap complex cpio ctype devctl dirent elf endian envlock envz errno fastmath
fcntl features fenv float fnmatch getopt glob grp iconv ieeefp inttypes iso646 langinfo libgen
limits locale malloc math memory ndbm newlib paths picolibc picotls poll process pthread pwd reent
regdef regex sched search semaphore semihost setjmp signal spawn stdalign stdarg stdatomic stdbit
stdbool stdckdint stddef stdint stdio stdio_ext stdlib stdnoreturn string strings syslimits syslog
tar termios tgmath threads time uchar unctrl unistd utime utmp wait wchar wctype wordexp arduino
"""
_BUILDS = "all clean edit_cache help install package rebuild_cache test c dl g gcc m nosys rt"
_FIRMWARE = """
batch board count edgenet edgenet_model edgenet_serial main semihosting serial_main start
"""
_TAKEN = {
    **dict.fromkeys(_HEADERS.split(), "{0}.h is a header of C libraries"),
    **dict.fromkeys(_BUILDS.split(), "build tools and linkers have a meaning of their own for {0}"),
    **dict.fromkeys(_FIRMWARE.split(), "edgenet's firmware has a file of that name"),
}


def refusal(name: str) -> str:
    """Why a program cannot have a name, and what to do; empty where it can."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        return "use a small letter first, then small letters, digits and _, 31 at most"
    if name in _TAKEN:
        return f"{_TAKEN[name].format(name)}; choose another, {free(name)} for one"
    return ""


def free(name: str) -> str:
    """A name as it is, or with something behind it where it is taken.

    >>> free("flowers"), free("string")
    ('flowers', 'string_net')
    """
    return f"{name}_net" if name in _TAKEN else name
