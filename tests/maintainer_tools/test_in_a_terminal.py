"""What a person sees who sits in front of it: prompts without echo, tables that fit, questions."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.functions import lay, new_function
from tests.support.functions import put as put_deposits
from tests.support.maintaining import put, succeed
from tests.support.pods import TestPod, make_pod
from tests.support.terminal import shared_pod
from vault.identity_file import read_identity
from vault.links import Invite
from vault.objects import object_key
from vault.policies import load_policy

PHRASE = "correct horse"


def test_a_new_passphrase_is_asked_twice_and_never_shown(tmp_path: Path) -> None:
    """A typing error in it would lose everything; a screen has many readers."""
    terminal = shared_pod("init", "plants", "--passphrase", cwd=tmp_path)

    terminal.expect("New passphrase: ")
    terminal.enter(f"{PHRASE}\n")
    terminal.expect("Repeat for confirmation: ")
    terminal.enter(f"{PHRASE} no\n")
    terminal.expect("do not match")
    terminal.expect("New passphrase: ")
    terminal.enter(f"{PHRASE}\n")
    terminal.expect("Repeat for confirmation: ")
    terminal.enter(f"{PHRASE}\n")

    assert terminal.end() == 0
    assert PHRASE not in terminal.screen
    read_identity(tmp_path / "plants" / "identity", lambda: PHRASE)


def test_ctrl_c_at_a_prompt_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    """As every shell expects; and no half a home."""
    terminal = shared_pod("init", "plants", "--passphrase", cwd=tmp_path)

    terminal.expect("New passphrase: ")
    terminal.enter("\x03")

    assert terminal.end() == 130
    assert "interrupted" in terminal.screen
    assert list(tmp_path.iterdir()) == []


def test_digits_are_typed_unseen(pod: TestPod, tmp_path: Path) -> None:
    """They open everything."""
    digits = pod.keys.identity.reveal().hex()
    terminal = shared_pod("identity", "check", "plants", cwd=tmp_path)

    terminal.expect("The 64 digits of the identity: ")
    terminal.enter(f"{digits}\n")
    terminal.expect("yes")

    assert terminal.end() == 0
    assert digits not in terminal.screen


def test_learning_asks_and_no_means_no(tmp_path: Path) -> None:
    """A proposal is a question."""
    pod = make_pod(Path("plants"))
    Path("t.csv").write_text("Height (cm)\n120\n")
    refused = shared_pod("schema", "learn", "plants", "t.csv", cwd=tmp_path)
    refused.expect("Declare 1 properties? [y/N]")
    refused.enter("n\n")
    refused.expect("Nothing was changed.")

    agreed = shared_pod("schema", "learn", "plants", "t.csv", cwd=tmp_path)
    agreed.expect("NAME      TYPE     STATE  HEADER")
    agreed.expect("[y/N]")
    agreed.enter("y\n")
    agreed.expect("Declared 1 properties.")

    assert (refused.end(), agreed.end()) == (1, 0)
    assert list(load_policy(pod.folder).config.properties) == ["heightCm"]


def test_a_list_fits_the_screen(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """Headers, short ids, few words for the time, and no line that wraps."""
    put(pod, invite, {"type": "Plant", "id": "0123456789abcdef0123456789abcdef", "latinName": "Rosa " * 50})
    put(pod, invite, {"type": "Plant", "id": "rose-1", "latinName": "ローザ " * 50})
    terminal = shared_pod("ls", "plants", cwd=tmp_path)

    assert terminal.end() == 0
    header, second, first = terminal.screen.splitlines()
    assert header.split() == ["ID", "TYPE", "RECEIVED", "SUMMARY"]
    assert second.startswith("field-team/rose-1      Plant")
    assert first.startswith("field-team/..89abcdef  Plant")
    assert len(first) == 80
    assert succeed("show", "plants", "89abcdef").code == 0


def test_checking_shows_how_far_it_is(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """A bar on stderr that is gone when all is done; the answer is data."""
    put(pod, invite, {"type": "Plant"})
    terminal = shared_pod("check", "plants", cwd=tmp_path)

    assert terminal.end() == 0
    lines = terminal.screen.splitlines()
    assert "ok" in lines
    assert [line for line in lines if line.startswith("Checking")] == []


def test_collecting_shows_how_far_it_is_and_findings_stand_in_lines_of_their_own(tmp_path: Path) -> None:
    """A bar in the last line of the screen, gone at the end; what is not taken is not glued to it."""
    pod = make_pod(tmp_path / "plants", policy="infer")
    function, slot, store = new_function(pod, tmp_path / "scratch"), pod.slot(), tmp_path / "store"
    for number in range(30):
        put_deposits(store, function.send(slot, id=f"item-{number}", text="x"))
    for number in range(3):
        lay(store, object_key(pod.policy.pod_id, bytes([number] * 22)), b"x")
    terminal = shared_pod("collect", "plants", "--from", "store", cwd=tmp_path, kind="xterm")

    assert terminal.end() == 3
    assert "33/33" in terminal.screen
    shown = re.split(r"\r\n|\x1b\[2K", re.sub(r"\x1b\[[0-9;?]*[A-JL-Za-z]", "", terminal.screen))
    assert sum(line.startswith("malformed      v1/") for line in shown) == 3
    assert "Collected 30 items; 0 were here before." in shown
    assert not any("Collecting" in line and "malformed" in line for line in shown)


def test_erasing_shows_what_goes_and_no_means_no(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """It is for good: the person sees the items, as many as fit, and how many more."""
    put(pod, invite, *({"type": "Plant", "id": f"plant-{number:02}"} for number in range(25)))
    refused = shared_pod("erase", "plants", "--from", "field-team", cwd=tmp_path)
    refused.expect("field-team/plant-19")
    refused.expect("... and 5 more.")
    refused.expect("Erase 25 items for good? [y/N]")
    refused.enter("n\n")
    refused.expect("Nothing was erased.")

    agreed = shared_pod("erase", "plants", "plant-07", cwd=tmp_path)
    agreed.expect("Erase 1 item for good? [y/N]")
    agreed.enter("y\n")
    agreed.expect("Erased 1 item.")

    assert (refused.end(), agreed.end()) == (1, 0)
    assert len(succeed("ls", "plants", "--json").lines) == 20
    assert succeed("ls", "plants", "--limit", "30").out.count("Plant") == 24
