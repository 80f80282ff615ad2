"""`invite`: keys handed out, looked at and taken back."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from maintainer_tools.homes import changing, find_home
from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod, make_pod
from vault.errors import LockedError, StorageError
from vault.invites import issued_slots
from vault.links import Invite, format_invite, parse_invite
from vault.locks import Patience
from vault.policies import Policy, load_policy, signed_bytes
from vault.slots import lookup_of, open_slot


def _policy(pod: TestPod) -> Policy:
    """What a server would take: the strict pair."""
    return load_policy(pod.folder)


def test_new_writes_a_file_and_prints_its_link(pod: TestPod) -> None:
    """The transcript: one line of data, the rest is talk; the file is the holder's alone."""
    ended = succeed("invite", "new", "plants", "--name", "field-team")

    (link,) = ended.lines
    assert link.startswith("https://pod.example.org/#sp1.")
    assert Path("field-team.invite").read_text() == f"{link}\n"
    assert stat.S_IMODE(Path("field-team.invite").stat().st_mode) == 0o600
    assert "Wrote field-team.invite: no limits." in ended.err
    assert "invite revoke plants field-team" in ended.err
    assert link not in ended.err
    invite = parse_invite(link)
    policy = _policy(pod)
    slot = policy.slot_by_lookup[lookup_of(invite.database_key, policy.pod_id)]
    assert open_slot(slot, invite.database_key, policy.pod_id).number == invite.slot == 1


def test_limits_are_bound_into_the_slot(pod: TestPod) -> None:
    """What the command line says is what the server holds its holder to."""
    before_ms = time.time_ns() // 1_000_000
    succeed(
        *("invite", "new", "plants", "--name", "x", "--types", "Plant,Photo", "--expires", "30d"),
        *("--max-items", "500", "--max-bytes", "10M", "--max-item-bytes", "64k", "--rate", "100,1M"),
    )

    (slot,) = _policy(pod).slots
    assert slot.caveats is not None
    assert slot.caveats.types == ("Photo", "Plant")
    assert (slot.caveats.max_items, slot.caveats.max_bytes, slot.caveats.max_item_bytes) == (
        500,
        10 << 20,
        64 << 10,
    )
    assert slot.caveats.rate == (100, 1 << 20)
    assert slot.caveats.expires is not None
    assert 0 <= slot.caveats.expires - before_ms - 30 * 86_400_000 < 60_000


def test_json_gives_the_link_with_its_facts(pod: TestPod) -> None:
    """For a script that hands invites out."""
    found = succeed("invite", "new", pod.home, "--name", "x", "--json").json

    assert found["link"] == Path(found["file"]).read_text().strip()
    assert (found["name"], found["slot"], found["owner_key"]) == ("x", 1, pod.owner)


def test_a_url_can_be_given_and_must_be_known() -> None:
    """An invite to nowhere would only be found out by its holder."""
    make_pod(Path("plants"))

    none = run("invite", "new", "plants", "--name", "x")
    given = succeed("invite", "new", "plants", "--name", "x", "--url", "http://127.0.0.1:3030/")

    assert none.code == 2
    assert "no url yet" in none.err
    assert given.out.startswith("http://127.0.0.1:3030/#sp1.")


def test_holders_who_cannot_declare_are_mentioned(pod: TestPod) -> None:
    """Who declares is the pod's policy, whatever types an invite has: under `closed` the maintainer alone."""
    noted = []
    for number, policy in enumerate(("extend", "infer", "closed")):
        pod.policy = _policy(pod)
        pod.rewrite(policy=policy, more='url = "https://x.example"')
        limited = succeed("invite", "new", "plants", "--name", f"a{number}", "--types", "Plant")
        free = succeed("invite", "new", "plants", "--name", f"b{number}")
        noted += ["cannot declare properties" in ended.err for ended in (limited, free)]

    assert noted == [False, False, False, False, True, True]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--name", "../x"], 25, "invite name"),
        (["--name", ""], 25, "invite name"),
        (["--name", "x", "--expires", "2001-01-01"], 25, "in the future"),
        (["--name", "x", "--max-items", "0"], 25, "--max-items"),
        (["--name", "x", "--types", "a b"], 25, "--types"),
        (["--name", "x", "--rate", "1,2,3"], 25, "--rate"),
        (["--name", "x", "--url", "ftp://x"], 25, "url"),
        ([], 2, "--name"),
    ],
)
def test_a_wrong_option_issues_nothing(pod: TestPod, options: list[str], code: int, sentence: str) -> None:
    """No slot, no file, no new revision."""
    ended = run("invite", "new", "plants", *options)

    assert (ended.code, ended.raw) == (code, b"")
    assert sentence in ended.err
    assert _policy(pod).digest == pod.policy.digest
    assert os.listdir() == ["plants"]


def test_an_existing_file_is_not_overwritten(pod: TestPod) -> None:
    """It may be an invite that was not handed out yet; and a name is used once."""
    Path("x.invite").write_text("mine")

    ended = run("invite", "new", "plants", "--name", "x")

    assert ended.code == 26
    assert "x.invite exists already" in ended.err
    assert Path("x.invite").read_text() == "mine"
    assert _policy(pod).slots == ()


def test_a_name_is_used_once(pod: TestPod, invite: Invite) -> None:
    """Items are told apart by it, for ever; a revoked one included."""
    pod.revoke(invite)

    ended = run("invite", "new", "plants", "--name", "field-team")

    assert ended.code == 25
    assert "choose another name" in ended.err
    assert os.listdir() == ["plants"]


def test_a_policy_that_cannot_be_published_leaves_no_invite(pod: TestPod) -> None:
    """The file would be an invite that no server knows."""
    Path("plants/pod/pod.toml.new").mkdir()

    ended = run("invite", "new", "plants", "--name", "x")

    assert ended.code == 26
    assert os.listdir() == ["plants"]
    assert _policy(pod).slots == ()


def test_ls_shows_names_states_and_limits(pod: TestPod, invite: Invite) -> None:
    """For a program: one line an invite, tabs between; names are sealed, so it takes the identity."""
    pod.revoke(invite)
    pod.invite("old", expires=1_600_000_000_000)
    pod.invite("school", types=("Plant",), max_items=5)

    ended = succeed("invite", "ls", "plants")
    documents = succeed("invite", "ls", "plants", "--json").json

    assert ended.lines == [
        "field-team\t1\trevoked\tnone",
        "old\t2\texpired\tuntil 2020-09-13T12:26Z",
        "school\t3\topen\t5 items; types Plant",
    ]
    assert [(found["name"], found["state"]) for found in documents] == [
        ("field-team", "revoked"),
        ("old", "expired"),
        ("school", "open"),
    ]
    assert documents[2]["caveats"] == {"types": ["Plant"], "max_items": 5}


def test_ls_of_a_new_pod_says_there_are_none(pod: TestPod) -> None:
    """Silence would look like a failure."""
    ended = succeed("invite", "ls", pod.home)

    assert (ended.out, ended.err) == ("", "No invites yet.\n")


def test_show_tells_what_an_invite_is_for_but_not_its_key(pod: TestPod, invite: Invite) -> None:
    """It is run where others look on."""
    invite = msgspec.structs.replace(invite, url="https://pod.example.org")
    Path("x.invite").write_text(format_invite(invite) + "\n")
    key = invite.database_key.reveal().hex()

    shown = succeed("invite", "show", "x.invite")
    piped = succeed("invite", "show", "-", stdin=format_invite(invite))
    as_json = succeed("invite", "show", "x.invite", "--json")

    assert shown.out == piped.out
    assert ["name", "field-team"] in [line.split(maxsplit=1) for line in shown.lines]
    assert as_json.json["owner_key"] == pod.owner
    assert not any(key in text for text in (shown.out, shown.err, as_json.out))


def test_show_memri_gives_the_three_raw_values(pod: TestPod, invite: Invite) -> None:
    """What any Memri client asks for: address, owner key, database key."""
    invite = msgspec.structs.replace(invite, url="https://pod.example.org")
    Path("x.invite").write_text(format_invite(invite) + "\n")

    ended = succeed("invite", "show", "x.invite", "--memri", "--json")

    assert ended.json == {
        "url": invite.url,
        "owner_key": pod.owner,
        "database_key": invite.database_key.reveal().hex(),
    }


@pytest.mark.parametrize(
    ("content", "code"), [(b"https://x.example/#sp1.AAAA\n", 25), (b"", 25), (b"\xff\n", 25), (None, 10)]
)
def test_show_refuses_what_is_no_invite(content: bytes | None, code: int) -> None:
    """And quotes nothing of it: half an invite is a secret too."""
    if content is not None:
        Path("x.invite").write_bytes(content)

    ended = run("invite", "show", "x.invite")

    assert (ended.code, ended.raw) == (code, b"")
    assert "AAAA" not in ended.err


def test_a_refreshed_file_is_the_same_invite_with_todays_keys(pod: TestPod) -> None:
    """Its holder goes on with either link; nothing of the pod changes; each file stays its holder's alone."""
    for name in ("first", "second"):
        succeed("invite", "new", "plants", "--name", name)
    before = parse_invite(Path("first.invite").read_text())
    policy = _policy(pod)
    other = "https://elsewhere.example.org"
    ended = succeed("invite", "refresh", "plants", "first.invite", "second.invite", "--url", other)

    assert ended.lines == [Path(f"{name}.invite").read_text().strip() for name in ("first", "second")]
    assert stat.S_IMODE(Path("first.invite").stat().st_mode) == 0o600
    after = parse_invite(ended.lines[0])
    assert after == msgspec.structs.replace(before, url=other)
    assert "hand it out again" in ended.err
    assert ended.lines[0] not in ended.err
    assert _policy(pod).digest == policy.digest
    document = succeed("invite", "refresh", "plants", "first.invite", "--json").json
    assert (document["url"], document["link"]) == (other, ended.lines[0])


def test_an_invite_that_opens_nothing_is_left_as_it_is(pod: TestPod) -> None:
    """Revoked; or of another pod."""
    succeed("invite", "new", "plants", "--name", "first")
    succeed("invite", "revoke", "plants", "first")
    link = Path("first.invite").read_text()
    assert run("invite", "refresh", "plants", "first.invite").code == 24
    make_pod(Path("other"))
    assert run("invite", "refresh", "other", "first.invite").code == 13
    assert run("invite", "refresh", "plants", "nowhere.invite").code == 10
    assert Path("first.invite").read_text() == link
    assert _policy(pod).slots


def test_revoke_closes_the_slot_and_keeps_the_items(pod: TestPod, invite: Invite) -> None:
    """The wrap is gone from the folder a server reads; the items stay."""
    put(pod, invite, {"type": "Plant", "latinName": "Rosa"})

    first = succeed("invite", "revoke", "plants", "field-team")
    revision = _policy(pod).revision
    second = succeed("invite", "revoke", "plants", "field-team")

    assert first.err == "Revoked field-team. Items it sent stay in the pod.\n"
    assert second.err == "field-team was revoked before; nothing to do.\n"
    assert _policy(pod).revision == revision == pod.policy.revision + 1
    assert _policy(pod).slots[0].wrap is None
    assert "Rosa" in succeed("ls", "plants").out


def test_revoking_nobody_says_so(pod: TestPod, invite: Invite) -> None:
    """A typing error must not look like a revocation."""
    ended = run("invite", "revoke", "plants", "field-taem")

    assert ended.code == 10
    assert "no invite is named field-taem" in ended.err
    assert _policy(pod).slots[0].number == invite.slot


def test_an_edit_by_hand_comes_into_force_with_the_next_change(pod: TestPod, invite: Invite) -> None:
    """And the command says so: the edit may have been half done."""
    path = pod.folder.pod_toml
    path.write_text(path.read_text().replace("Test pod", "Renamed"))

    ended = succeed("invite", "new", "plants", "--name", "x")

    assert "edited by hand; the edit is signed with this change" in ended.err
    assert _policy(pod).config.name == parse_invite(ended.lines[0]).pod_name == "Renamed"
    assert _policy(pod).slots[0].number == invite.slot


def test_a_broken_edit_stops_the_change(pod: TestPod) -> None:
    """Nothing is signed that no server can read."""
    pod.folder.pod_toml.write_text(pod.folder.pod_toml.read_text() + "\npolicy = 1\n")

    ended = run("invite", "new", "plants", "--name", "x")

    assert ended.code == 25
    assert "pod.toml" in ended.err
    assert os.listdir() == ["plants"]


def test_a_policy_of_somebody_else_is_not_signed_on(pod: TestPod) -> None:
    """Someone replaced the pod in this home: signing would vouch for their slots."""
    other = make_pod(Path("other"))
    for name in ("pod.toml", "slots.json"):
        (pod.folder.path / name).write_bytes((other.folder.path / name).read_bytes())

    ended = run("invite", "new", "plants", "--name", "x", "--url", "https://x.example")

    assert ended.code == 24
    assert "never endorsed" in ended.err


def test_many_changes_at_once_all_count(pod: TestPod) -> None:
    """Two commands that read the same revision would each drop the other's invite."""
    names = [f"team-{number}" for number in range(5)]
    command = [sys.executable, "-m", "maintainer_tools", "invite", "new", "plants", "--name"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    started = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in names
    ]

    links = [json.dumps(child.communicate()[0].decode()) for child in started]

    assert [child.returncode for child in started] == [0] * len(names)
    assert len(set(links)) == len(names)
    policy = _policy(pod)
    assert sorted(issued.name for issued in issued_slots(policy, pod.keys.identity)) == names
    assert policy.revision == pod.policy.revision + len(names)


def test_a_pod_folder_alone_issues_nothing(pod: TestPod) -> None:
    """A server's folder has no identity: whoever takes it over invites nobody."""
    ended = run("invite", "new", pod.folder.path, "--name", "x")

    assert ended.code == 4
    assert "holds a pod but no identity" in ended.err


def test_a_change_gives_up_when_another_goes_on_and_on(pod: TestPod) -> None:
    """Someone stopped a command in the midst of a change; the next says what it waits for."""
    home = find_home(pod.home)
    now = itertools.count()
    impatient = Patience(3, lambda: float(next(now)), lambda _: None)

    with (
        changing(home, pod.keys.identity),
        pytest.raises(LockedError, match="another command is changing this pod"),
        changing(home, pod.keys.identity, impatient),
    ):
        pass


def test_an_identity_that_cannot_be_locked_is_an_error_of_ours(pod: TestPod) -> None:
    """Another command moved it away in between, or the disk failed; found by the fault sweep."""
    home = find_home(pod.home)
    home.identity_file.unlink()
    with (
        pytest.raises(StorageError, match="identity: the operating system refused"),
        changing(home, pod.keys.identity),
    ):
        pass


def test_an_invite_with_a_limit_of_a_later_version_is_shown_closed(pod: TestPod, invite: Invite) -> None:
    """A limit this version cannot hold anyone to closes the slot: the list says why."""
    signed = pod.folder.slots_json.read_bytes().partition(b',"policy":')[2].removesuffix(b"}\n")
    members = json.loads(signed)
    members["slots"][0]["caveats"]["later"] = 1
    signed = json.dumps(members).encode()
    signature = pod.keys.identity.sign(signed_bytes(pod.policy.pod_id, signed)).hex()
    signer = pod.keys.identity.signer.hex()
    pod.folder.slots_json.write_bytes(
        b'{"signature":"%s","signer":"%s","policy":%s}\n' % (signature.encode(), signer.encode(), signed)
    )

    assert succeed("invite", "ls", "plants").lines == [
        f"{invite.name}\t1\tclosed\ta limit this version does not know"
    ]
    assert succeed("invite", "ls", "plants", "--json").json[0]["caveats"] is None


def test_an_identity_that_is_a_folder_is_an_error_of_ours(pod: TestPod) -> None:
    """Not a traceback."""
    (pod.home / "identity").unlink()
    (pod.home / "identity").mkdir()

    assert run("invite", "ls", "plants").code == 26
