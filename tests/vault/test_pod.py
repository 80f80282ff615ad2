"""pod.toml, URLs and small files: what people and other machines write is read or named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from tests.vectors.policies import POD_TOML
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import LogKey
from vault.pod import (
    MAX_POD_TOML_BYTES,
    MAX_URL_CHARACTERS,
    PodFolder,
    check_url,
    load_log_key,
    parse_hex_line,
    parse_pod_toml,
)

simple = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
MEMBERS = ("format", "owner_key", "name", "url", "policy", "properties", "limits", "hat")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return repr(value)


tables = st.dictionaries(
    st.sampled_from(MEMBERS),
    simple
    | st.just(world.OWNER_KEY.hex)
    | st.sampled_from(["extend", "closed", "infer", "https://host"])
    | st.dictionaries(
        st.text(max_size=5) | st.just("max_item_bytes"),
        simple | st.just({"type": "Text", "label": "A"}),
        max_size=3,
    ),
)


@given(
    content=st.binary()
    | tables.map(
        lambda members: "\n".join(f"{name} = {_toml(value)}" for name, value in members.items()).encode()
    )
)
def test_any_bytes_give_a_config_or_our_error(content: bytes) -> None:
    """A person wrote it, or a hostile folder holds it."""
    try:
        config = parse_pod_toml(content)
    except (MalformedError, FormatTooNewError):
        return
    assert config.owner_key.hex == tomllib.loads(content.decode())["owner_key"].lower()


def test_a_pod_toml_beyond_its_limit_is_refused_unread() -> None:
    """A megabyte is more than any schema needs."""
    comment = b"# " + b"x" * (MAX_POD_TOML_BYTES - len(POD_TOML) - 3) + b"\n"
    assert parse_pod_toml(comment + POD_TOML.encode()).name == "Street plants"
    with pytest.raises(MalformedError, match="at most 1 MiB"):
        parse_pod_toml(comment + b" " + POD_TOML.encode())


def test_deep_nesting_is_refused() -> None:
    """tomllib recurses."""
    with pytest.raises(MalformedError, match="not a TOML file"):
        parse_pod_toml(b"a = " + b"[" * 20_000)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://plants.example.org", "https://plants.example.org"),
        ("https://plants.example.org///", "https://plants.example.org"),
        ("http://localhost:3030", "http://localhost:3030"),
        ("http://127.0.0.1:65535/a/b%20c/", "http://127.0.0.1:65535/a/b%20c"),
        ("http://[2001:db8::1]:1", "http://[2001:db8::1]:1"),
        ("http://my_server/~x", "http://my_server/~x"),
        ("https://host//a", "https://host//a"),
        ("https://xn--hst-sna", "https://xn--hst-sna"),
    ],
)
def test_an_address_is_kept_without_slashes_at_its_end(url: str, kept: str) -> None:
    """What is kept is an address again."""
    assert check_url(url) == kept
    assert check_url(kept) == kept


@given(url=st.text() | st.from_regex(r"\Ahttps?://[ -~]{0,20}\Z"))
def test_any_text_is_an_address_or_our_error(url: str) -> None:
    """No user, query, fragment, white space or control character gets into a link."""
    try:
        kept = check_url(url)
    except MalformedError:
        return
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(kept) & set(' "<>\\^`{|}?#')
    assert "@" not in kept.split("/")[2]


def test_an_address_has_a_limit() -> None:
    """It stands in every invite."""
    longest = "https://host/" + "a" * (MAX_URL_CHARACTERS - 13)
    assert check_url(longest) == longest
    with pytest.raises(MalformedError):
        check_url(longest + "a")


def test_a_folder_names_its_files(tmp_path: Path) -> None:
    """And shows only where it is."""
    folder = PodFolder(tmp_path)
    named = (folder.pod_toml, folder.slots_json, folder.log_key, folder.vault, folder.wal, folder.log_head)
    assert [path.name for path in named] == [
        "pod.toml",
        "slots.json",
        "log.key",
        "vault.db",
        "vault.db-wal",
        "log.head",
    ]
    assert all(path.parent == tmp_path for path in named)
    assert repr(folder) == f"PodFolder({tmp_path})"


@pytest.mark.parametrize("content", [b"abc\n\n", b"a\nb", b"a\r\n", b"\n\n", b"\xff\n", "\u00e4\n".encode()])
def test_a_line_is_one_line_of_ascii(content: bytes) -> None:
    """A second line might be a second key."""
    with pytest.raises(MalformedError, match=r"log\.key: (exactly one line|one line of ASCII)"):
        parse_hex_line(content, "log.key")


def test_a_log_key_is_64_digits(tmp_path: Path) -> None:
    """With or without its newline; anything else is refused without being quoted."""
    folder = PodFolder(tmp_path)
    for content in (world.LOG_KEY.reveal().hex() + "\n", world.LOG_KEY.reveal().hex().upper()):
        folder.log_key.write_text(content)
        assert load_log_key(folder) == world.LOG_KEY
    folder.log_key.write_text("7" * 63 + "\n")
    with pytest.raises(MalformedError, match="LogKey: 64 hexadecimal digits were expected") as refused:
        load_log_key(folder)
    assert "77" not in str(refused.value)
    assert LogKey.from_hex(world.LOG_KEY.reveal().hex()).public == world.LOG_KEY.public
