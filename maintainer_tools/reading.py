"""Reading a pod without touching it: a private copy, opened with the home's identity.

The copy is made under the pod's locks, the writer never waits for it, and it
is gone when the reading ends. What is wrong is said of the pod's own files.
FORMAT.md, "Reading".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from maintainer_tools.console import warn
from maintainer_tools.homes import PATIENCE, Home, find_home, is_edited_by_hand, open_identity, root_of
from maintainer_tools.witnesses import compare_seen
from vault.errors import ForeignPodError, LockedError, StorageError, VaultError, WrongKeyError
from vault.opening import Identity
from vault.pod import PodFolder
from vault.policies import load_policy
from vault.reader import Reader, Refusal, file_key_of, open_reader, refuse
from vault.schema import MergedProperty, merge
from vault.snapshot import private_snapshot


@contextmanager
def reading(home: Path) -> Iterator[Reader]:
    """Open the pod of a home for reading.

    Args:
        home: As the command line named it.

    Raises:
        ForeignPodError: vault.db is another pod's.
        VaultError: As ``maintainer_tools.homes.find_home``, ``vault.snapshot.private_snapshot``
            and ``vault.reader.open_reader``, which say when.
    """
    found = find_home(home)
    identity = open_identity(found)
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(reading_as(found.pod, identity, root_of(found, identity)))
        except ForeignPodError as exc:
            if not found.rotation_file.exists():
                raise
            raise LockedError(
                "a rotation of this pod's file key was interrupted; run `rotate --file-key` again, "
                "which finishes it"
            ) from exc
        _warn_of_rollback(found.path, reader)
        yield reader


@contextmanager
def reading_as(pod: PodFolder, identity: Identity, root: bytes | None = None) -> Iterator[Reader]:
    """Open a pod for reading with an identity that need not be the home's.

    Args:
        pod: Its folder.
        identity: A recipient of the pod.
        root: The signer that is trusted; None for the identity's own.

    Raises:
        VaultError: As ``reading``.
    """
    with _copied(pod) as copy, _opened(pod, copy, identity, root) as reader:
        if reader.warning:
            warn("log.head is missing or unreadable, so nobody can tell whether this vault is the newest")
        if is_edited_by_hand(reader.policy):
            warn("pod.toml was edited by hand; a server goes by it once `schema apply` has signed it")
        yield reader


def _warn_of_rollback(home: Path, reader: Reader) -> None:
    """Say if the home has seen more than this vault holds; what is here can be read nevertheless."""
    try:
        compare_seen(home, reader)
    except StorageError:
        raise
    except VaultError as exc:
        warn(f"{exc}. `audit` says more")


def schema_of(reader: Reader) -> dict[str, MergedProperty]:
    """The maintainer's schema with what each slot declared and can be read, differences settled."""
    config = reader.policy.config
    return merge(config.properties, config.labels, reader.views())


@contextmanager
def _copied(pod: PodFolder) -> Iterator[PodFolder]:
    with private_snapshot(pod.path, PATIENCE) as path:
        try:
            yield PodFolder(path)
        except VaultError as exc:
            # The copy is gone when a person reads the sentence.
            exc.args = tuple(str(part).replace(str(path), str(pod.path)) for part in exc.args)
            raise


@contextmanager
def reading_as_it_is(home: Home, identity: Identity) -> Iterator[tuple[Reader, list[VaultError]]]:
    """Open a pod even where it is torn, damaged or old, as long as its first page is its own.

    Yields:
        The reader, and what the vault would have been refused for.

    Raises:
        VaultError: As ``reading``.
    """
    refusals: list[VaultError] = []
    with (
        _copied(home.pod) as copy,
        _opened(home.pod, copy, identity, root_of(home, identity), refusals.append) as reader,
    ):
        yield reader, refusals


def _opened(
    pod: PodFolder, copy: PodFolder, identity: Identity, root: bytes | None, on_refusal: Refusal = refuse
) -> Reader:
    # The identity opens the file key, or is another pod's: what is wrong after that is the vault.
    file_key_of(load_policy(copy, is_edited=True), identity)
    try:
        return open_reader(copy, identity, root, on_refusal)
    except WrongKeyError as exc:
        raise ForeignPodError(
            f"{pod.vault} does not open under this pod's file key: it is another pod's, "
            "of before its file key was rotated, or its first page is damaged. Put this pod's vault.db back"
        ) from exc
