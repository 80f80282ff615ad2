"""The fixed world of the golden vectors: every key is public knowledge, drawn from its own name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from vault.keys import DatabaseKey, FileKey, LogKey, OwnerKey, PodId
from vault.opening import Identity


def draw(name: str, count: int = 32) -> bytes:
    """Bytes that look random and are the same in every language: SHAKE-256 of ``shared-pod vectors/<name>``."""
    return hashlib.shake_256(f"shared-pod vectors/{name}".encode()).digest(count)


def entropy(name: str) -> Callable[[int], bytes]:
    """A source of randomness that gives the same bytes in every run."""
    calls = iter(range(1_000_000))
    return lambda count: draw(f"{name} {next(calls)}", count)


OWNER_KEY = OwnerKey(draw("owner key"))
POD_ID: PodId = OWNER_KEY.pod_id
OTHER_OWNER_KEY = OwnerKey(draw("other owner key"))
OTHER_POD_ID: PodId = OTHER_OWNER_KEY.pod_id

IDENTITY = Identity(draw("identity"))
OTHER_IDENTITY = Identity(draw("other identity"))
FILE_KEY = FileKey(draw("file key"))
OTHER_FILE_KEY = FileKey(draw("other file key"))
LOG_KEY = LogKey(draw("log key"))
OTHER_LOG_KEY = LogKey(draw("other log key"))
FUNCTION_KEY = LogKey(draw("function key"))
KEYS = [DatabaseKey(draw(f"database key {number}")) for number in range(4)]
"""By slot number; 0 is no slot's."""

SECRETS = {
    "owner_key": OWNER_KEY.hex,
    "other_owner_key": OTHER_OWNER_KEY.hex,
    "identity": IDENTITY.reveal().hex(),
    "other_identity": OTHER_IDENTITY.reveal().hex(),
    "file_key": FILE_KEY.reveal().hex(),
    "log_key": LOG_KEY.reveal().hex(),
    "other_log_key": OTHER_LOG_KEY.reveal().hex(),
    "function_key": FUNCTION_KEY.reveal().hex(),
    **{f"database_key_{number}": key.reveal().hex() for number, key in enumerate(KEYS)},
}
