"""The command `audit`: what a pod proves, by itself and against what was kept elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from maintainer_tools.console import clean, progress, put, put_json, say, warn
from maintainer_tools.exits import Exit
from maintainer_tools.homes import Home, find_home, is_edited_by_hand, open_identity
from maintainer_tools.reading import reading_as_it_is
from maintainer_tools.receipt_folder import read_receipt, receipt_files
from maintainer_tools.witnesses import load_seen, load_witness, move_seen
from vault.auditing import Audit, Auditor, Range, head_witness, newest_witness
from vault.errors import StorageError, VaultError
from vault.ledger import read_log_head
from vault.notes import read_checkpoint
from vault.reader import Reader
from vault.witness import SEEN_FILE, Witness

_SHOWN = 50
"""Findings printed; all of them are in the JSON."""


@click.command("audit")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--since",
    multiple=True,
    metavar="CHECKPOINT",
    type=click.Path(path_type=Path),
    help="A checkpoint kept elsewhere (`checkpoint export`). May be given more than once.",
)
@click.option(
    "--receipts",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of receipts, one a file; what each was refreshed to counts too.",
)
@click.option("--items", "is_opening", is_flag=True, help="Open every item too, as `check` does: slower.")
@click.option("--json", "is_json", is_flag=True, help="Print the audit as one JSON object.")
@click.pass_context
def audit(
    context: click.Context,
    home: Path,
    *,
    since: tuple[Path, ...],
    receipts: Path | None,
    is_opening: bool,
    is_json: bool,
) -> None:
    """Prove what HOME's pod holds: recompute all of it, and compare it with what was kept elsewhere.

    Every leaf, header, checkpoint and policy, and that each item is here as it was
    sealed and logged; opened are items with --items alone. It reads on where a
    vault is refused, says which batches are proven nevertheless and by what, and
    remembers the newest checkpoint in seen.checkpoint once everything is right.
    Exit code 3 when something is wrong.
    """
    found = find_home(home)
    with reading_as_it_is(found, open_identity(found)) as (reader, refusals):
        made = _audit(found, reader, refusals, since=since, receipts=receipts, is_opening=is_opening)
        is_moved = _remember(found, reader, made)
    meaning = list(_meaning(made))
    if is_json:
        put_json(_facts(made, meaning, is_moved=is_moved))
    else:
        _put(made, meaning, is_moved=is_moved)
    if made.findings:
        context.exit(Exit.FINDINGS)


def _audit(
    home: Home,
    reader: Reader,
    refusals: list[VaultError],
    *,
    since: tuple[Path, ...],
    receipts: Path | None,
    is_opening: bool,
) -> Audit:
    if is_edited_by_hand(reader.policy):
        warn("pod.toml was edited by hand; a server goes by it once `schema apply` has signed it")
    witnesses = [load_witness(path, clean(path.name), reader.policy) for path in since]
    witnesses += _seen(home, reader, refusals)
    head = head_witness(reader, read_log_head(reader.folder).note)
    auditor = Auditor(reader, refusals, witnesses=witnesses, head=head, sizes=_sizes(receipts))
    with progress("Auditing", _items(reader)) as report_progress:
        auditor.run(report_progress, is_opening=is_opening)
    for path in receipt_files(receipts) if receipts else ():
        auditor.receipt(clean(path.name), lambda path=path: read_receipt(path))  # type: ignore[misc]
    return auditor.end()


def _items(reader: Reader) -> int:
    _, items = reader.counts()
    return items


def _seen(home: Home, reader: Reader, refusals: list[VaultError]) -> Iterator[Witness]:
    try:
        seen = load_seen(home.path, reader.policy)
    except StorageError:
        raise
    except VaultError as exc:
        refusals.append(VaultError(f"{SEEN_FILE}: {exc}. Put back a copy of it, or remove it"))
        return
    if seen is not None:
        yield seen


def _sizes(receipts: Path | None) -> set[int]:
    sizes = set()
    for path in receipt_files(receipts) if receipts else ():
        # What is wrong with one is said when it is compared.
        with contextlib.suppress(VaultError):
            file = read_receipt(path)
            sizes.add(file.receipt.batch)
            sizes.update(read_checkpoint(refresh.checkpoint).size for refresh in file.refreshes)
    return sizes


def _remember(home: Home, reader: Reader, made: Audit) -> bool:
    newest = newest_witness(reader)
    if made.findings or newest is None:
        return False
    return move_seen(home, newest, reader.policy)


def _unproven(made: Audit) -> list[Range]:
    """What lies between the ranges that are proven."""
    found, expected = [], 1
    for first, last in [*made.proven, (made.batches + 1, made.batches + 1)]:
        if first > expected:
            found.append((expected, first - 1))
        expected = last + 1
    return found


def _named(ranges: list[Range]) -> str:
    """Ranges in words: ``batches 1-3, 7``."""
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    is_one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return f"batch{'es' * (not is_one)} {', '.join(words)}"


def _meaning(made: Audit) -> Iterator[str]:
    """What was proven, what was not, and against whom: a sentence each."""
    if made.proven:
        yield f"Proven: {_named(made.proven)}. They are what the log's signatures cover, whole and unaltered."
    if unproven := _unproven(made):
        yield f"Not proven: {_named(unproven)}. What is in them may have been altered, or is missing."
    if made.missing:
        yield f"Missing: {made.missing} that a checkpoint has seen, after batch {made.batches}."
    yield from _anchoring(made)
    if made.receipts:
        yield f"Receipts: {made.upheld} of {made.receipts} name items that are here as they were accepted."
    if not made.is_opened:
        yield (
            "Items stayed closed: not looked at is whether each opens, is what its contributor committed to, "
            "has its own name and counts for its own invite. `audit --items` looks."
        )


def _anchoring(made: Audit) -> Iterator[str]:
    if made.witnessed:
        yield (
            f"A checkpoint kept elsewhere covers {_named([(1, made.witnessed)])}: what is proven of them is "
            "proven against everybody, someone with log.key included."
        )
    if made.witnessed < made.batches:
        rest = _named([(made.witnessed + 1, made.batches)])
        yield (
            f"Nothing kept elsewhere covers {rest}, or what may have come after: whoever has log.key and the "
            "file key could have dropped the last of them, and an older vault put back together with its "
            "log.head looks the same. `checkpoint export` makes what shows it."
        )
    elif not made.batches and not made.missing:
        yield "The log is empty, and nothing kept elsewhere says that it ever was not."


def _facts(made: Audit, meaning: list[str], *, is_moved: bool) -> dict[str, Any]:
    facts = msgspec.structs.asdict(made)
    return {
        "message_type": "audit",
        **facts,
        "unproven": _unproven(made),
        "meaning": meaning,
        "is_remembered": is_moved,
    }


def _put(made: Audit, meaning: list[str], *, is_moved: bool) -> None:
    for finding in made.findings[:_SHOWN]:
        put(f"FAIL  {clean(finding)}")
    if len(made.findings) > _SHOWN:
        put(f"FAIL  and {len(made.findings) - _SHOWN} more; --json prints all of them")
    erased = f", {made.erased} erased" if made.erased else ""
    say(f"Audited {made.items} items in {made.batches} batch{'es' * (made.batches != 1)}{erased}.")
    for sentence in meaning:
        say(clean(sentence))
    if made.findings:
        say(
            "Keep this pod as it is, and a copy of it. If a newer copy exists, put it back; if not, `repair`."
        )
        return
    if is_moved:
        say(f"Remembered in {SEEN_FILE}: the next audit compares with it.")
    put("ok")
