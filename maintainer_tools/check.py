"""The command `check`: open and recompute everything in a pod."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from maintainer_tools.console import clean, progress, put, put_json, say, warn
from maintainer_tools.drills import warning_of
from maintainer_tools.exits import Exit
from maintainer_tools.reading import reading
from maintainer_tools.times import now_ms
from vault.checking import Report, check_vault


@click.command("check")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_context
def check(context: click.Context, home: Path, *, is_json: bool) -> None:
    """Open every item, recompute every leaf and the log, run both SQLCipher checks.

    It works on a private copy. Exit code 3 when something is wrong. It cannot see
    a pod that was put back to an earlier day together with its log.head.
    """
    with reading(home) as reader:
        _, total = reader.counts()
        with progress("Checking", total) as report_progress:
            report = check_vault(reader, report_progress)
        unproven = warning_of(home, reader.identity, now_ms())
    if is_json:
        put_json({"message_type": "report", **msgspec.structs.asdict(report)})
    else:
        _put(report)
    if unproven:
        warn(unproven)
    if report.findings:
        context.exit(Exit.FINDINGS)


def _put(report: Report) -> None:
    for finding in report.findings:
        put(f"FAIL  {clean(finding)}")
    erased = f", {report.erased} erased" if report.erased else ""
    say(f"Checked {report.items} items in {report.batches} batches{erased}.")
    if not report.findings:
        put("ok")
        return
    count = len(report.findings)
    say(f"{count} finding{'s' * (count != 1)}. Keep this pod as it is; restore a snapshot that is whole.")
    if report.unreadable:
        say(
            f"{report.unreadable} of the items are as they were logged and nobody can read them: whoever had "
            "taken the server over sealed them so. No snapshot has them otherwise; `erase --unreadable` "
            "removes them."
        )
