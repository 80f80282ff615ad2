"""Caveats: a limit is understood or closes the slot, and it refuses from exactly its value on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.caveats import Caveats, Usage, is_expired, is_too_large, parse_caveats, refusal
from vault.encoding import un_mp
from vault.errors import MalformedError
from vault.items import Item, parse_item

counts = st.integers(1, 2**63 - 1)
types = st.sets(st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,8}\Z"), min_size=1, max_size=5).map(sorted)
limits = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("expires", "max_items", "max_bytes", "max_item_bytes"), counts),
        "types": types,
        "rate": st.lists(counts, min_size=2, max_size=2),
    },
)


def _item(item_type: str = "Note", size: int = 100) -> Item:
    bare = parse_item({"type": item_type, "id": "abcdef", "a": ""}, make_id=str)
    return parse_item(
        {"type": item_type, "id": "abcdef", "a": "x" * (size - len(bare.canonical) - 1)}, make_id=str
    )


@given(members=limits)
def test_caveats_are_read_as_they_stand(members: dict[str, Any]) -> None:
    """And the same members are bound to the slot's wrap."""
    caveats = parse_caveats(members)
    assert caveats is not None
    assert un_mp(caveats.encoded()) == members
    assert parse_caveats(un_mp(caveats.encoded())) == caveats


@given(members=limits, name=st.text(min_size=1), value=st.none() | st.integers())
def test_an_unknown_caveat_closes_the_slot(members: dict[str, Any], name: str, value: object) -> None:
    """A limit that is not understood might forbid everything."""
    if name not in Caveats.__struct_fields__:
        assert parse_caveats({**members, name: value}) is None


@given(
    members=st.dictionaries(
        st.sampled_from([*Caveats.__struct_fields__, "x"]),
        st.none() | counts | st.text() | st.lists(st.text() | counts) | st.booleans() | st.floats(),
    )
)
def test_any_members_give_caveats_or_our_error(members: dict[str, Any]) -> None:
    """Whatever stands in slots.json."""
    try:
        caveats = parse_caveats(members)
    except MalformedError:
        return
    if caveats is not None:
        assert un_mp(caveats.encoded()) == members


@pytest.mark.parametrize(("now_ms", "is_over"), [(0, False), (999, False), (1000, True), (1001, True)])
def test_a_slot_expires_at_its_millisecond(now_ms: int, is_over: bool) -> None:
    """From then on, not after."""
    assert is_expired(Caveats(expires=1000), now_ms) is is_over
    assert not is_expired(Caveats(), now_ms)


@pytest.mark.parametrize(
    ("of_slot", "of_pod", "is_over"),
    [
        (None, None, False),
        (100, None, False),
        (99, None, True),
        (None, 100, False),
        (None, 99, True),
        (99, 200, True),
        (200, 99, True),
        (100, 100, False),
    ],
)
def test_the_smaller_limit_of_slot_and_pod_counts(
    of_slot: int | None, of_pod: int | None, is_over: bool
) -> None:
    """Of the canonical bytes: what is stored, not how it was spelled."""
    assert is_too_large(Caveats(max_item_bytes=of_slot), of_pod, _item(size=100)) is is_over


@pytest.mark.parametrize(
    ("caveats", "usage", "reason"),
    [
        (Caveats(), Usage(10**9, 10**12), None),
        (Caveats(types=("Note",)), Usage(), None),
        (Caveats(types=("Photo",)), Usage(), "items of this type"),
        (Caveats(types=("Photo", "note")), Usage(), "items of this type"),
        (Caveats(max_items=5), Usage(4, 0), None),
        (Caveats(max_items=5), Usage(5, 0), "all the items"),
        (Caveats(max_bytes=1000), Usage(0, 900), None),
        (Caveats(max_bytes=1000), Usage(0, 901), "all the bytes"),
        (Caveats(rate=(1, 1), expires=1), Usage(10**9, 10**12), None),
    ],
)
def test_a_limit_refuses_what_would_exceed_it(caveats: Caveats, usage: Usage, reason: str | None) -> None:
    """Reaching it is allowed; the sentence says which it was."""
    sentence = refusal(caveats, usage, _item(size=100))
    assert (sentence is None) if reason is None else (reason in str(sentence))
