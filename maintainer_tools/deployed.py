"""What functions were deployed with: each pair of pod.toml and slots.json, kept in the home by its digest.

A segment names the policy it was taken under. The vault has those that a server
took; of those that only a function had, these are the copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vault.disk import storage_error
from vault.errors import MissingError
from vault.files import PRIVATE_FOLDER, read_file, replace_file
from vault.pod import MAX_POD_TOML_BYTES
from vault.policies import MAX_SLOTS_JSON_BYTES, Policy

DEPLOYED_FOLDER = "deployed"
KEY_FILE = "function.key"
"""In a home: a function's log key. It signs promises and opens nothing."""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def keep_deployed(home: Path, policy: Policy) -> Path:
    """Keep a policy that functions are about to be deployed with; return the folder.

    Raises:
        StorageError: It cannot be written.
    """
    folder = home / DEPLOYED_FOLDER / policy.digest.hex()
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except OSError as exc:
        raise storage_error(folder, exc) from exc
    replace_file(folder / "pod.toml", policy.pod_toml)
    replace_file(folder / "slots.json", policy.slots_json)
    return folder


def deployed_pairs(home: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield every pod.toml and slots.json that was kept; unread, and unverified.

    What else lies there, as file managers leave it, is passed over.

    Raises:
        StorageError: One cannot be read.
    """
    folder = home / DEPLOYED_FOLDER
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not _DIGEST.fullmatch(each.name):
            continue
        try:
            pair = (
                read_file(each / "pod.toml", MAX_POD_TOML_BYTES),
                read_file(each / "slots.json", MAX_SLOTS_JSON_BYTES),
            )
        except MissingError:
            # Killed between its two files: deployed it was not.
            continue
        yield pair
