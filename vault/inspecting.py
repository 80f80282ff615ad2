"""Looking at a vault before it is opened to append: every check that needs no identity.

Nothing is changed: a vault that is refused keeps its files as they are, its
write-ahead log too, because opening one with SQLite to write checkpoints it,
and then nothing can be undone. Not here: opening it (``vault.store``), and what
only a maintainer can check (``vault.checking``). FORMAT.md, "Opening".
"""

from __future__ import annotations

import msgspec

from vault.database import connect_inspect
from vault.errors import DamagedError, MalformedError, PolicyError
from vault.keys import FileKey
from vault.layout import require_layout
from vault.ledger import Ledger, LogHead, check_head, load_ledger, read_log_head
from vault.meta import load_meta
from vault.migrations import FORMAT
from vault.page_one import verify_page_one
from vault.pod import PodFolder
from vault.policies import Policy, check_successor, parse_policy
from vault.rows import Rows, typed
from vault.torn import check_newest, check_pages
from vault.wal import Survey

_OTHER_POLICY = "the newest policy in the vault is not the one its row names; restore a snapshot"


class Inspected(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        ledger: The vault's log.
        policy: The policy it accepted last.
        warnings: Sentences for the maintainer.
        is_settled: Whether its write-ahead log held nothing.
    """

    ledger: Ledger
    policy: Policy
    warnings: list[str]
    is_settled: bool


def inspect(folder: PodFolder, policy: Policy, file_key: FileKey) -> Inspected:
    """Check a vault that is about to be opened to append.

    Args:
        folder: The pod's folder; the caller holds its ``vault.lock``.
        policy: Verified.
        file_key: From the slot that was opened.

    Raises:
        MissingError: There is no vault.db.
        WrongKeyError: The file key does not open it.
        DamagedError: It is empty, plaintext or cut, not of its format, or its
            log does not agree with itself.
        FormatTooNewError: A later version wrote it.
        FormatTooOldError: `upgrade` has not been run.
        ForeignPodError: It is another pod's.
        TornError: Its write-ahead log is missing, or of another time; among
            the damaged.
        RollbackError: It is older than its log.head.
        PolicyError: The policy may not follow the accepted one.
        StorageError: The operating system failed.
    """
    verify_page_one(folder.vault, file_key)
    head, log = read_log_head(folder), check_pages(folder)
    with connect_inspect(folder.vault, file_key) as rows:
        try:
            return _look(rows, policy, head, log)
        except MalformedError as exc:
            raise DamagedError(f"the vault holds something else than its format says: {exc}") from exc


def _look(rows: Rows, policy: Policy, head: LogHead, log: Survey) -> Inspected:
    pod_id, log_keys = policy.pod_id, policy.vault_logs
    require_layout(rows, FORMAT)
    check_newest(rows, log)
    meta = load_meta(rows, pod_id)
    ledger = load_ledger(rows, pod_id=pod_id, epoch=meta.epoch, log_keys=log_keys)
    warning = check_head(rows, ledger, head, pod_id=pod_id, log_keys=log_keys)
    accepted = _accepted_policy(rows)
    check_successor(accepted, policy)
    return Inspected(ledger, accepted, [warning] if warning else [], is_settled=not log.commits)


def _accepted_policy(rows: Rows) -> Policy:
    found = rows.execute(
        "SELECT revision, hash, pod_toml, slots_json FROM policy ORDER BY revision DESC LIMIT 1"
    )
    if not found:
        raise DamagedError("the vault holds no policy; restore a snapshot")
    ((revision, digest, pod_toml, slots_json),) = typed(found, list[tuple[int, bytes, bytes, bytes]])
    try:
        policy = parse_policy(pod_toml, slots_json)
    except PolicyError as exc:
        raise DamagedError(_OTHER_POLICY) from exc  # the pair that lies in the folder is not at fault
    if (policy.revision, policy.digest) != (revision, digest):
        raise DamagedError(_OTHER_POLICY)
    return policy
