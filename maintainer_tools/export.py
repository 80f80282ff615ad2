"""The command `export`: items out of the pod, as files other programs read."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import click

from maintainer_tools.console import Progress, clean, progress, put_json, say
from maintainer_tools.csv_export import write_sheet, write_sheets
from maintainer_tools.exporting import ReadItems, Wanted, line_of, require_sender
from maintainer_tools.jsonl_export import FILE, write_lines
from maintainer_tools.new_files import new_folder
from maintainer_tools.reading import reading, schema_of
from maintainer_tools.sheets import Sheet, plan, settled, survey
from maintainer_tools.unreadable import end_unreadable, write_manifest
from vault.reader import Reader
from vault.stored import StoredItem

CSV, JSONL = "csv", "jsonl"
_STDOUT = "-"
_ITEMS_A_REPORT = 512

Files = list[dict[str, str | int]]
"""What was written: file, type if it is of one, rows."""


@click.command("export")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("out", metavar="DIR|-")
@click.option("--format", "file_format", type=click.Choice([JSONL, CSV]), default=JSONL, show_default=True)
@click.option("--type", "item_type", metavar="NAME", help="Only items of this type.")
@click.option("--from", "sender", metavar="INVITE", help="Only items that came with this invite.")
@click.option("--json", "is_json", is_flag=True, help="Print what was written as JSON.")
def export(
    home: Path, out: str, file_format: str, item_type: str | None, sender: str | None, *, is_json: bool
) -> None:
    """Write items into the new folder DIR, or to standard output (-).

    JSON Lines holds every item exactly. CSV is for spreadsheets: one file a
    type, your labels as headers, texts that look like formulas with an
    apostrophe before them. `help formats` has the details. What was sealed so
    that nobody can read it is left out, named in DIR/unreadable.json, and ends
    with exit code 5.
    """
    wanted = Wanted(item_type, sender, has_declarations=file_format == JSONL)
    with reading(home) as reader:
        require_sender(reader, sender)
        if out == _STDOUT:
            _to_stdout(reader, wanted, file_format)
            end_unreadable(reader.passed_over)
            return
        with new_folder(Path(out)) as folder, _passes(reader, wanted, 1 + (file_format == CSV)) as items:
            write = _write_csv if file_format == CSV else _write_jsonl
            files = write(reader, folder, items)
            write_manifest(folder, reader.passed_over)
    _say_what_was_written(out, files)
    if is_json:
        unreadable = reader.passed_over.count
        put_json({"message_type": "summary", "folder": out, "files": files, "unreadable": unreadable})
    end_unreadable(reader.passed_over)


@contextmanager
def _passes(reader: Reader, wanted: Wanted, passes: int) -> Iterator[ReadItems]:
    """Give what begins a pass over the wanted items, and show how far all passes together are."""
    _, total = reader.counts()
    with progress("Exporting", total * passes) as report:
        yield partial(_counted, reader, wanted, count(1), report)


def _counted(
    reader: Reader, wanted: Wanted, counter: Iterator[int], report: Progress
) -> Iterator[StoredItem]:
    for item in reader.items():
        number = next(counter)
        if number % _ITEMS_A_REPORT == 0:
            report(number)
        if wanted.includes(item):
            yield item


def _write_jsonl(_reader: Reader, folder: Path, items: ReadItems) -> Files:
    return [{"file": FILE, "rows": write_lines(folder, items())}]


def _write_csv(reader: Reader, folder: Path, items: ReadItems) -> Files:
    sheets = _planned(reader, items())
    write_sheets(folder, sheets, items())
    return [{"file": sheet.file, "type": sheet.type, "rows": sheet.rows} for sheet in sheets.values()]


def _planned(reader: Reader, items: Iterable[StoredItem]) -> dict[str, Sheet]:
    schema, seen = schema_of(reader), survey(items)
    for known in settled(seen, schema):
        types = ", ".join(f"{value_type} by {clean(name)}" for name, value_type in known.declared.items())
        say(f"note: {clean(known.name)} has several types ({types}); written as {known.value_type}")
    return plan(seen, schema)


def _to_stdout(reader: Reader, wanted: Wanted, file_format: str) -> None:
    out = sys.stdout.buffer
    if file_format == JSONL:
        for item in wanted.items(reader):
            out.write(line_of(item))
        return
    sheets = list(_planned(reader, wanted.items(reader)).values())
    if len(sheets) > 1:
        types = ", ".join(clean(sheet.type) for sheet in sheets)
        raise click.UsageError(f"there are items of several types ({types}); pass one as --type, or a folder")
    for sheet in sheets:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="")
        write_sheet(text, sheet, wanted.items(reader))
        text.flush()
        text.detach()


def _say_what_was_written(out: str, files: Files) -> None:
    for file in files:
        say(f"{clean(out)}/{file['file']}: {file['rows']} item{'s' * (file['rows'] != 1)}")
    if not files:
        say("There is nothing to export; the folder is empty.")
    say("These files are not encrypted.")
