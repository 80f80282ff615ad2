"""The command `promise redeem`: a function's promise becomes a receipt, or is found to be broken.

What opens vaults is imported when it runs: a contributor's `promise verify`
stands in the same group, and needs none of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maintainer_tools.console import clean, put, put_json
from maintainer_tools.exits import Exit
from maintainer_tools.naming import naming
from vault.errors import StorageError
from vault.files import read_file, replace_file
from vault.promise_files import MAX_PROMISE_FILE_BYTES, PromiseFile, parse_promise_file

if TYPE_CHECKING:
    from vault.reader import Reader

_SUFFIX = ".receipt"
_SENTENCES = {
    "stored": "promised {promised}; its receipt is in {receipt}",
    "erased": "promised {promised}, erased since: {erased}; its receipt is in {receipt}",
    "absent": (
        "promised {promised}, and not in this vault. Run `collect`, and look for it among what it does not "
        "take; if it is not there either, this promise proves that its item was lost"
    ),
}


@click.command("redeem")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False)
)
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each file.")
def redeem(home: Path, files: tuple[Path, ...], *, is_json: bool) -> None:
    """Make receipts of promises whose items were collected into HOME's vault.

    The receipt of FILE is written beside it, with `.receipt` at its end. A promise
    whose item is not in the vault is told, with exit code 3: before `collect` has
    brought everything in it is early, afterwards it proves a loss.
    """
    given = [(path, _read(path)) for path in files]
    found = _redeemed(home, given)
    for facts in found:
        _tell(facts, is_json=is_json)
    if any(facts["state"] == "absent" for facts in found):
        sys.exit(Exit.FINDINGS)


def _read(path: Path) -> PromiseFile:
    with naming(path):
        return parse_promise_file(read_file(path, MAX_PROMISE_FILE_BYTES))


def _redeemed(home: Path, given: list[tuple[Path, PromiseFile]]) -> list[dict[str, Any]]:
    from maintainer_tools.reading import reading
    from vault.promises import verify_promise

    with reading(home) as reader:
        policy = reader.policy
        found = []
        for path, file in given:
            with naming(path):
                header = verify_promise(
                    file.promise, pod_id=policy.pod_id, function_keys=policy.function_logs
                )
                found.append(_state(reader, path, file) | {"promised": header.ms})
        return found


def _state(reader: Reader, path: Path, file: PromiseFile) -> dict[str, Any]:
    from vault.header import parse_header
    from vault.policies import past_signers
    from vault.proving import stored_receipt
    from vault.receipt_files import ReceiptFile, format_receipt_file
    from vault.receipts import decode_receipt
    from vault.whereabouts import erased_ms, find_by_place

    promise = file.promise
    place = find_by_place(reader.rows, parse_header(promise.header).uid, promise.index)
    if place is None or (place.header, place.c, place.digest) != (promise.header, promise.c, promise.digest):
        return {"state": "absent", "file": path}
    receipt = ReceiptFile(file.item_id, decode_receipt(stored_receipt(reader.rows, place.seq)))
    out = path.with_name(path.name + _SUFFIX)
    _write_new(out, format_receipt_file(receipt))
    facts = {"state": "stored", "file": path, "receipt": out}
    if place.is_erased:
        ms = erased_ms(reader.rows, place, past_signers(reader.policy))
        facts |= {"state": "erased", "erased": ms}
    return facts


def _write_new(path: Path, content: bytes) -> None:
    """Write a receipt; what is there already must be the same one, however often it was refreshed."""
    if path.exists():
        if not read_file(path, 1 << 20).startswith(content):
            raise StorageError(f"{path} exists already and holds something else; it was left as it is")
        return
    replace_file(path, content)


def _tell(facts: dict[str, Any], *, is_json: bool) -> None:
    from maintainer_tools.times import iso

    if is_json:
        shown = {name: str(value) if isinstance(value, Path) else value for name, value in facts.items()}
        put_json({"message_type": "redeemed", **shown})
        return
    said = {name: iso(value) if type(value) is int else str(value) for name, value in facts.items()}
    put(f"{clean(str(facts['file']))}: {clean(_SENTENCES[facts['state']].format(**said))}")
