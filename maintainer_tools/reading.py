"""Reading a pod without touching it: a private copy, opened with the home's identity.

The copy is made under the pod's locks, the writer never waits for it, and it
is gone when the reading ends. What is wrong is said of the pod's own files.
FORMAT.md, "Reading".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maintainer_tools.console import warn
from maintainer_tools.homes import PATIENCE, find_home, open_identity
from vault.errors import (
    DamagedError,
    ForeignPodError,
    RollbackError,
    TornError,
    VaultError,
    WrongKeyError,
)
from vault.opening import Identity
from vault.pod import PodFolder
from vault.policies import load_policy
from vault.reader import Reader, file_key_of, open_reader
from vault.schema import MergedProperty, merge
from vault.snapshot import private_snapshot
from vault.wal import holds_frames


@contextmanager
def reading(home: Path) -> Iterator[Reader]:
    """Open the pod of a home for reading.

    Args:
        home: As the command line named it.

    Raises:
        TornError: The write-ahead log is missing, or of another time.
        ForeignPodError: vault.db is another pod's.
        VaultError: As ``maintainer_tools.homes.find_home``, ``vault.snapshot.private_snapshot``
            and ``vault.reader.open_reader``, which say when.
    """
    found = find_home(home)
    identity = open_identity(found)
    with _copied(found.pod) as copy, _opened(found.pod, copy, identity) as reader:
        if reader.warning:
            warn("log.head is missing or unreadable, so nobody can tell whether this vault is the newest")
        yield reader


def schema_of(reader: Reader) -> dict[str, MergedProperty]:
    """The maintainer's schema with what each slot declared, differences settled."""
    config = reader.policy.config
    views = {secrets.name: reader.own_view(number) for number, secrets in reader.slots.items()}
    return merge(config.properties, config.labels, views)


@contextmanager
def _copied(pod: PodFolder) -> Iterator[PodFolder]:
    with private_snapshot(pod.path, PATIENCE) as path:
        try:
            yield PodFolder(path)
        except VaultError as exc:
            # The copy is gone when a person reads the sentence.
            exc.args = tuple(str(part).replace(str(path), str(pod.path)) for part in exc.args)
            raise


def _opened(pod: PodFolder, copy: PodFolder, identity: Identity) -> Reader:
    # The identity opens the file key, or is another pod's: what is wrong after that is the vault.
    file_key_of(load_policy(copy, is_edited=True), identity)
    has_wal = holds_frames(copy.wal)
    try:
        return open_reader(copy, identity)
    except WrongKeyError as exc:
        raise ForeignPodError(
            f"{pod.vault} does not open under this pod's file key: it is another pod's, "
            "or its first page is damaged. Put this pod's vault.db back"
        ) from exc
    except (DamagedError, RollbackError) as exc:
        if has_wal and _is_whole_without_wal(pod, identity):
            raise TornError(
                f"{pod.wal} is of another time than {pod.vault.name}, which is whole without it and agrees "
                "with log.head. Put the right write-ahead log back, or move this one away"
            ) from exc
        raise


def _is_whole_without_wal(pod: PodFolder, identity: Identity) -> bool:
    with private_snapshot(pod.path, PATIENCE) as path:
        copy = PodFolder(path)
        copy.wal.unlink(missing_ok=True)
        try:
            with open_reader(copy, identity) as reader:
                # Without a log.head to agree with, an older state would look whole.
                return reader.warning is None
        except VaultError:
            return False
