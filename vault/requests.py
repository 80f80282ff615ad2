"""Requests: what a maintainer asks of a running server, as signed files in the pod's folder.

Home writes and removes them; a server only reads them, and believes those that
a signer of its policy signed. The file's name is the request's id, so that a
copy under another name is no second request. Holding a vault is
``vault.holding``; erasing is ``vault.store``'s. FORMAT.md, "Requests".
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from vault.disk import open_regular, storage_error, sync
from vault.encoding import from_le64, le64, pae, unpae, unpae_labelled
from vault.errors import DamagedError, ForeignPodError, MalformedError, StorageError
from vault.files import PRIVATE_FOLDER, replace_file
from vault.keys import PodId, Signs, is_signed
from vault.pod import PodFolder

FOLDER = "requests"
ID_BYTES = 16
MAX_REQUEST_BYTES = 1 << 20
"""About 3,500 erasures; a larger file is refused unread."""
MOST_REQUESTS = 100
"""Files of a folder that are looked at; what is beyond waits until home removes some."""
MOST_NAMES = 1_000
"""Names of a folder that are listed: bounds what somebody's ten thousand files cost a server."""
MOST_HOLD_MS = 3_600_000
"""An hour: a request of a tool that died must not stop a pod for good."""

_LABEL = b"request/v1"
_FIELDS = 4
_ERASE = b"erase"
_HOLD = b"hold"
_NAME = re.compile(r"\A[0-9a-f]{32}\Z")


class Erase(msgspec.Struct, frozen=True):
    """Asks for items to be erased.

    Attributes:
        statements: One signed statement an item (``vault.erasures``), not verified here.
    """

    statements: tuple[bytes, ...]


class Hold(msgspec.Struct, frozen=True):
    """Asks for a pod's vault to be let go of.

    Attributes:
        until_ms: UTC milliseconds from which it asks for nothing any more.
    """

    until_ms: int

    def is_on(self, now_ms: int) -> bool:
        """Whether it asks now; one that reaches further than an hour ahead does not."""
        return now_ms < self.until_ms <= now_ms + MOST_HOLD_MS


Request = Erase | Hold


class Found(NamedTuple):
    """One file of a request's name, unread.

    Attributes:
        id: What its name says.
        path: Where it lies.
        version: Inode, size and time of change: another where the file is another.
    """

    id: bytes
    path: Path
    version: tuple[int, int, int]


class Listing(NamedTuple):
    """The requests in a pod's folder.

    Attributes:
        found: In the order of their names, at most ``MOST_REQUESTS``.
        is_cut: Whether there are more files than are looked at.
    """

    found: tuple[Found, ...]
    is_cut: bool


def requests_folder(folder: PodFolder) -> Path:
    """Where the requests of a pod lie."""
    return folder.path / FOLDER


def request_bytes(pod_id: PodId, request_id: bytes, request: Request) -> bytes:
    """What a request's signature covers.

    Args:
        pod_id: The pod's.
        request_id: 16 bytes.
        request: What is asked.
    """
    if isinstance(request, Erase):
        return pae(_LABEL, pod_id, request_id, _ERASE, pae(*request.statements))
    return pae(_LABEL, pod_id, request_id, _HOLD, le64(request.until_ms))


def sign_request(pod_id: PodId, request_id: bytes, request: Request, identity: Signs) -> bytes:
    """Make a request's file: pae(what is signed, signer's key, signature).

    Args:
        pod_id: The pod's.
        request_id: 16 random bytes.
        request: What is asked.
        identity: Of a signer of the pod's policy.
    """
    signed = request_bytes(pod_id, request_id, request)
    return pae(signed, identity.signer, identity.sign(signed))


def parse_request(content: bytes, *, pod_id: PodId, request_id: bytes, signers: Collection[bytes]) -> Request:
    """Accept the file of a request.

    Args:
        content: Untrusted.
        pod_id: The pod in whose folder it lies.
        request_id: What its name says.
        signers: 32-byte Ed25519 public keys: those of the policy in force.

    Raises:
        FormatTooNewError: A request/v2 or later.
        MalformedError: Not a request, or of a verb that is not known here.
        ForeignPodError: For another pod.
        DamagedError: Of another id than its name, or not signed by a signer.
    """
    signed, key, signature = unpae(content, 3)
    found_pod, found_id, verb, body = unpae_labelled(signed, _LABEL, _FIELDS, "request")
    if found_pod != pod_id:
        raise ForeignPodError("a request is for another pod")
    if found_id != request_id:
        raise DamagedError("a request lies under another name than its id")
    if key not in signers or not is_signed(key, signature, signed):
        raise DamagedError("a request is not signed by a maintainer of this pod")
    return _asked(verb, body)


def _asked(verb: bytes, body: bytes) -> Request:
    if verb == _ERASE:
        return Erase(tuple(unpae(body)))
    if verb == _HOLD:
        return Hold(from_le64(body))
    raise MalformedError("request: its verb is not known here; update this program")


def _found(entry: os.DirEntry[str]) -> Found | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        # Home has removed it meanwhile.
        return None
    version = status.st_ino, status.st_size, status.st_ctime_ns
    return Found(bytes.fromhex(entry.name), Path(entry.path), version)


def list_requests(folder: PodFolder) -> Listing:
    """Find the files that may be requests; none where the folder is not there.

    Raises:
        StorageError: The folder is none, or cannot be read.
    """
    path = requests_folder(folder)
    if path.is_symlink():
        raise StorageError(f"{FOLDER}: a folder was expected, a link was found; it is not followed")
    try:
        with os.scandir(path) as entries:
            listed = list(islice(entries, MOST_NAMES + 1))
            named = [entry for entry in listed if _NAME.match(entry.name)]
            named.sort(key=lambda entry: entry.name)
            found = [_found(entry) for entry in named[:MOST_REQUESTS]]
    except FileNotFoundError:
        return Listing((), is_cut=False)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    return Listing(tuple(filter(None, found)), is_cut=len(listed) > MOST_NAMES or len(named) > MOST_REQUESTS)


def read_request(found: Found, *, pod_id: PodId, signers: Collection[bytes]) -> Request:
    """Read and accept one file.

    Args:
        found: Which.
        pod_id: The pod in whose folder it lies.
        signers: Those of the policy in force.

    Raises:
        MalformedError: As ``parse_request``, or larger than 1 MiB.
        StorageError: It cannot be read, or is no regular file; a link is not followed.
        VaultError: As ``parse_request``.
    """
    try:
        with open_regular(found.path, is_link_followed=False) as file:
            content = file.read(MAX_REQUEST_BYTES + 1)
    except OSError as exc:
        raise StorageError(f"request {found.path.name} could not be read: {exc.strerror or exc}") from exc
    if len(content) > MAX_REQUEST_BYTES:
        raise MalformedError(f"request {found.path.name} is larger than {MAX_REQUEST_BYTES} bytes")
    return parse_request(content, pod_id=pod_id, request_id=found.id, signers=signers)


def write_request(folder: PodFolder, request_id: bytes, content: bytes) -> None:
    """Put a request into a pod's folder, whole and durable. Home's only.

    Raises:
        DiskFullError: No space is left; nothing is there.
        StorageError: The operating system refuses.
    """
    path = requests_folder(folder)
    try:
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    # Also of a folder that was there: who made it may have been killed before it was durable.
    sync(folder.path)
    replace_file(path / request_id.hex(), content)


def remove_request(folder: PodFolder, request_id: bytes) -> None:
    """Take a request back, durably. Home's only. One that is not there is none.

    Raises:
        StorageError: The operating system refuses.
    """
    path = requests_folder(folder) / request_id.hex()
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    if path.parent.exists():
        sync(path.parent)
