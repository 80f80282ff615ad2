"""What was erased is no fault if a maintainer said so, and hides none."""

from __future__ import annotations

import pytest

from tests.support.checking import STRANGER, closed, erase, findings
from tests.support.pods import TestPod
from vault.checking import Report


def test_closed_items_are_counted_as_they_are_sealed(varied: TestPod) -> None:
    """Each of them, and none that was erased."""
    assert closed(varied) == Report(batches=3, items=6, erased=0, findings=[])
    erase(varied, 2, signer=varied.keys.identity)
    assert closed(varied) == Report(batches=3, items=5, erased=1, findings=[])


@pytest.mark.parametrize("is_opening", [True, False])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE slot SET items = items - 1 WHERE slot = 1",
        "UPDATE slot SET items = items + 1 WHERE slot = 2",
        "INSERT INTO slot VALUES (9, 1, 1, NULL)",
        "UPDATE slot SET bytes = 1",
    ],
)
def test_counters_put_back_beside_an_erased_item_are_seen(
    varied: TestPod, sql: str, *, is_opening: bool
) -> None:
    """Whose it was nobody sees any more; that it was counted once, everybody."""
    erase(varied, 2, signer=varied.keys.identity)
    with varied.forging() as vault:
        vault.execute(sql)

    assert (varied.check() if is_opening else closed(varied)).findings


def test_an_erased_item_is_counted_and_no_fault(varied: TestPod) -> None:
    """Its maintainer said so; everything else still verifies without it."""
    erase(varied, 2, signer=varied.keys.identity)

    assert varied.check() == Report(batches=3, items=5, erased=1, findings=[])


def test_counters_are_not_below_what_is_left(varied: TestPod) -> None:
    """Of an erased item nobody knows the size any more; the others still count."""
    erase(varied, 2, signer=varied.keys.identity)
    with varied.forging() as vault:
        vault.execute("UPDATE slot SET bytes = 1 WHERE slot = 1")

    assert findings(varied) == {"slot 1: its counters are not those of its items"}


def test_an_erasure_by_a_stranger_is_loss(varied: TestPod) -> None:
    """Whoever has the file key can write a statement, and sign it with a key of their own."""
    erase(varied, 2, signer=STRANGER)

    assert findings(varied) == {
        "item 2 (batch 1): an erasure statement is not signed by a maintainer of this pod"
    }


def test_an_erasure_of_another_item_is_loss(varied: TestPod) -> None:
    """A true statement does not cover what it does not name."""
    erase(varied, 2, signer=varied.keys.identity, said=3)

    assert findings(varied) == {"item 2 (batch 1): an erasure statement is about another item"}
