"""The file that takes what was rejected: beside the source, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from contributor_tools.console import clean
from contributor_tools.tables import Table
from vault.errors import StorageError
from vault.undoing import on_failure


def rejected_path(source: Path, table: Table) -> Path:
    """`FILE.rejected.csv` or `FILE.rejected.jsonl`, beside FILE."""
    return source.with_name(f"{source.name}.rejected{table.suffix}")


def write_rejected(path: Path, table: Table, reasons: Mapping[int, str]) -> None:
    """Write the rejected rows, replacing an earlier run's file.

    Args:
        path: Of the new file, mode 0600: it holds rows.
        table: Where the rows are read from again, in order.
        reasons: By line. Untrusted; each is shown clean and after its line's
            number, so that no spreadsheet takes one for a formula.

    Raises:
        StorageError: The operating system refuses; nothing is left behind.
    """
    shown = {line: f"line {line}: {clean(reason)}" for line, reason in reasons.items()}
    try:
        _write_whole(path, table, shown)
    except OSError as exc:
        raise StorageError(f"{path.name} could not be written: {exc.strerror}") from exc


def _write_whole(path: Path, table: Table, reasons: Mapping[int, str]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".new")
    with on_failure(Path(name).unlink, missing_ok=True):
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            table.write_rejected(out, reasons)
        Path(name).replace(path)
