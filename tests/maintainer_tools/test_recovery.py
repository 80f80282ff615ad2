"""A lost laptop is survived with sheets of paper: `recovery make`, `recovery drill`, `recover --shares`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from maintainer_tools.drills import RECORD_FILE, read_record
from maintainer_tools.share_sheets import MAX_SHEET_BYTES, format_sheet, parse_sheet
from maintainer_tools.shares import split
from tests.support.maintaining import RECEIVED_MS, put, run, succeed
from tests.support.pods import TestPod, make_pod
from tests.support.terminal import shared_pod
from vault.links import Invite

SHEETS = [f"sheets/share-{number}-of-3.txt" for number in (1, 2, 3)]
MAKE = ("recovery", "make", "plants", "--shares", "3", "--needs", "2")


@pytest.fixture
def sheets(pod: TestPod) -> list[str]:
    """Three sheets of the pod's identity, two of which are needed."""
    del pod
    succeed(*MAKE, "--out", "sheets")
    return SHEETS


def _words(sheet: str) -> str:
    return " ".join(parse_sheet(Path(sheet).read_text()).share.words)


def _secrets_of(pod: TestPod, sheets: list[str]) -> Iterator[str]:
    yield pod.keys.identity.reveal().hex()
    yield pod.keys.file_key.reveal().hex()
    for sheet in sheets:
        words = _words(sheet).split()
        # Three in a row: one word alone stands in any sentence.
        yield from (" ".join(words[at : at + 3]) for at in range(2, len(words) - 2))


def test_a_lost_laptop_is_survived_with_two_of_three_sheets(pod: TestPod, invite: Invite) -> None:
    """The home is gone, with one of the sheets; a copy of the pod's folder is somewhere."""
    put(pod, invite, {"type": "Plant", "id": "rose-1", "latinName": "Rosa canina"}, {"type": "Plant"})
    succeed(*MAKE, "--out", "sheets")
    listed = succeed("ls", "plants").out
    exported = succeed("export", "plants", "-", "--format", "jsonl").raw
    shutil.copytree("plants/pod", "kept")
    shutil.rmtree("plants")
    Path(SHEETS[1]).unlink()

    ended = succeed("recover", "again", "--pod", "kept", "--shares", SHEETS[2], SHEETS[0])

    assert ended.raw == b""
    assert "Rosa canina" in listed
    assert succeed("ls", "again").out == listed
    assert succeed("export", "again", "-", "--format", "jsonl").raw == exported
    assert Path("again/identity").read_text() == pod.keys.identity.reveal().hex() + "\n"
    assert succeed("check", "again").err == "Checked 2 items in 1 batches.\n"


def test_sheets_are_private_and_say_what_they_are(pod: TestPod, sheets: list[str]) -> None:
    """One a file; each can be understood by whoever finds it."""
    assert sorted(os.listdir("sheets")) == [Path(sheet).name for sheet in sheets]
    assert Path("sheets").stat().st_mode & 0o777 == 0o700
    for number, sheet in enumerate(sheets, 1):
        text = Path(sheet).read_text()
        assert Path(sheet).stat().st_mode & 0o777 == 0o600
        assert "  pod     Test pod\n" in text
        assert pod.policy.pod_id.hex() in text
        assert re.search(r"  made    20[0-9]{2}-[0-9]{2}-[0-9]{2}\n", text)
        assert f"  share   {number} of 3; any 2 of them are needed\n" in text
        assert "shared-pod recover HOME --pod FOLDER --shares" in text
        assert max(map(len, text.splitlines())) <= 100
        assert pod.keys.identity.reveal().hex() not in text


def test_making_says_what_to_do_and_shows_no_secret(pod: TestPod) -> None:
    """What is said may be on a projector."""
    ended = succeed(*MAKE, "--out", "sheets", "--json")

    assert {**ended.json, "made_ms": 0} == {
        "message_type": "summary",
        "set": " ".join(_words(SHEETS[0]).split()[:2]),
        "shares": 3,
        "needs": 2,
        "made_ms": 0,
        "folder": "sheets",
    }
    assert "recovery drill plants" in ended.err
    assert not [secret for secret in _secrets_of(pod, SHEETS) if secret in ended.out + ended.err]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--shares", "2", "--needs", "3", "--out", "s"), "more are needed than are made"),
        (("--shares", "3", "--needs", "1", "--out", "s"), "2<=x<=16"),
        (("--shares", "17", "--needs", "2", "--out", "s"), "2<=x<=16"),
        (("--shares", "3", "--needs", "2"), "shown in a terminal only"),
        (("--shares", "3", "--needs", "2", "--out", "plants/pod/s"), "a server gets all of the pod's folder"),
    ],
)
def test_a_wrong_command_line_makes_nothing(pod: TestPod, arguments: tuple[str, ...], sentence: str) -> None:
    """Without a terminal the words would stand in some log."""
    ended = run("recovery", "make", pod.home, *arguments)

    assert (ended.code, ended.raw) == (2, b"")
    assert sentence in ended.err
    assert sorted(os.listdir()) == ["plants"]
    assert not (pod.home / RECORD_FILE).exists()
    assert not (pod.folder.path / "s").exists()


def test_sheets_overwrite_nothing(pod: TestPod, sheets: list[str]) -> None:
    """The folder may hold the only ones."""
    before = Path(sheets[0]).read_bytes()
    record = read_record(pod.home)

    ended = run(*MAKE, "--out", "sheets")

    assert ended.code == 26
    assert Path(sheets[0]).read_bytes() == before
    assert read_record(pod.home) == record


def test_a_drill_proves_that_shares_open_the_pod(pod: TestPod, invite: Invite, sheets: list[str]) -> None:
    """The identity at home is not needed for it; nothing of what it opens is shown."""
    put(pod, invite, {"type": "Plant", "latinName": "Rosa canina"})
    Path("plants/identity").unlink()

    ended = succeed("recovery", "drill", "plants", sheets[1], sheets[2])
    as_json = succeed("recovery", "drill", "plants", *sheets, "--json")

    assert ended.out == "ok\n"
    assert re.match(
        r'2 shares of the set "\w+ \w+" open the pod\'s key, a canary and the newest item\.', ended.err
    )
    assert as_json.json == {
        "message_type": "answer",
        "set": read_record(pod.home).set,
        "shares": 3,
        "has_opened_item": True,
    }
    assert "Rosa" not in ended.err + as_json.err
    assert not [secret for secret in _secrets_of(pod, sheets) if secret in ended.err + as_json.err]


def test_check_warns_until_a_drill_was_done(pod: TestPod) -> None:
    """Paper that nobody ever tried is a hope."""
    assert "no recovery shares were made" in succeed("check", "plants").err
    succeed(*MAKE, "--out", "sheets")
    assert "were never tried" in succeed("check", "plants").err
    made = read_record(pod.home)
    assert made.drilled_ms is None

    succeed("recovery", "drill", "plants", *SHEETS[:2])

    assert "warning" not in succeed("check", "plants").err
    assert msgspec.structs.replace(read_record(pod.home), drilled_ms=None) == made
    assert (pod.home / RECORD_FILE).stat().st_mode & 0o777 == 0o600

    succeed(*MAKE, "--out", "anew")
    assert "were never tried" in succeed("check", "plants").err


def test_a_drill_on_a_pods_folder_alone_notes_nothing(pod: TestPod, sheets: list[str]) -> None:
    """There is no home to note it in."""
    succeed("snapshot", "plants", "saved")

    succeed("recovery", "drill", "saved", *sheets)

    assert not Path("saved", RECORD_FILE).exists()
    assert read_record(pod.home).drilled_ms is None


def test_a_drill_that_fails_notes_nothing(pod: TestPod, sheets: list[str]) -> None:
    """One share is too few, and says so."""
    ended = run("recovery", "drill", "plants", sheets[0])

    assert (ended.code, ended.raw) == (4, b"")
    assert "2 shares of the set are needed, 1 given" in ended.err
    assert read_record(pod.home).drilled_ms is None


def test_one_share_recovers_nothing(pod: TestPod, sheets: list[str]) -> None:
    """And leaves nothing behind."""
    ended = run("recover", "again", "--pod", pod.folder.path, "--shares", sheets[0])

    assert ended.code == 4
    assert not Path("again").exists()


def test_the_same_share_twice_is_one(pod: TestPod, sheets: list[str]) -> None:
    """Two copies of one sheet."""
    ended = run("recovery", "drill", pod.home, sheets[0], sheets[0])

    assert ended.code == 25
    assert f"{sheets[0]}: share 1 was given twice" in ended.err


def test_sheets_of_two_sets_or_pods_are_not_mixed(pod: TestPod, sheets: list[str]) -> None:
    """A drawer holds more than one set; the sentence says which file."""
    make_pod(Path("other"))
    succeed("recovery", "make", "other", "--shares", "3", "--needs", "2", "--out", "others")
    succeed(*MAKE, "--out", "anew")

    mixed = run("recovery", "drill", pod.home, sheets[0], "anew/share-2-of-3.txt")
    foreign = run("recovery", "drill", pod.home, sheets[0], "others/share-2-of-3.txt")

    assert mixed.code == 25
    assert "anew/share-2-of-3.txt: shares of two sets do not go together" in mixed.err
    assert foreign.code == 13
    assert "others/share-2-of-3.txt: this share is of another pod" in foreign.err


def test_words_of_another_pod_open_nothing_here(pod: TestPod) -> None:
    """Words alone name no pod; what they make does not fit."""
    make_pod(Path("other"))
    succeed("recovery", "make", "other", "--shares", "2", "--needs", "2", "--out", "others")
    words = [_words(f"others/share-{number}-of-2.txt") for number in (1, 2)]

    ended = run("recover", "again", "--pod", pod.home, "--shares", stdin="\n".join(words) + "\n")

    assert ended.code == 12
    assert "they are of another pod, or of an identity it had before" in ended.err
    assert not Path("again").exists()


def test_sheets_of_an_identity_that_was_replaced_say_so(pod: TestPod, sheets: list[str]) -> None:
    """The paper does not know; `check` does. A copy of that day still opens, and new sheets do."""
    succeed("recovery", "drill", "plants", *sheets)
    succeed("snapshot", "plants", "earlier")
    succeed("rotate", "plants", "--identity")

    ended = run("recovery", "drill", pod.home, *sheets)
    checked = succeed("check", "plants")

    assert ended.code == 12
    assert "they are of an identity this pod had before" in ended.err
    assert "are of an earlier identity; make new ones by `recovery make`" in checked.err
    succeed("recover", "again", "--pod", "earlier", "--shares", *sheets[:2])
    succeed(*MAKE, "--out", "anew")
    assert (
        succeed("recovery", "drill", "plants", "anew/share-1-of-3.txt", "anew/share-3-of-3.txt").out == "ok\n"
    )
    assert "warning" not in succeed("check", "plants").err


def test_words_come_from_standard_input_a_share_a_line(pod: TestPod, sheets: list[str]) -> None:
    """The passphrase of the new home after them."""
    lines = [_words(sheets[2]).upper(), _words(sheets[0]), "new one"]

    succeed("recover", "again", "--pod", pod.home, "--shares", "--passphrase", stdin="\n".join(lines) + "\n")

    assert succeed("identity", "print", "again", stdin="new one\n").out.strip() == (
        pod.keys.identity.reveal().hex()
    )


def test_a_typing_error_is_found_before_the_next_share_is_asked_for(pod: TestPod, sheets: list[str]) -> None:
    """It is not repeated on the screen."""
    words = _words(sheets[0]).split()
    words[20] = "wrongest"

    ended = run("recovery", "drill", pod.home, stdin=f"{' '.join(words)}\n{_words(sheets[1])}\n")

    assert ended.code == 25
    assert "word 21 is not one of the list" in ended.err
    assert "Share 2" not in ended.err
    assert "wrongest" not in ended.err


def test_shares_bring_the_identity_back_in_place(pod: TestPod, sheets: list[str]) -> None:
    """Only the identity was lost; that they did is as good as a drill."""
    Path("plants/identity").unlink()

    succeed("recover", "plants", "--pod", "plants/pod", "--shares", *sheets[1:])

    assert Path("plants/identity").read_text() == pod.keys.identity.reveal().hex() + "\n"
    assert "warning" not in succeed("check", "plants").err


def test_files_need_the_option(pod: TestPod, sheets: list[str]) -> None:
    """A file that is not looked at would leave its owner wondering."""
    ended = run("recover", "again", sheets[0], "--pod", pod.home)

    assert ended.code == 2
    assert "put --shares before them" in ended.err


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        (b"", 25, "0 words were found"),
        (b"\xff\xfe", 25, "in UTF-8 were expected"),
        (b"x" * (MAX_SHEET_BYTES + 1), 25, "larger than"),
        (b"shared-pod recovery share, version 2\n\nnobody knows\n", 14, "of a later version"),
        (
            b"shared-pod recovery share, version 1\n\n 1 academic 2 acid\n",
            25,
            "33 words, each with its number",
        ),
    ],
)
def test_a_file_that_is_no_sheet_is_refused_by_name(
    pod: TestPod, content: bytes, code: int, sentence: str
) -> None:
    """Whatever lies beside the sheets."""
    Path("some").write_bytes(content)

    ended = run("recovery", "drill", pod.home, "some")

    assert ended.code == code
    assert "some" in ended.err
    assert sentence in ended.err


def test_sheets_in_one_file_are_told_apart(pod: TestPod, sheets: list[str]) -> None:
    """`cat` joined them: neither is guessed at."""
    Path("both").write_text("".join(Path(sheet).read_text() for sheet in sheets[:2]))

    ended = run("recovery", "drill", pod.home, "both")

    assert ended.code == 25
    assert "one share on a sheet was expected" in ended.err


def test_a_sheet_may_be_copied_by_hand(sheets: list[str]) -> None:
    """Without the sentences and the pod; indented as an editor likes it."""
    text = Path(sheets[0]).read_text()
    rows = "\n".join(line for line in text.splitlines() if re.match(r" *[0-9]+ [a-z]", line))

    copied = parse_sheet(f"  shared-pod recovery share, version 1\r\n{rows}\n")

    assert copied.share == parse_sheet(text).share
    assert copied.pod_id is None


def test_a_pods_name_cannot_pass_for_words() -> None:
    """It stands behind its own word, on one line."""
    pod = make_pod(Path("plants"), entropy=os.urandom)
    evil = msgspec.structs.replace(pod.policy.config, name="x\n 1 academic\npod id  " + "0" * 64 + "\x1b[2J")
    policy = msgspec.structs.replace(pod.policy, config=evil)
    (share, _) = split(pod.keys.identity, shares=2, needs=2)

    text = format_sheet(share, policy=policy, shares=2, made_ms=RECEIVED_MS)

    assert "\x1b" not in text
    assert parse_sheet(text).share == share
    assert parse_sheet(text).pod_id == pod.policy.pod_id


def test_in_a_terminal_sheets_are_shown_one_at_a_time(pod: TestPod, tmp_path: Path) -> None:
    """Nothing reaches the disk."""
    terminal = shared_pod(*MAKE, cwd=tmp_path)
    for number in (1, 2, 3):
        terminal.expect(f"share   {number} of 3")
        terminal.expect(f"Share {number} of 3. Enter when it is written down")
        terminal.enter("\n")
    terminal.expect("What a terminal showed may stay in its memory")

    assert terminal.end() == 0
    assert sorted(os.listdir(tmp_path)) == ["plants"]
    assert sorted(os.listdir(pod.home)) == ["identity", "pod", RECORD_FILE]


def test_in_a_terminal_a_mistyped_share_is_typed_again(
    pod: TestPod, sheets: list[str], tmp_path: Path
) -> None:
    """Unseen; the error says which word."""
    first, second = _words(sheets[0]), _words(sheets[1])
    terminal = shared_pod("recovery", "drill", "plants", cwd=tmp_path)

    terminal.expect("Share 1, its 33 words: ")
    terminal.enter(f"{first} academic\n")
    terminal.expect("34 words were found")
    terminal.expect("Share 1, its 33 words: ")
    terminal.enter(f"{first}\n")
    terminal.expect("Share 2 of 2, its 33 words: ")
    terminal.enter(f"{second}\n")
    terminal.expect("ok")

    assert terminal.end() == 0
    assert not [secret for secret in _secrets_of(pod, sheets) if secret in terminal.screen]
