"""Home's own witness, ``seen.checkpoint``: read, compared, moved forward and never back.

FORMAT.md, "Witnesses". Whoever wants one elsewhere too: `checkpoint export`.
"""

from __future__ import annotations

from pathlib import Path

from maintainer_tools.homes import Home, alone
from vault.errors import MissingError, RollbackError
from vault.files import read_file, replace_file
from vault.policies import Policy
from vault.reader import Reader
from vault.witness import MAX_WITNESS_BYTES, SEEN_FILE, Witness, compare, history_of, parse_witness_file


def load_witness(path: Path, source: str, policy: Policy) -> Witness:
    """Read a file with a checkpoint of a pod's log.

    Args:
        path: Of the file.
        source: What to call it in sentences.
        policy: The pod's.

    Raises:
        MissingError: There is none.
        VaultError: As ``vault.witness.parse_witness_file``.
    """
    content = read_file(path, MAX_WITNESS_BYTES)
    return parse_witness_file(content, source, pod_id=policy.pod_id, log_keys=policy.vault_logs)


def load_seen(home: Path, policy: Policy) -> Witness | None:
    """Read what a home has seen; None if nothing yet.

    Raises:
        VaultError: As ``load_witness``: it was altered, and only its owner can say why.
    """
    try:
        return load_witness(home / SEEN_FILE, SEEN_FILE, policy)
    except MissingError:
        return None


def move_seen(home: Home, witness: Witness, policy: Policy) -> bool:
    """Remember a checkpoint that was compared with the vault, if it is the newest so far.

    Returns:
        Whether it moved.

    Raises:
        RollbackError: The home remembers another log of this size.
        LockedError: Another command has been changing the home all the while.
        VaultError: As ``load_seen``.
    """
    with alone(home):
        seen = load_seen(home.path, policy)
        if seen is None or seen.age < witness.age:
            replace_file(home.path / SEEN_FILE, witness.note)
            return True
    if seen.age == witness.age and seen.root != witness.root:
        raise RollbackError(
            f"{witness.source} and {SEEN_FILE} are of two different logs of {seen.size} batches: "
            "the log was forked, by someone with log.key. Run `audit`, and keep both"
        )
    return False


def compare_seen(home: Path, reader: Reader) -> None:
    """Compare an open vault with what its home has seen.

    Raises:
        RollbackError: The home has seen more than the vault holds, or another log.
        VaultError: As ``load_seen``.
    """
    seen = load_seen(home, reader.policy)
    if seen is not None:
        compare(seen, history_of(reader.rows, reader.meta, reader.ledger))
