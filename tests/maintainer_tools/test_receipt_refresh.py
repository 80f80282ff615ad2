"""The command `receipt refresh`, and the contributor who gets the file back."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.maintaining import Ended, run, succeed
from tests.support.receipts import PAYLOAD, Kept, keep


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A contributor's files, and the pod they are from."""
    return keep(tmp_path)


def _refresh(kept: Kept, *files: str | Path) -> Ended:
    return run("receipt", "refresh", kept.pod.home, *files)


def _verify(kept: Kept, file: Path, *more: str | Path) -> Ended:
    invite, item = kept.invite_file(), kept.file("item.json", PAYLOAD)
    return run("receipt", "verify", file, "--invite", invite, "--item", item, *more)


def test_a_receipt_goes_to_the_maintainer_and_comes_back_longer(kept: Kept) -> None:
    """The contributor sees that the log only grew since the copy they kept."""
    mine, lent = kept.file("mine", kept.header), kept.file("lent", kept.header)
    kept.log("a", "b", "c")
    ended = _refresh(kept, lent)
    assert (ended.code, ended.out) == (0, "")
    assert "lent: reaches the log of 7 batches now" in ended.err
    verified = _verify(kept, lent, "--since", mine)
    assert verified.code == 0
    assert [line.split()[:3] for line in verified.lines[-2:]] == [
        ["log", "3", "batches,"],
        ["later", "7", "batches,"],
    ]
    assert [each["size"] for each in json.loads(_verify(kept, lent, "--json").out)["log"]] == [3, 7]
    assert lent.stat().st_mode & 0o777 == 0o600


def test_refreshing_again_adds_a_line_and_changes_none(kept: Kept) -> None:
    """With nothing new it changes nothing at all."""
    lent = kept.file("lent", f"shared-pod-receipt/v1 note-b1\n{kept.header}\n")
    grown = [lent.read_bytes()]
    for _ in range(3):
        assert _refresh(kept, lent).code == 0
        grown.append(lent.read_bytes())
        assert "reaches the newest of" in _refresh(kept, lent).err
        assert lent.read_bytes() == grown[-1]
        kept.log("more")
    assert [content.count(b"\n") for content in grown] == [2, 3, 4, 5]
    assert all(after.startswith(before) for before, after in pairwise(grown))
    assert _verify(kept, lent).code == 0


def test_a_file_that_does_not_continue_the_kept_one_is_a_rollback(kept: Kept) -> None:
    """Each of them holds; together they are evidence."""
    mine = kept.file("mine", kept.header)
    assert _refresh(kept, mine).code == 0
    swapped = kept.file("swapped", kept.header)
    kept.log("more")
    assert _refresh(kept, swapped).code == 0
    ended = _verify(kept, swapped, "--since", mine)
    assert (ended.code, "does not continue the earlier one" in ended.out) == (22, True)
    assert _verify(kept, swapped, "--since", kept.file("no", "receipt")).code == 25


def test_standard_input_is_refreshed_to_standard_output(kept: Kept) -> None:
    """For one that came by mail."""
    ended = run("receipt", "refresh", kept.pod.home, "-", stdin=kept.header)
    assert ended.code == 0
    assert _verify(kept, kept.file("new", ended.raw)).code == 0
    for others in (["-", "-"], ["-", "--json"]):
        assert run("receipt", "refresh", kept.pod.home, *others, stdin=kept.header).code == 2


def test_programs_get_a_line_a_file(kept: Kept) -> None:
    """In the order of the files."""
    files = [kept.file(name, kept.header) for name in ("one", "two")]
    ended = _refresh(kept, *files, "--json")
    assert [json.loads(line) for line in ended.lines] == [
        {"message_type": "refreshed", "file": str(file), "size": 4, "is_changed": True} for file in files
    ]
    assert json.loads(_refresh(kept, files[0], "--json").out)["is_changed"] is False


def test_nothing_is_written_unless_all_of_them_hold(kept: Kept) -> None:
    """The one at fault is named."""
    good = kept.file("good", kept.header)
    for name, content, code in [
        ("bad\x1b[2J", "no receipt", 25),
        ("large", "A" * (1 << 20) + "A", 25),
        ("later", "shared-pod-receipt/v2 x\n", 14),
    ]:
        bad = kept.file(name, content)
        ended = _refresh(kept, good, bad)
        assert ended.code == code
        assert bad.name.replace("\x1b", r"\x1b") in ended.err
        assert "\x1b" not in ended.err
        assert good.read_text() == kept.header
        assert bad.read_text() == content
    assert _refresh(kept, kept.folder / "nothing").code == 2
    assert run("receipt", "refresh", kept.pod.home, "-", stdin="A" * (1 << 21)).code == 25


def test_another_pods_receipt_is_named(kept: Kept, tmp_path: Path) -> None:
    """With the exit code that says so."""
    (tmp_path / "other").mkdir()
    other = keep(tmp_path / "other", seed=2)
    ended = _refresh(other, kept.file("lent", kept.header))
    assert (ended.code, "lent: " in ended.err) == (13, True)


def test_a_contributor_sees_all_three_commands() -> None:
    """Under one name."""
    assert {line.split()[0] for line in succeed("receipt", "--help").lines if line.startswith("  ")} >= {
        "show",
        "verify",
        "refresh",
    }
