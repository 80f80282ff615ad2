"""pod.toml as the tools write it: valid, and people's own writing kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintainer_tools.pod_toml import Property, first_pod_toml, with_properties
from vault.keys import OwnerKey
from vault.pod import parse_pod_toml
from vault.properties import RESERVED_NAMES, ValueType

OWNER = OwnerKey(bytes(range(32)))
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,20}\Z").filter(
    lambda name: name.lower() not in RESERVED_NAMES
)
LABELS = st.none() | st.text(max_size=100)
BASE = first_pod_toml(OWNER, name="x", url="", policy="extend")


@given(st.text(max_size=200), st.sampled_from(["extend", "infer", "closed"]))
def test_a_first_pod_toml_says_what_was_asked(name: str, policy: str) -> None:
    """Quotes, new lines and backslashes in a name must not break the file."""
    config = parse_pod_toml(first_pod_toml(OWNER, name=name, url="https://x.example", policy=policy))  # type: ignore[arg-type]  # one of the three

    assert (config.owner_key, config.name, config.url, config.policy) == (
        OWNER,
        name,
        "https://x.example",
        policy,
    )
    assert config.properties == {}
    assert config.max_item_bytes is None


@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(ValueType), LABELS), max_size=8))
def test_added_properties_are_read_back(wanted: dict[str, tuple[ValueType, str | None]]) -> None:
    """A header may hold any character; it is kept to the letter as the label."""
    added = [Property(name, kind, label) for name, (kind, label) in wanted.items()]

    config = parse_pod_toml(with_properties(BASE, added))

    assert config.properties == {name: kind for name, (kind, _) in wanted.items()}
    assert config.labels == {name: label for name, (_, label) in wanted.items() if label is not None}


EDITED = b"""# mine
format = 1
owner_key = "%s"   # ours
%s
[limits]   # none
"""
OWNER_HEX = OWNER.hex.encode()


@pytest.mark.parametrize(
    "properties",
    [
        b"",
        b'properties = {a = {type = "Text"}}\n',
        b'[properties]\na = {type = "Text"}   # first\n# last\n',
        b'[properties.a]\ntype = "Text"   # first\n',
        b'[properties]\n[properties.a]\ntype = "Text"\n',
        b'properties.a.type = "Text"\n',
        b'[properties]\na.type = "Text"\n',
        b'[properties.a]\ntype = "Text"\n[x]   # between\n[properties.z]\ntype = "Text"   # last\n',
    ],
    ids=["none", "inline", "table", "headers", "table-and-headers", "dotted", "dotted-in-table", "apart"],
)
def test_every_way_to_write_properties_can_be_added_to(properties: bytes) -> None:
    """TOML has many spellings, and people use them; comments and order stay."""
    before = EDITED % (OWNER_HEX, properties)
    if properties:
        before = with_properties(before, [Property("a", ValueType.TEXT, "A")])

    after = with_properties(before, [Property("b", ValueType.REAL), Property("c", ValueType.BOOL, "C (x)")])

    config = parse_pod_toml(after)
    assert config.properties["b"] is ValueType.REAL
    assert config.properties["c"] is ValueType.BOOL
    assert config.labels["c"] == "C (x)"
    if properties:
        assert config.properties["a"] is ValueType.TEXT
        assert config.labels["a"] == "A"
    comments = [
        line.split(b"#")[1] for line in (EDITED % (OWNER_HEX, properties)).splitlines() if b"#" in line
    ]
    assert [line.split(b"#")[1] for line in after.splitlines() if b"#" in line] == comments
