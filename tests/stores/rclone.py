"""`rclone serve s3` on loopback: a store that `store certify` has to reject.

The real program, from PyPI, in front of a folder. It ignores the condition of a put.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
from collections.abc import Iterator

from tests.stores.programs import INSTALLED, Program, is_listening, scratch_folder
from tests.support.ports import free_port
from tests.support.stores import Keys, Store

_PROGRAM = INSTALLED / "bin" / "rclone"


@contextlib.contextmanager
def running_rclone() -> Iterator[Store]:
    """Start one, and leave nothing of it."""
    with scratch_folder("rclone-") as folder:
        keys, port = Keys(secrets.token_hex(10), secrets.token_hex(20)), free_port()
        (folder / "buckets").mkdir()
        program = Program(
            "rclone",
            [_PROGRAM, "serve", "s3", "--addr", f"127.0.0.1:{port}", folder / "buckets"],
            folder / "log",
            {
                # A list as CSV has it: a pair is one quoted field.
                "RCLONE_AUTH_KEY": f'"{keys.access_key},{keys.secret_key}"',
                "RCLONE_CONFIG": "/dev/null",
                "HOME": str(folder),
            },
        )
        try:
            program.await_ready(lambda: is_listening(port))
            yield Store(f"http://127.0.0.1:{port}", keys)
        finally:
            program.kill()


def version() -> str:
    """Its version, as it says it."""
    said = subprocess.run([_PROGRAM, "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+\.\d+\.\d+)", said)
    assert found, said
    return found[1]
