"""Invites: one link that is whole, or said to be broken without being quoted."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import DatabaseKey, OwnerKey
from vault.links import MARK, Invite, check_slot_name, format_invite, parse_invite

raw_keys = st.binary(min_size=32, max_size=32)
type_names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,8}\Z")
invites = st.builds(
    Invite,
    url=st.sampled_from(["https://plants.example.org", "http://localhost:3030/a", "http://[::1]"]),
    owner_key=raw_keys.map(OwnerKey),
    database_key=raw_keys.map(DatabaseKey),
    slot=st.integers(0, 2**32 - 1),
    log_keys=st.lists(raw_keys, max_size=3).map(tuple),
    signer=raw_keys,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"),
    pod_name=st.text(max_size=200),
    expires=st.none() | st.integers(1, 2**63 - 1),
    types=st.none() | st.sets(type_names, min_size=1, max_size=4).map(lambda found: tuple(sorted(found))),
    function_keys=st.lists(raw_keys, max_size=2).map(tuple),
)
INVITE = Invite(
    url="https://plants.example.org",
    owner_key=world.OWNER_KEY,
    database_key=world.KEYS[1],
    slot=1,
    log_keys=(world.LOG_KEY.public,),
    signer=world.IDENTITY.signer,
    name="field-team",
    pod_name="Street plants",
)


@given(invite=invites)
def test_a_link_is_read_as_it_was_formatted(invite: Invite) -> None:
    """As text, and as the line of a file."""
    link = format_invite(invite)
    assert parse_invite(link) == invite
    assert parse_invite(f"{link}\n") == invite
    assert link.startswith(f"{invite.url}/{MARK}")


@given(invite=invites)
def test_the_secret_stands_in_the_fragment_only(invite: Invite) -> None:
    """What precedes # is sent to servers and logged by proxies."""
    address, _, fragment = format_invite(invite).partition("#")
    assert "?" not in address
    packed = base64.urlsafe_b64decode(fragment.removeprefix("sp1.") + "==")
    assert invite.database_key.reveal() in packed


@given(
    text=st.text()
    | st.binary().map(
        lambda raw: f"https://host/{MARK}" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    )
)
def test_any_text_gives_an_invite_or_our_error(text: str) -> None:
    """People paste anything."""
    with pytest.raises((MalformedError, FormatTooNewError)):
        parse_invite(text)


@given(at=st.integers(0, 10_000), letter=st.characters(codec="ascii"))
def test_a_mistyped_link_is_refused_or_another_invite(at: int, letter: str) -> None:
    """Two links are never one invite, but for slashes and white space around the address."""
    link = format_invite(INVITE)
    at %= len(link)
    changed = link[:at] + letter + link[at + 1 :]
    try:
        found = parse_invite(changed)
    except (MalformedError, FormatTooNewError):
        return
    assert found != INVITE or changed.strip().replace("//#", "/#") == link


@given(kept=st.integers(0, 10_000))
def test_a_link_that_was_cut_is_refused(kept: int) -> None:
    """As a mail program cuts it."""
    link = format_invite(INVITE)
    with pytest.raises(MalformedError):
        parse_invite(link[: kept % len(link)])


@given(text=st.sampled_from(["{}x", "x{}", "{}=", "{}\n{}"]))
def test_a_refusal_never_quotes_the_link(text: str) -> None:
    """It holds the database key."""
    link = format_invite(INVITE)
    try:
        parse_invite(text.format(link, link))
    except MalformedError as exc:
        sentence = str(exc)
    else:
        sentence = ""
    assert link.partition(MARK)[2][:12] not in sentence


def test_an_invite_does_not_show_its_key() -> None:
    """In a log or a traceback."""
    assert "**redacted**" in repr(INVITE)
    assert world.KEYS[1].reveal().hex() not in repr(INVITE)


@pytest.mark.parametrize("name", ["a", "field-team", "2024.spring", "A_b-c.D", "x" * 64])
def test_a_name_that_can_be_a_files_is_taken(name: str) -> None:
    """It becomes field-team.invite."""
    assert check_slot_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "_x", "a/b", "a b", "x" * 65, "a\n", "\u00e4", "a\0"])
def test_a_name_that_cannot_is_refused(name: str) -> None:
    """No option, no hidden file, no path."""
    with pytest.raises(MalformedError, match="invite name"):
        check_slot_name(name)


def test_a_label_before_the_mark_is_part_of_the_address() -> None:
    """The first mark counts."""
    link = format_invite(msgspec.structs.replace(INVITE, url="https://host"))
    with pytest.raises(MalformedError, match="letters that no invite holds"):
        parse_invite("https://host/#sp1." + link)
