"""`schema`: what items may hold, declared, learned, and edited by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod, make_pod
from vault.links import Invite
from vault.pod import PodConfig
from vault.policies import load_policy
from vault.properties import ValueType

CSV = "Height (cm),Name,when\n120,Rosa,2007-11-11\nNA,Malva,2007-11-12\n"


@pytest.fixture(autouse=True)
def _file() -> None:
    Path("t.csv").write_text(CSV)


def _config(pod: TestPod) -> PodConfig:
    return load_policy(pod.folder).config


def test_show_merges_what_everybody_declared(pod: TestPod, invite: Invite) -> None:
    """The maintainer's first, then the slots'; who said what, and what it comes to."""
    pod.rewrite(policy="infer", more='[properties]\nname = {type = "Text", label = "Name"}\n')
    school = pod.invite("school")
    put(pod, invite, {"type": "A", "size": 1})
    put(pod, school, {"type": "A", "size": 1.5})

    ended = succeed("schema", "show", "plants")
    documents = succeed("schema", "show", "plants", "--json").json

    assert ended.lines == [
        "name\tText\tName\tpod.toml",
        "size\tReal\t\tfield-team as Integer, school as Real",
    ]
    assert documents[1] == {
        "name": "size",
        "type": "Real",
        "label": None,
        "declared": {"field-team": "Integer", "school": "Real"},
        "is_conflict": True,
    }


def test_show_of_a_new_pod_says_there_is_nothing() -> None:
    """And what to do about it."""
    make_pod(Path("plants"))

    ended = succeed("schema", "show", "plants")

    assert ended.out == ""
    assert "No property is declared yet" in ended.err


def test_add_declares_for_every_invite(pod: TestPod) -> None:
    """One signed revision; the comment in pod.toml stays."""
    pod.folder.pod_toml.write_bytes(pod.folder.pod_toml.read_bytes() + b"# mine\n")
    succeed("schema", "apply", "plants")

    ended = succeed("schema", "add", "plants", "leafCount", "Integer", "--label", "Leaves")

    assert (ended.out, ended.err) == ("", "Declared leafCount as Integer.\n")
    assert _config(pod).properties["leafCount"] is ValueType.INTEGER
    assert _config(pod).labels["leafCount"] == "Leaves"
    assert b"# mine" in pod.folder.pod_toml.read_bytes()
    assert load_policy(pod.folder).revision == pod.policy.revision + 2


@pytest.mark.parametrize(
    ("arguments", "label"),
    [(["edible", "Bool"], None), (["heightCm", "Real"], "Height (cm)"), (["sha256", "Text"], None)],
)
def test_adding_what_is_declared_changes_nothing(
    pod: TestPod, arguments: list[str], label: str | None
) -> None:
    """Run twice, a script does the same as once."""
    ended = succeed("schema", "add", "plants", *arguments)

    assert "declared so already" in ended.err
    assert load_policy(pod.folder).digest == pod.policy.digest
    assert _config(pod).labels.get(arguments[0]) == label


def test_a_label_can_be_given_later(pod: TestPod) -> None:
    """Labels are for people, and may change; types may not."""
    succeed("schema", "add", "plants", "edible", "Bool", "--label", "Can be eaten")
    succeed("schema", "add", "plants", "heightCm", "Real", "--label", "Height")

    assert _config(pod).labels["edible"] == "Can be eaten"
    assert _config(pod).labels["heightCm"] == "Height"
    assert _config(pod).properties == pod.policy.config.properties


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["heightCm", "Text"], 2, "heightCm is Real already"),
        (["sha256", "Integer"], 2, "sha256 is Text already"),
        (["leafCount", "int"], 2, "'int' is not one of"),
        (["id", "Text"], 25, "reserved"),
        (["leaf count", "Text"], 25, "letters, digits and underscores"),
    ],
)
def test_what_cannot_be_declared_is_refused(
    pod: TestPod, arguments: list[str], code: int, sentence: str
) -> None:
    """Another type for a name would make stored items wrong."""
    ended = run("schema", "add", "plants", *arguments)

    assert ended.code == code
    assert sentence in ended.err
    assert load_policy(pod.folder).digest == pod.policy.digest


def test_learn_proposes_and_declares() -> None:
    """The transcript: a table as data, and one signed revision."""
    pod = make_pod(Path("plants"))

    ended = succeed("schema", "learn", "plants", "t.csv", "--yes")

    assert ended.lines == [
        "heightCm\tInteger\tnew\tHeight (cm)",
        "name\tText\tnew\tName",
        "when\tDateTime\tnew\twhen",
    ]
    assert ended.err == "Declared 3 properties.\n"
    assert list(_config(pod).properties) == ["heightCm", "name", "when"]
    assert _config(pod).labels == {"heightCm": "Height (cm)", "name": "Name"}
    assert load_policy(pod.folder).revision == pod.policy.revision + 1


def test_learning_again_changes_nothing() -> None:
    """Nor does it take away what was edited since."""
    pod = make_pod(Path("plants"))
    succeed("schema", "learn", "plants", "t.csv", "--yes")
    before = pod.folder.slots_json.read_bytes()

    ended = succeed("schema", "learn", "plants", "t.csv", "--json")

    assert {found["state"] for found in ended.json} == {"declared"}
    assert "nothing to do" in ended.err
    assert pod.folder.slots_json.read_bytes() == before


def test_what_is_declared_otherwise_stays_and_is_shown(pod: TestPod) -> None:
    """heightCm is Real in this pod; the file alone would say Integer."""
    ended = succeed("schema", "learn", "plants", "t.csv", "--yes")

    assert ended.lines[0] == "heightCm\tInteger\tdeclared as Real\tHeight (cm)"
    assert _config(pod).properties["heightCm"] is ValueType.REAL
    assert "name" in _config(pod).properties


def test_a_missing_label_is_learned(pod: TestPod) -> None:
    """Declared by hand without one; the file has the header people know."""
    Path("t.csv").write_text("Edible,count\ntrue,1\n")

    succeed("schema", "learn", "plants", "t.csv", "--yes")

    assert _config(pod).labels["edible"] == "Edible"
    assert "count" not in _config(pod).labels


def test_nobody_is_asked_where_nobody_is(pod: TestPod) -> None:
    """A script that forgot --yes must fail, not wait or go on."""
    ended = run("schema", "learn", "plants", "t.csv", stdin="y\n")

    assert ended.code == 2
    assert "pass --yes" in ended.err
    assert load_policy(pod.folder).digest == pod.policy.digest


@pytest.mark.parametrize(
    ("content", "options", "code", "sentence"),
    [
        ("a,b\n1\n", [], 25, "row 2: 2 cells were expected"),
        ("a;b\n1;2\n", [], 25, "pass it as --delimiter"),
        (CSV, ["--delimiter", ";;"], 2, "one character was expected"),
        (None, [], 10, "t.csv does not exist"),
    ],
)
def test_what_is_no_table_declares_nothing(
    pod: TestPod, content: str | None, options: list[str], code: int, sentence: str
) -> None:
    """Each mistake has its sentence."""
    Path("t.csv").unlink()
    if content is not None:
        Path("t.csv").write_text(content)

    ended = run("schema", "learn", "plants", "t.csv", "--yes", *options)

    assert (ended.code, ended.raw) == (code, b"")
    assert sentence in ended.err
    assert load_policy(pod.folder).digest == pod.policy.digest


def test_delimiter_and_missing_cells_can_be_named() -> None:
    """Half of Europe writes a semicolon."""
    pod = make_pod(Path("plants"))
    Path("t.csv").write_text("a;b\n1;-\n2;5\n")

    succeed("schema", "learn", "plants", "t.csv", "--yes", "--delimiter", ";", "--missing", "-")

    assert _config(pod).properties == {"a": ValueType.INTEGER, "b": ValueType.INTEGER}


def test_apply_signs_an_edit_by_hand(pod: TestPod) -> None:
    """Until then the pair is none, and a server keeps the old one."""
    path = pod.folder.pod_toml
    path.write_text(path.read_text().replace("Test pod", "Renamed"))

    ended = succeed("schema", "apply", "plants")
    again = succeed("schema", "apply", "plants")

    assert "in force now" in ended.err
    assert "signed as it stands; nothing to do" in again.err
    assert _config(pod).name == "Renamed"


def test_reading_mentions_an_edit_that_is_not_signed(pod: TestPod) -> None:
    """The server goes by another pod.toml than the one people look at."""
    path = pod.folder.pod_toml
    path.write_text(path.read_text() + "# edited\n")

    ended = succeed("ls", "plants")

    assert "warning: pod.toml was edited by hand" in ended.err


def test_an_invalid_edit_changes_nothing(pod: TestPod) -> None:
    """It names the member at fault."""
    path = pod.folder.pod_toml
    path.write_text(path.read_text().replace('"Real"', '"real"'))
    signed = pod.folder.slots_json.read_bytes()

    ended = run("schema", "apply", "plants")

    assert ended.code == 25
    assert "properties.heightCm" in ended.err
    assert pod.folder.slots_json.read_bytes() == signed
    assert not [name for name in os.listdir("plants/pod") if name.endswith(".new")]
