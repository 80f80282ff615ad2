"""A function's half, without any cloud: items made into deposits; and segments made by hand."""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from sqlcipher3 import dbapi2

from tests.support.pods import TestPod, seeded_entropy
from vault.depositing import Deposit, make_deposit
from vault.encoding import le32
from vault.header import Header, item_leaves, parse_header
from vault.invites import list_function
from vault.keys import FileKey, LogKey
from vault.properties import Scalar
from vault.segments import PAGE_BYTES, Segment, write_segment
from vault.slots import OpenedSlot
from vault.submissions import Submission
from vault.tree import root_of


@dataclass
class Function:
    """What a deployed function has: a pod's policy, and a log key of its own.

    Attributes:
        pod: Its pod; the policy published last lists the key.
        key: The function's log key.
        scratch: Where it makes segments.
    """

    pod: TestPod
    key: LogKey
    scratch: Path

    def deposit(self, slot: OpenedSlot, submission: Submission) -> Deposit:
        """Make the deposit of one item."""
        return make_deposit(
            self.pod.policy,
            submission,
            file_key=slot.file_key,
            log_key=self.key,
            now_ms=self.pod.clock(),
            entropy=self.pod.entropy,
            scratch=self.scratch,
        )

    def send(self, slot: OpenedSlot, **payload: Scalar | None) -> Deposit:
        """The same for a payload; a Note unless it says another type."""
        return self.deposit(slot, self.pod.submission(slot, **payload))

    def signed(self, segment: Segment, **changes: Any) -> Segment:
        """A segment whose header has other fields, signed by the function all the same."""
        header = msgspec.structs.replace(parse_header(segment.header), **changes).pack()
        return msgspec.structs.replace(segment, header=header, signature=self.key.sign(header))

    def rooted(self, segment: Segment, **changes: Any) -> Segment:
        """A segment with other rows, whose header is made to agree with them."""
        changed = msgspec.structs.replace(segment, **changes)
        header: Header = parse_header(changed.header)
        commitments, digests = [i.c for i in changed.items], [i.digest for i in changed.items]
        root = root_of(item_leaves(header.pod_id, header.uid, commitments, digests))
        wraps_hash = hashlib.sha256(changed.wraps).digest()
        return self.signed(changed, item_root=root, count=len(changed.items), wraps_hash=wraps_hash)

    def written(self, segment: Segment) -> bytes:
        """A segment's bytes under the pod's file key."""
        return write_segment(segment, self.pod.keys.file_key, self.scratch)


def new_function(pod: TestPod, scratch: Path, seed: int = 99) -> Function:
    """Draw a function's log key, and publish a policy that lists it."""
    key = LogKey(seeded_entropy(seed)(32))
    pod._publish(list_function(pod.policy, pod.keys.identity, key.public))
    scratch.mkdir(exist_ok=True)
    return Function(pod, key, scratch)


def database(file_key: FileKey, *statements: str, page_bytes: int = PAGE_BYTES) -> bytes:
    """Any database at all under a file key, as its holder can make one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segment"
        connection = dbapi2.connect(path, isolation_level=None)
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.set_key(f"x'{file_key.reveal().hex()}'")
        connection.execute(f"PRAGMA cipher_page_size = {page_bytes}")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return path.read_bytes()


_RESERVED, _IV, _SALT = 80, 16, 16


def plain_page(content: bytes, file_key: FileKey, number: int, *, page_bytes: int = PAGE_BYTES) -> bytearray:
    """One page of a segment, or of a vault, decrypted; the first with zeros in place of its salt."""
    page = content[(number - 1) * page_bytes : number * page_bytes]
    end = page_bytes - _RESERVED
    cipher = Cipher(AES256(file_key.reveal()), CBC(page[end : end + _IV])).decryptor()
    head = _SALT if number == 1 else 0
    return bytearray(bytes(head) + cipher.update(page[head:end]))


def with_page(
    content: bytes, file_key: FileKey, number: int, plain: bytes, *, page_bytes: int = PAGE_BYTES
) -> bytes:
    """A segment, or a vault, one page of which says something else, authenticated as it should be."""
    key, salt = file_key.reveal(), content[:_SALT]
    head = _SALT if number == 1 else 0
    iv = bytes(_IV)
    cipher = Cipher(AES256(key), CBC(iv)).encryptor()
    body = content[:head] + cipher.update(bytes(plain[head:])) + iv
    mac_key = hashlib.pbkdf2_hmac("sha512", key, bytes(byte ^ 0x3A for byte in salt), 2, 32)
    mac = hmac.digest(mac_key, body[head:] + le32(number), "sha512")
    at = (number - 1) * page_bytes
    return content[:at] + body + mac + content[at + page_bytes :]


def put(store: Path, *deposits: Deposit) -> None:
    """Put deposits into a folder that stands for a bucket, where nothing is yet."""
    for deposit in deposits:
        lay(store, deposit.key, deposit.content)


def lay(store: Path, key: str, content: bytes) -> None:
    """Put any bytes under any key."""
    path = store / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
