"""The command `receipt refresh`: a contributor's receipt, proven again in today's log.

What opens vaults is imported when it runs: a contributor's `receipt verify`
stands in the same group, and needs none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from maintainer_tools.console import clean, put_json, say
from vault.errors import VaultError
from vault.files import replace_file
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES, ReceiptFile, format_receipt_file, parse_receipt_file

_STDIN = "-"


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
    if _STDIN in files and (len(files) > 1 or is_json):
        raise click.UsageError("-: give it alone and without --json, for standard output has the new file")
    given = [_read(path) for path in files]
    done, size = _refreshed(home, files, given)
    for path, old, new in zip(files, given, done, strict=True):
        if path == _STDIN:
            sys.stdout.buffer.write(format_receipt_file(new))
        elif new != old:
            replace_file(Path(path), format_receipt_file(new))
        _tell(path, size, is_json=is_json, is_changed=new != old)


def _read(path: str) -> ReceiptFile:
    from vault.pod import read_file

    with _named(path):
        if path == _STDIN:
            return parse_receipt_file(sys.stdin.buffer.read(MAX_RECEIPT_FILE_BYTES + 1))
        return parse_receipt_file(read_file(Path(path), MAX_RECEIPT_FILE_BYTES, may_be_pipe=True))


def _refreshed(home: Path, files: tuple[str, ...], given: list[ReceiptFile]) -> tuple[list[ReceiptFile], int]:
    from maintainer_tools.reading import reading
    from vault.refreshing import refreshed

    done = []
    with reading(home) as reader:
        policy = reader.policy
        for path, file in zip(files, given, strict=True):
            with _named(path):
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


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Say which of many files an error is about."""
    try:
        yield
    except VaultError as exc:
        exc.args = (f"{path}: {exc}",)
        raise


def _tell(path: str, size: int, *, is_json: bool, is_changed: bool) -> None:
    if is_json:
        put_json({"message_type": "refreshed", "file": path, "size": size, "is_changed": is_changed})
    elif is_changed:
        say(f"{clean(path)}: reaches the log of {size} batches now")
    else:
        say(f"{clean(path)}: reaches the newest of {size} batches already")
