"""The commands `receipt refresh` and `status`: a receipt proven in today's log, and its item found there.

What opens vaults is imported when it runs: a contributor's `receipt verify`
stands in the same group, and needs none of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from maintainer_tools.console import clean, put, put_json, say
from maintainer_tools.exits import Exit
from maintainer_tools.naming import naming
from vault.files import STDIN, read_given, replace_file
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES, ReceiptFile, format_receipt_file, parse_receipt_file


@click.command("refresh")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each file.")
def refresh(home: Path, files: tuple[str, ...], *, is_json: bool) -> None:
    """Bring receipts up to the newest checkpoint of the pod's log.

    Each FILE gets one more line: a proof that its batch is in the log of today,
    and that nothing was dropped since the checkpoint before. `-` reads standard
    input and writes standard output. Nothing is written unless every receipt is
    this pod's and its log goes on where the receipt ends.
    """
    if STDIN in files and (len(files) > 1 or is_json):
        raise click.UsageError("-: give it alone and without --json, for standard output has the new file")
    given = [_read(path) for path in files]
    done, size = _refreshed(home, files, given)
    for path, old, new in zip(files, given, done, strict=True):
        if path == STDIN:
            sys.stdout.buffer.write(format_receipt_file(new))
        elif new != old:
            replace_file(Path(path), format_receipt_file(new))
        _tell(path, size, is_json=is_json, is_changed=new != old)


def _read(path: str) -> ReceiptFile:
    with naming(path):
        return parse_receipt_file(read_given(path, MAX_RECEIPT_FILE_BYTES, sys.stdin.buffer))


def _refreshed(home: Path, files: tuple[str, ...], given: list[ReceiptFile]) -> tuple[list[ReceiptFile], int]:
    from maintainer_tools.reading import reading
    from vault.refreshing import refreshed

    done = []
    with reading(home) as reader:
        policy = reader.policy
        for path, file in zip(files, given, strict=True):
            with naming(path):
                new = refreshed(
                    file,
                    reader.rows,
                    reader.ledger,
                    pod_id=policy.pod_id,
                    log_keys=policy.vault_logs,
                    function_keys=policy.function_logs,
                )
            done.append(new)
        return done, reader.ledger.size


def _tell(path: str, size: int, *, is_json: bool, is_changed: bool) -> None:
    if is_json:
        put_json({"message_type": "refreshed", "file": path, "size": size, "is_changed": is_changed})
    elif is_changed:
        say(f"{clean(path)}: reaches the log of {size} batches now")
    else:
        say(f"{clean(path)}: reaches the newest of {size} batches already")


@click.command("status")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def status(home: Path, file: str, *, is_json: bool) -> None:
    """Say what became of the item that a receipt is about.

    It was accepted, or the receipt would not verify. It is stored; or it was
    erased since, and when; or it is not in this vault, which ends with exit code 3.
    `-` reads standard input.
    """
    given = _read(file)
    with naming(file):
        found = _status(home, given)
    if is_json:
        put_json({"message_type": "status", "file": file, **found})
    else:
        put(_STATUS_SENTENCES[str(found["state"])].format(**_shown(found)))
    if found["state"] == "absent":
        sys.exit(Exit.FINDINGS)


_STATUS_SENTENCES = {
    "stored": "accepted {received}, stored",
    "erased": "accepted {received}, erased since: {erased}",
    "absent": "accepted {received}, not in this vault: it is older than the receipt, or lost it; run `check`",
}


def _shown(found: dict[str, Any]) -> dict[str, str]:
    from maintainer_tools.times import iso

    return {name: iso(found[name]) for name in ("received", "erased") if found.get(name) is not None}


def _status(home: Path, file: ReceiptFile) -> dict[str, Any]:
    from maintainer_tools.reading import reading
    from vault.policies import past_signers
    from vault.receipt_files import verify_receipt_file
    from vault.whereabouts import erased_ms, find_by_place

    with reading(home) as reader:
        policy = reader.policy
        proven = verify_receipt_file(
            file, pod_id=policy.pod_id, log_keys=policy.vault_logs, function_keys=policy.function_logs
        )
        header, receipt = proven.receipt.header, file.receipt
        place = find_by_place(reader.rows, header.uid, receipt.index)
        facts: dict[str, Any] = {"received": header.ms, "batch": receipt.batch, "index": receipt.index}
        if place is None or (place.header, place.c, place.digest) != (
            receipt.header,
            receipt.c,
            receipt.digest,
        ):
            return {"state": "absent", **facts}
        if not place.is_erased:
            return {"state": "stored", **facts}
        return {
            "state": "erased",
            **facts,
            "erased": erased_ms(reader.rows, place, past_signers(policy)),
        }
