"""How a run ended: for people, for scripts, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contributor_tools.answers import Refused
from contributor_tools.client import NotSent
from contributor_tools.console import clean
from contributor_tools.exits import Exit


class ReceiptTally(msgspec.Struct, frozen=True):
    """What became of the receipts.

    Attributes:
        folder: Where they are.
        kept: Items whose receipt holds and is there.
        lacking: Items the pod took without one that holds.
        fault: The first of these, by its line, and why. Untrusted.
    """

    folder: str
    kept: int
    lacking: int
    fault: str | None


class Summary(msgspec.Struct, frozen=True):
    """What became of a file's rows.

    Attributes:
        accepted: Rows the pod keeps, since now or since an earlier run.
        rejected: Rows refused for what they are, here or by the pod.
        not_sent: Rows nobody decided; the next run sends them.
        seconds: From the first request to the last answer.
        stopped: What ended the run early; None if nothing did.
        is_interrupted: Whether that was Ctrl-C.
        rejected_file: Where the rejected rows stand, if there are any, and those
            that another invite must send.
        receipts: If they were asked for.
    """

    accepted: int
    rejected: int
    not_sent: int
    seconds: float
    stopped: Refused | NotSent | None = None
    is_interrupted: bool = False
    rejected_file: str | None = None
    receipts: ReceiptTally | None = None

    @property
    def exit_code(self) -> Exit:
        """The most useful thing a script can know."""
        if self.is_interrupted:
            return Exit.INTERRUPTED
        if self.stopped is not None:
            return Exit.REFUSED if isinstance(self.stopped, Refused) else Exit.UNREACHABLE
        is_lacking = self.receipts is not None and self.receipts.lacking
        return Exit.FINDINGS if self.rejected or is_lacking else Exit.DONE


def summary_lines(summary: Summary) -> Iterator[str]:
    """Yield the sentences for a terminal: what stopped it, the counts, what to do next."""
    if summary.stopped is not None:
        what = "refused" if isinstance(summary.stopped, Refused) else "stopped"
        yield f"{what}: {clean(summary.stopped.sentence)}"
    total = summary.accepted + summary.rejected + summary.not_sent
    yield f"{summary.accepted} of {total} items are in the pod ({summary.seconds:.1f} s)."
    if summary.rejected and summary.rejected_file is not None:
        yield f"{summary.rejected} rejected; {clean(summary.rejected_file)} says why."
    if summary.receipts is not None:
        yield from _receipt_lines(summary.receipts)
    if summary.not_sent:
        yield f"{summary.not_sent} not sent; {_next_step(summary)}"


def _receipt_lines(receipts: ReceiptTally) -> Iterator[str]:
    yield f"{receipts.kept} receipts are in {clean(receipts.folder)}, verified."
    if receipts.fault is not None:
        yield f"{receipts.lacking} items are without a receipt that holds: {clean(receipts.fault)}"


def _next_step(summary: Summary) -> str:
    if not isinstance(summary.stopped, Refused):
        return "run the same command again to go on, nothing is stored twice."
    if not summary.accepted or summary.rejected_file is None:
        return "run the same command again with a new invite."
    # A new invite has other ids, so it would store again what this one stored.
    return f"send {clean(summary.rejected_file)} with a new invite, not the whole file."


def summary_json(summary: Summary) -> str:
    """One JSON document of one line. Members are only ever added."""
    document = {
        "message_type": "summary",
        "accepted": summary.accepted,
        "rejected": summary.rejected,
        "not_sent": summary.not_sent,
        "seconds": round(summary.seconds, 3),
        "rejected_file": summary.rejected_file,
        "receipts": summary.receipts,
        "stopped": None if summary.stopped is None else summary.stopped.sentence,
        "exit_code": int(summary.exit_code),
    }
    return msgspec.json.encode(document).decode()
