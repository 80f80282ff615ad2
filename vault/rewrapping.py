"""Giving old batches to a recipient that came later: one more wrap of each data key.

Home opens the data key with its identity and seals it to the recipients that
lack it; rows of ``rewrap`` are only ever added, and no batch, item or header
changes. The caller holds ``vault.lock``, and ``copy.lock`` exclusively, and has
looked at the vault (``vault.inspecting``). FORMAT.md, "Rewrapping".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vault.connection import WritingConnection
from vault.database import INSERT_POLICY
from vault.errors import ForeignPodError
from vault.header import parse_header
from vault.keys import FileKey, PodId
from vault.opening import Identity, open_data_key, sealed_by_kid
from vault.page_one import verify_page_one
from vault.policies import Policy, parse_policy
from vault.rows import Rows, typed
from vault.sealing import Recipient, wrap_info
from vault.sqlcipher import open_keyed

BATCHES_AT_ONCE = 200
"""Batches of one transaction: about 250 KB a recipient, and what a kill makes to be done again."""


class _Batch(NamedTuple):
    number: int
    header: bytes
    wraps: bytes


_Row = tuple[int, bytes, bytes]
"""batch, kid, wrap."""


def rewrap(
    vault: Path, file_key: FileKey, identity: Identity, *, pod_id: PodId, recipients: Sequence[Recipient]
) -> int:
    """Wrap each batch's data key for every recipient that lacks it.

    Args:
        vault: Of ``vault.db``.
        file_key: Its key.
        identity: Opens every batch.
        pod_id: The pod's.
        recipients: Those of the present policy.

    Returns:
        How many wraps were added. A second time, none.

    Raises:
        WrongKeyError: A batch is not sealed to the identity; those before it are done.
        DamagedError: A batch does not open; likewise.
        MalformedError: A row is not of its format; likewise.
        DiskFullError: No space is left; likewise.
        BusyError: Another process reads the vault in place.
    """
    verify_page_one(vault, file_key)
    added = 0
    with WritingConnection(open_keyed(vault, file_key)) as connection:
        for batches in _by_hundreds(connection):
            rows = [
                row for batch in batches for row in _missing(connection, batch, identity, pod_id, recipients)
            ]
            if rows:
                _insert(connection, rows)
                added += len(rows)
        connection.settle()
    return added


def _by_hundreds(rows: Rows) -> Iterator[list[_Batch]]:
    last = 0
    while True:
        found = rows.execute(
            "SELECT batch, header, wraps FROM batch WHERE batch > ? ORDER BY batch LIMIT ?",
            (last, BATCHES_AT_ONCE),
        )
        if not found:
            return
        batches = [_Batch(*row) for row in typed(found, list[tuple[int, bytes, bytes]])]
        yield batches
        last = batches[-1].number


def _later_wraps(rows: Rows, batch: int) -> dict[bytes, bytes]:
    found = rows.execute("SELECT kid, wrap FROM rewrap WHERE batch = ?", (batch,))
    return dict(typed(found, list[tuple[bytes, bytes]]))


def _missing(
    rows: Rows, batch: _Batch, identity: Identity, pod_id: PodId, recipients: Collection[Recipient]
) -> Iterator[_Row]:
    later = _later_wraps(rows, batch.number)
    wrapped = sealed_by_kid(batch.wraps).keys() | later.keys()
    lacking = [recipient for recipient in recipients if recipient.kid not in wrapped]
    if lacking:
        header = parse_header(batch.header)
        if header.pod_id != pod_id:
            raise ForeignPodError(f"batch {batch.number} is of another pod; run `check`")
        data_key = open_data_key(identity, header, batch.wraps, later)
        info = wrap_info(pod_id, header.uid, header.commit)
        for recipient in lacking:
            yield batch.number, recipient.kid, recipient.seal(data_key, info)


def is_lacking(vault: Path, file_key: FileKey, recipient: Recipient) -> bool:
    """Whether the data key of any batch is not wrapped for a recipient; raises what ``rewrap`` does."""
    verify_page_one(vault, file_key)
    with WritingConnection(open_keyed(vault, file_key)) as connection:
        found = any(
            recipient.kid
            not in sealed_by_kid(batch.wraps).keys() | _later_wraps(connection, batch.number).keys()
            for batches in _by_hundreds(connection)
            for batch in batches
        )
        connection.settle()
    return found


def _insert(connection: WritingConnection, rows: Sequence[_Row]) -> None:
    with connection.transaction():
        connection.executemany("INSERT INTO rewrap (batch, kid, wrap) VALUES (?, ?, ?)", rows)
        connection.commit()


def require_open(vault: Path, file_key: FileKey, identity: Identity) -> int:
    """Prove that an identity alone opens every batch.

    Returns:
        How many there are.

    Raises:
        WrongKeyError: One is not sealed to it.
        DamagedError: One does not open.
        MalformedError: A row is not of its format.
    """
    verify_page_one(vault, file_key)
    count = 0
    with WritingConnection(open_keyed(vault, file_key)) as connection:
        for batches in _by_hundreds(connection):
            for batch in batches:
                later = _later_wraps(connection, batch.number)
                open_data_key(identity, parse_header(batch.header), batch.wraps, later)
            count += len(batches)
        connection.settle()
    return count


def accept(vault: Path, file_key: FileKey, policy: Policy) -> None:
    """Commit a policy to a vault before any batch is: none can be taken under an earlier one any more.

    Args:
        vault: Of ``vault.db``.
        file_key: Its key.
        policy: May follow the accepted one, and is not that one.

    Raises:
        PolicyError: Its pod.toml is not the one that is signed.
        StorageError: The operating system refused.
        BusyError: Another process reads the vault in place.
    """
    # A row that is no pair would keep every server from opening the vault.
    parse_policy(policy.pod_toml, policy.slots_json)
    verify_page_one(vault, file_key)
    with WritingConnection(open_keyed(vault, file_key)) as connection:
        with connection.transaction():
            connection.execute(
                INSERT_POLICY, (policy.revision, policy.digest, policy.pod_toml, policy.slots_json)
            )
            connection.commit()
        connection.settle()
