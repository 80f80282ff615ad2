"""The commands `recovery make` and `recovery drill`: the identity as shares on paper."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from maintainer_tools.console import clean, ours, put, put_json, say
from maintainer_tools.drills import note_drilled, note_made
from maintainer_tools.given_shares import identity_from_shares
from maintainer_tools.homes import Home, find_home, find_pod, home_policy, open_identity
from maintainer_tools.new_files import new_folder, write_private
from maintainer_tools.reading import reading_as
from maintainer_tools.share_sheets import format_sheet
from maintainer_tools.shares import LEAST_NEEDED, MOST_SHARES, split
from maintainer_tools.times import now_ms
from vault.header import parse_header
from vault.opening import Identity, open_batch
from vault.pod import PodFolder
from vault.policies import Policy
from vault.sealing import Plain, seal_batch

_COUNT = click.IntRange(LEAST_NEEDED, MOST_SHARES)


@click.group("recovery")
def recovery() -> None:
    """Split the one secret into shares for paper, or try them."""


@recovery.command("make")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--shares", required=True, type=_COUNT, help="How many sheets are made.")
@click.option("--needs", required=True, type=_COUNT, help="How many of them open the pod.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A new folder for the sheets, to be printed; without it they are shown one at a time.",
)
@click.option("--json", "is_json", is_flag=True, help="Print what was made as JSON.")
def make(home: Path, shares: int, needs: int, out: Path | None, *, is_json: bool) -> None:
    """Split HOME's identity into sheets of words, of which any few bring it back.

    Fewer sheets than are needed tell nothing. The words are SLIP-39's.
    """
    if needs > shares:
        raise click.UsageError(f"--needs {needs} of --shares {shares}: more are needed than are made")
    if out is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the sheets are shown in a terminal only; name a folder for them by --out DIR")
    found = find_home(home)
    if out is not None and out.resolve().is_relative_to(found.pod.path.resolve()):
        raise click.UsageError("--out: a server gets all of the pod's folder; name another place")
    identity = open_identity(found)
    policy = home_policy(found, identity)
    made_ms = now_ms()
    made = split(identity, shares=shares, needs=needs)
    sheets = [format_sheet(share, policy=policy, shares=shares, made_ms=made_ms) for share in made]
    if out is None:
        _show(sheets)
    else:
        _write(out, sheets)
    note_made(found.path, identity, made[0].set, made_ms)
    _say_what_next(found, made[0].set, out)
    if is_json:
        document = {"set": made[0].set, "shares": shares, "needs": needs, "made_ms": made_ms}
        put_json({"message_type": "summary", **document, "folder": str(out) if out else None})


def _show(sheets: Sequence[str]) -> None:
    for number, sheet in enumerate(sheets, 1):
        click.clear()
        put(sheet)
        click.prompt(
            f"Share {number} of {len(sheets)}. Enter when it is written down",
            default="",
            show_default=False,
            err=True,
        )
    click.clear()


def _write(out: Path, sheets: Sequence[str]) -> None:
    with new_folder(out) as partial:
        for number, sheet in enumerate(sheets, 1):
            write_private(partial / f"share-{number}-of-{len(sheets)}.txt", sheet.encode())


def _say_what_next(home: Home, set_words: str, out: Path | None) -> None:
    if out is None:
        say(f'Made the set "{set_words}". What a terminal showed may stay in its memory: close it.')
    else:
        say(f'Wrote the set "{set_words}" into {clean(str(out))}. Print each sheet, then remove that folder:')
        say("together its files are the secret itself.")
    say("Then try the paper. Until that was done, `check` reminds you:")
    say()
    say(f"  {ours('recovery', 'drill', home.path)}")


@recovery.command("drill")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
def drill(home: Path, files: tuple[Path, ...], *, is_json: bool) -> None:
    """Prove that shares open what is in HOME's pod, without showing any of it.

    FILES are sheets, or the words of one share each. Without FILES the words are
    typed unseen, or read from standard input, a share a line. The identity in HOME
    is not used. That the drill was done is noted in HOME.
    """
    found = find_pod(home)
    given = identity_from_shares(found, files)
    _open_canary(given.policy, given.identity, now_ms())
    has_opened_item = _open_newest(found, given.identity)
    if found.path != home:
        note_drilled(home, given.identity, given.set, now_ms())
    what = "the pod's key, a canary and the newest item" if has_opened_item else "the pod's key and a canary"
    say(f'{given.count} shares of the set "{given.set}" open {what}.')
    if is_json:
        document = {"set": given.set, "shares": given.count, "has_opened_item": has_opened_item}
        put_json({"message_type": "answer", **document})
    else:
        put("ok")


def _open_canary(policy: Policy, identity: Identity, ms: int) -> None:
    """Seal an item that nobody stores, as a server does under this policy, and open it.

    Raises:
        WrongKeyError: The policy's recipients are others.
    """
    sealed = seal_batch(
        [Plain(b"canary", slot=0, salt=os.urandom(32), c=os.urandom(32))],
        policy.recipients,
        pod_id=policy.pod_id,
        log_public=bytes(32),  # nobody signs it
        policy=policy.digest,
        ms=ms,
        entropy=os.urandom,
    )
    open_batch(identity, parse_header(sealed.header), sealed.wraps, sealed.sealed)


def _open_newest(pod: PodFolder, identity: Identity) -> bool:
    """Open the newest item in a private copy; whether there was one."""
    with reading_as(pod, identity) as reader:
        return next(reader.items(is_newest_first=True), None) is not None
