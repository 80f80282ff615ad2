"""What a storm plants in the processes it starts: the next version of the program, or a bug it must find.

``planting`` writes a ``sitecustomize`` that Python imports before anything else,
so that every process started with the environment it gives has the plant, the
writer that a worker starts too. The bugs are each a line or two gone wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.server import ROOT

_SITE = "from {module} import PLANTS\nfor name in {names!r}:\n    PLANTS[name]()\n"


def planting(folder: Path, *names: str, module: str = __name__) -> dict[str, str]:
    """The environment in which processes have these plants.

    Args:
        folder: For one file; made if it is not there.
        names: Of ``PLANTS``.
        module: Whose ``PLANTS``.
    """
    if not names:
        return {}
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE.format(module=module, names=names))
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def _next_version() -> None:
    """A program of the next format, which has a table that this one's has not."""
    import vault.migrations as found  # noqa: PLC0415  # before any other module of ours takes up what it says

    step = found.Step(
        found.FORMAT + 1,
        (
            "CREATE TABLE later (seq INTEGER NOT NULL PRIMARY KEY, digest BLOB NOT NULL) STRICT",
            "INSERT INTO later SELECT seq, digest FROM item",
            "CREATE INDEX later_digest ON later (digest)",
        ),
    )
    found.STEPS = (*found.STEPS, step)
    found.FORMAT = step.number


def _answers_first() -> None:
    """Items are acknowledged, and COMMIT comes with the next thing that is done."""
    from vault.connection import WritingConnection  # noqa: PLC0415  # in the planted process alone

    commit, begin = WritingConnection.commit, WritingConnection.begin
    rollback, truncate_wal = WritingConnection.rollback, WritingConnection.truncate_wal
    restart_wal = WritingConnection.restart_wal
    late: set[int] = set()

    def commit_late(self: WritingConnection) -> None:
        late.add(id(self))

    def catch_up(self: WritingConnection) -> None:
        if id(self) in late:
            late.remove(id(self))
            commit(self)

    def begin_after(self: WritingConnection) -> None:
        catch_up(self)
        begin(self)

    def rollback_what_is_not_late(self: WritingConnection) -> None:
        if id(self) not in late:
            rollback(self)

    def truncate_after(self: WritingConnection) -> bool:
        catch_up(self)
        return truncate_wal(self)

    def restart_after(self: WritingConnection) -> bool:
        catch_up(self)
        return restart_wal(self)

    put(
        WritingConnection,
        commit=commit_late,
        begin=begin_after,
        rollback=rollback_what_is_not_late,
        truncate_wal=truncate_after,
        restart_wal=restart_after,
    )


def _forgets_the_log() -> None:
    """A server that finds a write-ahead log starts without it, and without what would tell."""
    import ingest.vault_thread as found  # noqa: PLC0415  # in the planted process alone
    from vault.pod import PodFolder  # noqa: PLC0415

    open_writer = found.open_writer  # type: ignore[attr-defined]  # where it is called from

    def open_without(folder: PodFolder, *arguments: Any, **named: Any) -> Any:
        for path in (folder.wal, folder.log_head):
            path.unlink(missing_ok=True)
        return open_writer(folder, *arguments, **named)

    put(found, open_writer=open_without)


def _copies_without_the_log() -> None:
    """A snapshot has the vault as it was when its log was last moved, and does not say so."""
    import vault.snapshot as found  # noqa: PLC0415  # in the planted process alone

    copy_if_there = found._copy_if_there

    def copy_some(source: Path, folder: Path, copy: found.Copy) -> None:
        if source.name not in {"vault.db-wal", "log.head"}:
            copy_if_there(source, folder, copy)

    put(found, _copy_if_there=copy_some)


def _stores(*outcomes: str) -> Callable[[], None]:
    def plant() -> None:
        from vault.caveats import Caveats  # noqa: PLC0415  # in the planted process alone
        from vault.deciding import Deciding, Decision, Fresh  # noqa: PLC0415
        from vault.sealing import Plain  # noqa: PLC0415
        from vault.submissions import Submission  # noqa: PLC0415

        decide = Deciding._decide

        def decide_and_store(self: Deciding, caveats: Caveats, submission: Submission) -> Decision:
            decision = decide(self, caveats, submission)
            if decision.verdict.outcome.name in outcomes:
                state = self._state(submission.slot)
                state.add(submission.item, {})
                number = submission.slot.number
                plain = Plain(submission.item.canonical, number, submission.salt, submission.c)
                self.fresh.append(Fresh(os.urandom(len(submission.name)), plain))
            return decision

        put(Deciding, _decide=decide_and_store)

    return plant


def _erases_in_words() -> None:
    """`erase` takes its request back at once, and says that it was done."""
    import maintainer_tools.carrying_out as found  # noqa: PLC0415  # in the planted process alone
    from vault.pod import PodFolder  # noqa: PLC0415
    from vault.requests import remove_request  # noqa: PLC0415

    def take_back(pod: PodFolder, _: object, requested: Sequence[found.Pending], __: object) -> bool:
        for request in requested:
            remove_request(pod, request.id)
        return True

    put(found, _await=take_back)


def put(owner: type | ModuleType, **members: object) -> None:
    """Put something in place of members of a class or a module, which must have them."""
    for name, member in members.items():
        assert hasattr(owner, name), "the plant names what is not there any more"
        setattr(owner, name, member)


NEXT_VERSION = "the next version"
BUGS: Mapping[str, Callable[[], None]] = {
    "items are acknowledged before COMMIT": _answers_first,
    "the log is forgotten at opening": _forgets_the_log,
    "a retry is stored again": _stores("RETRY"),
    "a conflict is stored": _stores("CONFLICT"),
    "a snapshot leaves the log out": _copies_without_the_log,
    "an erasure is reported once it was asked for": _erases_in_words,
}
"""What a storm must find."""
PLANTS: Mapping[str, Callable[[], None]] = {NEXT_VERSION: _next_version, **BUGS}
