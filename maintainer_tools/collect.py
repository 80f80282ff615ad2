"""The command `collect`: what functions put into an object store comes into the vault."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path

import click

from maintainer_tools.alone import alone_with, require_served
from maintainer_tools.console import Progress, clean, progress, put, put_json, say, warn
from maintainer_tools.deployed import deployed_pairs
from maintainer_tools.exits import CredentialsMissingError, Exit
from maintainer_tools.fetching import fetched
from maintainer_tools.folder_source import FolderSource
from maintainer_tools.homes import PATIENCE, Home, changing, find_home, open_identity
from maintainer_tools.identity_rotation import IdentityFiles, identity_before
from maintainer_tools.object_stores import DEFAULT_VERDICT, certified
from maintainer_tools.rewrap import rewrap_alone
from maintainer_tools.scratch import scratch_folder
from maintainer_tools.times import now_ms
from vault.collecting import SEGMENTS_AT_ONCE, Collector
from vault.errors import BusyError, MalformedError, WrongKeyError
from vault.examining import Examined, Examiner, Quarantined, quarantined
from vault.holding import hold
from vault.items import NAME_BYTES
from vault.keyring import Keyring
from vault.keys import FileKey, PodId
from vault.objects import SegmentSource, name_in_key, object_key, prefixes
from vault.opening import Identity
from vault.pod import load_log_key
from vault.policies import Policy
from vault.policy_history import History, policy_pairs
from vault.reader import file_key_of
from vault.rewrapping import is_lacking
from vault.store import MAX_BATCH_BYTES, Writer, open_writer

_POLL_SECONDS = 0.05

AskBefore = Callable[[], Identity | None]


@click.command("collect")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "place",
    required=True,
    metavar="STORE",
    help="The object store, s3://BUCKET/PREFIX?endpoint=..., or a folder with its objects.",
)
@click.option(
    "--verdict",
    default=DEFAULT_VERDICT,
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What `store certify` wrote about the object store.",
)
@click.option("--again", "is_again", is_flag=True, help="Fetch what was collected before too, and compare.")
@click.option(
    "--beyond-limits", "is_beyond_limits", is_flag=True, help="Take what max-items and max-bytes refuse too."
)
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each finding, and a summary.")
@click.pass_context
def collect(
    context: click.Context,
    home: Path,
    place: str,
    verdict: Path,
    *,
    is_again: bool,
    is_beyond_limits: bool,
    is_json: bool,
) -> None:
    """Bring into HOME's vault what functions put into an object store.

    Every segment is verified as a whole; its batch is copied byte for byte and
    logged. What cannot be taken stays in the store and is listed, with exit code 3.
    Nothing in the store is changed or deleted. Interrupted, run it again: it goes
    on where it stopped. A running server lets go of the vault for that time.
    """
    found = find_home(home)
    require_served(found)
    source, jobs = _source_of(place, verdict)
    identity = open_identity(found)
    policy = _published(found, identity)
    # A passphrase is asked for once.
    ask_before = cache(partial(_identity_before, found))
    with (
        _writing(found, identity, policy) as (writer, history, file_key),
        scratch_folder(found.path) as scratch,
    ):
        keyring = Keyring(identity, file_key, history, ask_before)
        examiner = Examiner(policy, history, keyring, scratch)
        collector = Collector(
            writer, policy, examiner.secrets, entropy=os.urandom, is_beyond_limits=is_beyond_limits
        )
        run = _Run(collector, examiner, policy.pod_id, is_json=is_json)
        try:
            run.collect(source, is_again=is_again, jobs=jobs)
        finally:
            for sentence in history.refused:
                warn(sentence)
            run.summarize()
    _rewrap(found, identity, policy, ask_before)
    if run.refused:
        context.exit(Exit.FINDINGS)


def _source_of(place: str, verdict: Path) -> tuple[SegmentSource, int]:
    """Where segments are fetched from, and how many at once."""
    if not place.startswith("s3://"):
        return FolderSource(Path(place)), 1
    address = certified(place, verdict)
    from cloud.trying import Tools
    from maintainer_tools.s3_source import FETCHED_AT_ONCE, S3Source

    return S3Source(address, Tools(time.monotonic, time.sleep, os.urandom)), FETCHED_AT_ONCE


def _published(home: Home, identity: Identity) -> Policy:
    with changing(home, identity) as change:
        if change.is_edited:
            change.publish(change.policy)
        return change.policy


@contextmanager
def _writing(home: Home, identity: Identity, policy: Policy) -> Iterator[tuple[Writer, History, FileKey]]:
    """Have the vault open for appending, its server running or not."""
    pod, file_key = home.pod, file_key_of(policy, identity)
    with hold(pod, policy.pod_id, identity, entropy=os.urandom, now_ms=now_ms, patience=PATIENCE) as lock:
        history = History(policy, [*policy_pairs(pod, file_key), *deployed_pairs(home.path)])
        # The writer takes it itself; the request keeps the server away meanwhile.
        lock.close()
        writer = _open(home, policy, file_key)
        try:
            writer.accept(policy)
            yield writer, history, file_key
        finally:
            _close(writer)
            for sentence in writer.warnings:
                warn(sentence)


def _identity_before(home: Home) -> Identity | None:
    """The identity that home's took the place of, if it is still there and opens."""
    path = IdentityFiles(home).before
    if not path.exists():
        return None
    say(f"{clean(str(path))} is needed: something is sealed to the identity before.")
    try:
        return identity_before(path)
    except (CredentialsMissingError, WrongKeyError) as exc:
        warn(f"{path} does not open, so what is sealed to it is not taken: {exc}")
        return None


def _rewrap(home: Home, identity: Identity, policy: Policy, ask_before: AskBefore) -> None:
    """Let today's recipients open what was sealed to the identity before, in a run that was killed too."""
    if not IdentityFiles(home).before.exists():
        return
    file_key = file_key_of(policy, identity)
    with alone_with(home.pod, policy.pod_id, identity, entropy=os.urandom, patience=PATIENCE):
        if not is_lacking(home.pod.vault, file_key, identity.recipient):
            return
        before = ask_before()
        if before is not None:
            added = rewrap_alone(home, before, policy, file_key)
            say(f"Added {added} keys of batches, so that the identity of today opens them.")


def _open(home: Home, policy: Policy, file_key: FileKey) -> Writer:
    log_key = load_log_key(home.pod)
    deadline = PATIENCE.clock() + PATIENCE.timeout_seconds
    while True:
        try:
            return open_writer(home.pod, policy, file_key, log_key, now_ms=now_ms, entropy=os.urandom)
        except BusyError:
            # Someone copies a vault that was not closed well.
            if PATIENCE.clock() >= deadline:
                raise
        PATIENCE.sleep(_POLL_SECONDS)


def _close(writer: Writer) -> None:
    deadline = PATIENCE.clock() + PATIENCE.timeout_seconds
    while not writer.close():
        if PATIENCE.clock() >= deadline:
            warn("someone is copying the vault, so its log stays; what was collected is stored all the same")
            return
        PATIENCE.sleep(_POLL_SECONDS)


class _Run:
    """One collection: what is listed, fetched, examined, taken and told."""

    def __init__(self, collector: Collector, examiner: Examiner, pod_id: PodId, *, is_json: bool) -> None:
        self._collector = collector
        self._examiner = examiner
        self._pod_id = pod_id
        self._is_json = is_json
        self._before = 0
        self._chunk: list[Examined] = []
        self._bytes = 0
        self.refused = 0

    def collect(self, source: SegmentSource, *, is_again: bool, jobs: int) -> None:
        """Bring in everything of a source; raises what that and the vault do."""
        with progress("Listing", None) as report:
            names = self._listed(source, report, is_again=is_again)
        with progress("Collecting", len(names) // NAME_BYTES) as report:
            self._take_all(source, self._keys(names), jobs, report)

    def _listed(self, source: SegmentSource, report: Progress, *, is_again: bool) -> bytearray:
        """The names of what is to be fetched: 22 bytes a segment, and no more, are kept in memory."""
        names, listed = bytearray(), count(1)
        for prefix in prefixes(self._pod_id):
            for key in source.keys(prefix):
                report(next(listed))
                try:
                    name = name_in_key(key, self._pod_id)
                except MalformedError as exc:
                    self._tell(quarantined(key, exc))
                    continue
                if is_again or not self._collector.is_collected(name):
                    names += name
                else:
                    self._before += 1
        return names

    def _keys(self, names: bytearray) -> Iterator[str]:
        for at in range(0, len(names), NAME_BYTES):
            yield object_key(self._pod_id, bytes(names[at : at + NAME_BYTES]))

    def _take_all(self, source: SegmentSource, keys: Iterable[str], jobs: int, report: Progress) -> None:
        for done, (key, content) in enumerate(fetched(source, keys, jobs), start=1):
            if isinstance(content, bytes):
                self._look(key, content)
            else:
                self._tell(quarantined(key, content))
            report(done)
        self._take()

    def _look(self, key: str, content: bytes) -> None:
        if not content and self._collector.is_erased(name_in_key(key, self._pod_id)):
            # What a maintainer puts in the place of what they erased, so that its id stays taken.
            self._before += 1
            return
        examined = self._examiner.examine(key, content)
        if isinstance(examined, Quarantined):
            self._tell(examined)
            return
        self._chunk.append(examined)
        self._bytes += len(content)
        if len(self._chunk) == SEGMENTS_AT_ONCE or self._bytes >= MAX_BATCH_BYTES:
            self._take()

    def _take(self) -> None:
        chunk, self._chunk, self._bytes = self._chunk, [], 0
        for refused in self._collector.take(chunk) if chunk else ():
            self._tell(refused)

    def _tell(self, refused: Quarantined) -> None:
        self.refused += 1
        if self._is_json:
            document = {
                "message_type": "quarantined",
                "key": refused.key,
                "reason": refused.reason,
                "message": refused.sentence,
            }
            put_json(document)
        else:
            put(f"{refused.reason:<14} {clean(refused.key)}  {clean(refused.sentence)}")

    def summarize(self) -> None:
        """Say what was done."""
        told = self._collector.told
        before = self._before + told.known
        if self._is_json:
            document = {
                "message_type": "summary",
                "taken": told.taken,
                "duplicates": told.duplicates,
                "collected_before": before,
                "quarantined": self.refused,
            }
            put_json(document)
        say(f"Collected {told.taken} items; {before} were here before.")
        if told.duplicates:
            say(f"{told.duplicates} of them were here by another way too; they are logged, and listed once.")
        if self.refused:
            say(f"{self.refused} were not taken. They stay in the store; collect again when that is mended.")
