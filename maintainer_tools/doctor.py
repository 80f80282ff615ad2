"""The command `doctor`: is all as it should be, and if not, which command mends it?

Opens no item and changes nothing; `check` does the opening. Of a home it asks
what only a home has: the identity, recovery shares, snapshots. Of a pod's folder,
on a server, what a server needs, and that nothing else lies there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from maintainer_tools.console import ours, pasteable, put, put_json, say
from maintainer_tools.deployed import KEY_FILE
from maintainer_tools.drills import RECORD_FILE, warning_of
from maintainer_tools.exits import CredentialsMissingError, Exit
from maintainer_tools.findings import Finding, Mark, doubt, fault, lines_of, ok
from maintainer_tools.ground import examine_ground, examine_modes, examine_versions
from maintainer_tools.homes import (
    ROTATION_FILE,
    SIGNER_FILE,
    Home,
    find_home,
    find_pod,
    home_policy,
    open_identity,
)
from maintainer_tools.identity_rotation import BEFORE, COMING
from maintainer_tools.reach import examine_reach
from maintainer_tools.times import ago
from vault.disk import open_regular
from vault.errors import MissingError, VaultError
from vault.files import read_file
from vault.founding import IDENTITY_FILE
from vault.opening import Identity
from vault.page_one import verify_page_one
from vault.pod import MAX_POD_TOML_BYTES, PodConfig, PodFolder, load_log_key, parse_pod_toml
from vault.policies import load_policy
from vault.reader import file_key_of
from vault.witness import SEEN_FILE

SNAPSHOT_DAYS = 7
AUDIT_DAYS = 30
_DAY = 86_400
_HOMES_ONLY = (
    IDENTITY_FILE,
    IDENTITY_FILE + COMING,
    IDENTITY_FILE + BEFORE,
    ROTATION_FILE,
    SIGNER_FILE,
    SEEN_FILE,
    RECORD_FILE,
    "desk.db",
    "review.db",
)
"""What lies in a home and never in the pod's folder, which a server gets."""


@click.command("doctor")
@click.argument("path", metavar="HOME|POD", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Do not ask the server at the pod's url.")
@click.option(
    "--snapshots",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where snapshots are kept; beside the home unless given.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the findings as one JSON object.")
@click.pass_context
def doctor(
    context: click.Context, path: Path, *, offline: bool, snapshots: Path | None, is_json: bool
) -> None:
    """Examine a home, or a pod's folder on a server, and say what mends what is wrong.

    Each line is ok, warn or FAIL. Exit code 3 when something fails. It opens no
    item: that is what `check` does.
    """
    pod = find_pod(path)
    now_seconds = time.time()
    findings = [examine_versions(), *_examine_pod(path, pod, now_seconds)]
    if pod.path != path:
        findings += _examine_home(path, pod, snapshots, now_seconds)
    if not offline:
        findings += examine_reach(_url_of(pod), now_seconds)
    failed = sum(finding.mark is Mark.FAIL for finding in findings)
    if is_json:
        put_json({"message_type": "report", "findings": [finding._asdict() for finding in findings]})
    else:
        for line in lines_of(findings):
            put(line)
        warned = sum(finding.mark is Mark.WARN for finding in findings)
        say(f"{len(findings)} findings: {failed} failed, {warned} to look at.")
    if failed:
        context.exit(Exit.FINDINGS)


def _examine_pod(path: Path, pod: PodFolder, now_seconds: float) -> Iterator[Finding]:
    yield from examine_ground(pod, time.perf_counter, now_seconds)
    yield _examine_policy(path, pod)
    yield _examine_log_key(pod)
    yield _examine_strays(pod)
    yield _examine_vault(pod)


def _examine_policy(path: Path, pod: PodFolder) -> Finding:
    try:
        policy = load_policy(pod)
    except VaultError as exc:
        return fault("policy", str(exc), _mend_of_policy(path, pod))
    count = len(policy.slots)
    return ok("policy", f"revision {policy.revision} is signed, with {count} invite{'s' * (count != 1)}")


def _mend_of_policy(path: Path, pod: PodFolder) -> str:
    try:
        load_policy(pod, is_edited=True)
    except VaultError:
        return "put pod.toml and slots.json back, both of one time: from home, or from a snapshot"
    return ours("schema", "apply", path)


def _examine_log_key(pod: PodFolder) -> Finding:
    try:
        key = load_log_key(pod)
    except MissingError:
        return doubt(
            "log.key",
            "it is not here: this folder is a copy, and cannot be served",
            "serve the folder that has it",
        )
    except VaultError as exc:
        return fault("log.key", str(exc), "put this pod's log.key back")
    try:
        is_listed = key.public in load_policy(pod, is_edited=True).vault_logs
    except VaultError:
        # Said by the policy's own line.
        return doubt(
            "log.key", "whether it is this pod's cannot be seen without the policy", "mend that first"
        )
    if not is_listed:
        return fault("log.key", "slots.json lists another one", "put this pod's log.key here")
    return ok("log.key", "it is here, and slots.json lists it")


def _examine_strays(pod: PodFolder) -> Finding:
    """What opens items has no place where a server can read it."""
    strays = [pod.path / name for name in _HOMES_ONLY if os.path.lexists(pod.path / name)]
    strays += sorted(pod.path.glob("*.invite")) + sorted(pod.path.glob("share-*.txt"))
    if strays:
        names = ", ".join(stray.name for stray in strays)
        return fault(
            "secrets",
            f"{names}: in the folder that a server gets, and never a server's",
            pasteable("mv", *strays, pod.path.parent),
        )
    return ok("secrets", "nothing in the pod's folder opens an item")


def _examine_vault(pod: PodFolder) -> Finding:
    try:
        size = pod.vault.stat().st_size
        with open_regular(pod.vault) as file:
            is_plaintext = file.read(16) == b"SQLite format 3\0"
    except OSError as exc:
        return fault("vault", f"vault.db cannot be read: {exc.strerror}", "restore a snapshot")
    if is_plaintext or size == 0:
        what = "not encrypted" if is_plaintext else "empty"
        return fault("vault", f"vault.db is {what}", "restore a snapshot")
    return ok("vault", f"vault.db has {size} bytes and is encrypted")


def _examine_home(
    path: Path, pod: PodFolder, snapshots: Path | None, now_seconds: float
) -> Iterator[Finding]:
    try:
        home = find_home(path)
        yield from examine_modes(path / name for name in (*_HOMES_ONLY, KEY_FILE))
        identity = open_identity(home)
    except CredentialsMissingError as exc:
        yield doubt(
            "identity", str(exc), "in a script, name the passphrase's file in SHARED_POD_PASSPHRASE_FILE"
        )
    except VaultError as exc:
        yield fault("identity", str(exc), ours("recover", "--help"))
    else:
        yield from _examine_keys(home, identity)
        yield _examine_recovery(path, identity, now_seconds)
    yield _examine_audited(path, now_seconds)
    yield _examine_snapshots(path, pod, snapshots or path.resolve().parent, now_seconds)


def _examine_keys(home: Home, identity: Identity) -> Iterator[Finding]:
    try:
        file_key = file_key_of(home_policy(home, identity), identity)
    except VaultError as exc:
        yield fault("identity", str(exc), "use the identity that this pod was made with")
        return
    yield ok("identity", "it is trusted by this pod, and has its file key")
    try:
        verify_page_one(home.pod.vault, file_key)
    except VaultError as exc:
        yield fault("vault key", str(exc), ours("check", home.path))
    else:
        yield ok("vault key", "vault.db authenticates under the pod's file key")


def _examine_recovery(path: Path, identity: Identity, now_seconds: float) -> Finding:
    try:
        sentence = warning_of(path, identity, round(now_seconds * 1000))
    except VaultError as exc:
        return fault("recovery", str(exc), ours("recovery", "drill", path))
    if sentence is None:
        return ok("recovery", "shares on paper were made, and tried within a year")
    return doubt("recovery", sentence, ours("recovery", "--help"))


def _examine_audited(path: Path, now_seconds: float) -> Finding:
    mend = ours("audit", path)
    try:
        audited_seconds = (path / SEEN_FILE).stat().st_mtime
    except OSError:
        return doubt("audited", "this home has not audited its pod yet", mend)
    sentence = f"the last audit here that found everything right was {_ago(audited_seconds, now_seconds)}"
    is_recent = now_seconds - audited_seconds <= AUDIT_DAYS * _DAY
    return ok("audited", sentence) if is_recent else doubt("audited", sentence, mend)


def _examine_snapshots(path: Path, pod: PodFolder, folder: Path, now_seconds: float) -> Finding:
    mend = ours("snapshot", path, f"{path.resolve()}-{time.strftime('%Y-%m-%d')}")
    taken = [copy.stat().st_mtime for copy in _copies_in(folder, pod)]
    if not taken:
        return doubt("snapshot", f"none of this pod is in {folder}; `--snapshots` names another place", mend)
    sentence = f"the newest of {len(taken)} was taken {_ago(max(taken), now_seconds)}"
    is_recent = now_seconds - max(taken) <= SNAPSHOT_DAYS * _DAY
    return ok("snapshot", sentence) if is_recent else doubt("snapshot", sentence, mend)


def _ago(then_seconds: float, now_seconds: float) -> str:
    return ago(int(then_seconds * 1000), int(now_seconds * 1000))


def _copies_in(folder: Path, pod: PodFolder) -> Iterator[Path]:
    """The folders that `snapshot` made of this pod: its owner key, a vault, no log key."""
    owner = _owner_of(pod)
    if owner is None or not folder.is_dir():
        return
    for child in folder.iterdir():
        copy = PodFolder(child)
        if copy.vault.is_file() and not copy.log_key.exists() and _owner_of(copy) == owner:
            yield child


def _owner_of(pod: PodFolder) -> bytes | None:
    config = _config_of(pod)
    return config.owner_key.raw if config else None


def _url_of(pod: PodFolder) -> str:
    config = _config_of(pod)
    return config.url if config else ""


def _config_of(pod: PodFolder) -> PodConfig | None:
    """What pod.toml says; None where it says nothing, which the policy's own line tells."""
    try:
        return parse_pod_toml(read_file(pod.pod_toml, MAX_POD_TOML_BYTES))
    except VaultError:
        return None
