"""Keep the C allocator from returning every picture-sized block to the kernel.

glibc maps blocks above 128 KiB anew each time, and the page faults cost more than the arithmetic
on them: correlation of a 128x128 level takes 1.03 ms with its defaults and 0.47 ms without.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3        # malloc.h
_MIB = 1 << 20


def keep_large_blocks() -> bool:
    """Set the thresholds for this process; False where the C library has none (not glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(name, value) for name, value in (
        (_MMAP_THRESHOLD, 32 * _MIB), (_TRIM_THRESHOLD, 256 * _MIB), (_TOP_PAD, 64 * _MIB)))
