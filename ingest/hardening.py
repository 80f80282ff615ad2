"""What a process that sees keys in flight asks of the kernel.

No core dump and no debugger of the same user reads its memory, and a worker
does not outlive its parent: an orphan would hold the vault's lock and the
port. Linux only; elsewhere only the core limit applies, and nothing is
promised. Not a sandbox. prctl(2), getrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""
PR_SET_DUMPABLE = 4
"""linux/prctl.h"""

MOST_DESCRIPTORS = 65_536
"""Beyond what any bound of ours needs."""


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) was refused")


def keep_memory_private() -> None:
    """Switch core dumps off and make the process not dumpable.

    Raises:
        OSError: The kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)


def raise_descriptor_limit() -> int:
    """Allow this process as many open files and connections as it may allow itself.

    Returns:
        How many that are.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent ends, however it ends.

    SIGKILL, because what was acknowledged is durable already and nothing less
    is certain. The signal is bound to the parent's *thread*, so the parent
    must start workers from its main thread.

    Args:
        parent: The parent's process id, taken before this process was started.

    Raises:
        OSError: The kernel refuses.
        SystemExit: The parent ended before the kernel was asked.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)
