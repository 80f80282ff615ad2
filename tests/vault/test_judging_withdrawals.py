"""Withdrawals: judged by a bound of their own, and never by whether their target is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.judging import config, judged, note, sentence, state, stored
from vault.caveats import Usage
from vault.items import Item
from vault.judging import Outcome
from vault.pod import SCHEMA_POLICIES, SchemaPolicy
from vault.properties import Scalar


def withdrawal(target: Scalar | None = "target", **more: Scalar | None) -> Item:
    """A withdrawal, with more in it if asked for."""
    return note(type="Withdrawal", targetItemId=target, **more)


@pytest.mark.parametrize("policy", SCHEMA_POLICIES)
def test_a_withdrawal_needs_no_declaration(policy: SchemaPolicy) -> None:
    """Whoever may put in may ask for it to be taken out."""
    assert stored(judged(withdrawal(), config(policy))) == {}


def test_a_bare_withdrawal_is_not_kept_out_by_caveats() -> None:
    """An invite for penguins, used up to the last item and byte, that allows ten bytes an item."""
    used = state(usage=Usage(5, 500))
    pod = config(max_item_bytes=10)
    caveats = {"types": ("Penguin",), "max_items": 5, "max_bytes": 500, "max_item_bytes": 10}
    item = withdrawal(dateCreated=2**63 - 1, dateModified=-(2**63))
    assert stored(judged(item, pod, used, **caveats)) == {}
    assert judged(note(), pod, used, **caveats).outcome is Outcome.FORBIDDEN


@pytest.mark.parametrize("more", [{"key": "x"}, {"itemType": "x", "sha256": "y"}])
def test_a_withdrawal_with_more_in_it_is_an_item_like_any_other(more: dict[str, str]) -> None:
    """Else it would be a way around every limit."""
    used = state(usage=Usage(5, 500))
    assert stored(judged(withdrawal(**more))) == {}
    for caveats in ({"types": ("Penguin",)}, {"max_items": 5}, {"max_bytes": 500}, {"max_item_bytes": 10}):
        assert judged(withdrawal(**more), slot=used, **caveats).outcome is Outcome.FORBIDDEN


@pytest.mark.parametrize(
    "target", [None, "", "short", "x" * 37, "with space", "target\n", "a/target", "ä" * 9]
)
def test_a_withdrawal_without_a_target_is_refused(target: str | None) -> None:
    """A contributor who mistyped it must not believe that it was heard."""
    assert sentence(judged(withdrawal(target))).startswith("targetItemId: 6 to 36")


@pytest.mark.parametrize("target", [1, True, 1.5])
def test_a_target_is_text(target: Scalar) -> None:
    """As every view knows it."""
    assert sentence(judged(withdrawal(target))).startswith("targetItemId: text")


def test_withdrawals_have_a_bound_of_their_own() -> None:
    """Each item can be withdrawn, some under a wrong id; but none stores without end what looks like it."""
    item = withdrawal()
    size = len(item.canonical)
    bounds: list[tuple[dict[str, Any], Usage]] = [
        ({"max_items": 7}, Usage(2 * 7 + 100 - 1, 0)),
        ({"max_bytes": 700}, Usage(0, 12 * 700 + 20_000 - size)),
    ]
    for caveats, last in bounds:
        assert stored(judged(item, slot=state(usage=last), **caveats)) == {}
        beyond = state(usage=Usage(last.items + 1, last.bytes + 1))
        refused = judged(item, slot=beyond, **caveats)
        assert sentence(refused, Outcome.FORBIDDEN).startswith("this invite has stored all the withdrawals")
    assert stored(judged(item, slot=state(usage=Usage(10**9, 10**15)))) == {}


def test_a_bare_withdrawal_is_small() -> None:
    """What it is exempt by: the largest there is."""
    ids = "x" * 36
    largest = withdrawal(
        ids, id=ids, dateCreated=-(2**63), dateModified=-(2**63), deleted=True, key=None, rowid=1
    )
    assert largest.is_bare_withdrawal
    assert len(largest.canonical) == 161
