"""The command `repair`: go on with what is left of a vault that is refused, when no better copy exists."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from maintainer_tools.alone import nobody_copying, require_served
from maintainer_tools.asking import require_person
from maintainer_tools.console import clean, ours, put_json, say
from maintainer_tools.exits import Exit
from maintainer_tools.homes import PATIENCE, Home, find_home, home_policy, open_identity
from maintainer_tools.reading import reading_as_it_is
from maintainer_tools.times import iso, now_ms
from maintainer_tools.witnesses import load_seen, load_witness, move_seen
from vault.auditing import Audit, Auditor, head_witness
from vault.errors import BusyError
from vault.files import replace_file
from vault.fresh import discard_vault, fresh_beside, remove_vault
from vault.holding import hold
from vault.ledger import Ledger, read_log_head
from vault.opening import Identity
from vault.pod import load_log_key
from vault.reader import Reader, file_key_of
from vault.repairing import Plan, plan_repair, replace_vault, write_repaired
from vault.snapshot import take_snapshot
from vault.undoing import on_failure
from vault.witness import Witness

_WORD = "repair"
_SHOWN = 10
"""Findings said; `audit` lists all of them."""


class _Looked(NamedTuple):
    """What a look at a vault found.

    Attributes:
        reader: A private copy.
        audit: Of it.
        plan: What would be kept.
    """

    reader: Reader
    audit: Audit
    plan: Plan


@click.command("repair")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--since",
    multiple=True,
    metavar="CHECKPOINT",
    type=click.Path(path_type=Path),
    help="A checkpoint kept elsewhere, as for `audit`. May be given more than once.",
)
@click.option("--yes", "is_agreed", is_flag=True, help="Repair without asking.")
@click.option("--json", "is_json", is_flag=True, help="Print what was kept as JSON.")
@click.pass_context
def repair(
    context: click.Context, home: Path, *, since: tuple[Path, ...], is_agreed: bool, is_json: bool
) -> None:
    """Keep every batch of HOME's vault that is proven, and begin a new epoch of its log.

    For a vault that is older than its log.head or seen.checkpoint, torn, or damaged,
    when there is no better copy to put back: what is missing stays missing, and can
    be told apart from then on. The pod as it was is copied first.
    """
    found = find_home(home)
    require_served(found)
    identity = open_identity(found)
    with _looking(found, identity, since) as looked:
        plan = looked.plan
        if not looked.audit.findings:
            say("Nothing is missing and nothing is damaged: there is nothing to repair. `audit` says more.")
            return
        _say_what_is_lost(looked)
    if not (is_agreed or _agrees()):
        say("Nothing was changed.")
        context.exit(Exit.FAILED)
    out = _repair(found, identity, plan, since)
    say(f"Repaired: {plan.batches} batches, in epoch {plan.epoch} of the log. As it was: {clean(str(out))}")
    say("Keep that folder: what was left out is in it. Make a new checkpoint for where you keep them:")
    say(f"  {ours('checkpoint', 'export', home, 'FILE')}")
    if is_json:
        put_json(_facts(plan, out))


@contextmanager
def _looking(home: Home, identity: Identity, since: Sequence[Path]) -> Iterator[_Looked]:
    with reading_as_it_is(home, identity) as (reader, refusals):
        head = head_witness(reader, read_log_head(reader.folder).note)
        # One that was altered is an error: it is put back, or removed, before anything is given up for it.
        seen = load_seen(home.path, reader.policy)
        witnesses = [load_witness(path, clean(path.name), reader.policy) for path in since]
        witnesses += [seen] if seen else []
        auditor = Auditor(reader, refusals, witnesses=witnesses, head=head)
        auditor.run(lambda _: None, is_opening=False)
        audit = auditor.end()
        epochs = [reader.meta.epoch, *(witness.epoch for witness in (head, *witnesses) if witness)]
        yield _Looked(reader, audit, plan_repair(audit, max(epochs)))


def _say_what_is_lost(looked: _Looked) -> None:
    audit, plan = looked.audit, looked.plan
    for finding in audit.findings[:_SHOWN]:
        say(f"  {clean(finding)}")
    if len(audit.findings) > _SHOWN:
        say(f"  and {len(audit.findings) - _SHOWN} more, which `audit` lists")
    say(f"Kept: {plan.batches} of the {audit.batches} batches in this vault{_until(looked)}.")
    if plan.left_out:
        say(f"Left out: {plan.left_out} that are not proven. Their items stay in the copy alone.")
    if plan.missing:
        first, last = audit.batches + 1, audit.batches + plan.missing
        say(f"Missing: {plan.missing} that were seen once. Receipts of batches {first} to {last} of epoch")
        say(f"{looked.reader.meta.epoch} will not be upheld by an audit; all earlier ones will.")
    say("If a newer copy of vault.db and vault.db-wal exists, stop here and put that back instead.")


def _until(looked: _Looked) -> str:
    if not looked.plan.kept:
        return ""
    newest = looked.reader.batch_after(looked.plan.kept[-1][1] - 1)
    return f", the newest of {iso(newest.header.ms)}" if newest else ""


def _agrees() -> bool:
    require_person()
    return bool(click.prompt(f"Type {_WORD} to go on", default="", show_default=False, err=True) == _WORD)


def _repair(home: Home, identity: Identity, agreed: Plan, since: Sequence[Path]) -> Path:
    """Do what was agreed to, the vault held; return where the pod is as it was."""
    pod = home.pod
    log_key = load_log_key(pod)
    out = _free_name(home.path / f"before-repair-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    fresh = fresh_beside(pod.vault)
    pod_id = home_policy(home, identity).pod_id
    held = hold(pod, pod_id, identity, entropy=os.urandom, now_ms=now_ms, patience=PATIENCE)
    with held, _looking(home, identity, since) as looked:
        if looked.plan != agreed:
            raise BusyError("the vault changed while you were asked; run `repair` again")
        file_key = file_key_of(looked.reader.policy, identity)
        take_snapshot(pod.path, out, PATIENCE)
        remove_vault(fresh)
        ledger = write_repaired(looked.reader, agreed, fresh, file_key, log_key)
        with on_failure(discard_vault, fresh), nobody_copying(pod, PATIENCE):
            replace_vault(pod.vault, file_key, fresh)
        _remember(home, looked.reader, ledger, agreed.epoch)
    return out


def _free_name(path: Path) -> Path:
    """The path, or one like it, where nothing is, not even of a copy that was interrupted."""
    names = itertools.chain(
        [path], (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    )
    return next(
        name for name in names if not (name.exists() or name.with_name(f"{name.name}.partial").exists())
    )


def _remember(home: Home, reader: Reader, ledger: Ledger, epoch: int) -> None:
    """Publish the new epoch; killed before, log.head is of an earlier one, which opening passes over."""
    if not ledger.size:
        home.pod.log_head.unlink(missing_ok=True)
        return
    replace_file(home.pod.log_head, ledger.checkpoint)
    root = ledger.frontier.root()
    move_seen(home, Witness("the repaired vault", epoch, ledger.size, root, ledger.checkpoint), reader.policy)


def _facts(plan: Plan, out: Path) -> dict[str, object]:
    return {
        "message_type": "repaired",
        "epoch": plan.epoch,
        "batches": plan.batches,
        "left_out": plan.left_out,
        "missing": plan.missing,
        "folder": str(out),
    }
