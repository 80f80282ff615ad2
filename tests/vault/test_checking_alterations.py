"""Every row, page and byte that was altered is named by a check, with items closed too."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.checking import closed, findings
from tests.support.pods import TestPod
from vault.errors import DamagedError
from vault.wal import PAGE_BYTES

ROW = "name, c, digest, sealed"
ALTERED = {
    "sealed bytes": (
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 2",
        {"item 2 (batch 1): its sealed bytes were altered"},
    ),
    "another item's sealed bytes, digest and all": (
        f"UPDATE item SET ({ROW}) = (SELECT NULL, c, digest, sealed FROM item WHERE seq = 4) WHERE seq = 5",
        {
            "batch 2: its items are not those its header names",
            "item 5 (batch 2): item 1 of a batch does not open: it was altered or moved",
        },
    ),
    "commitment": (
        "UPDATE item SET c = zeroblob(32) WHERE seq = 3",
        {
            "batch 1: its items are not those its header names",
            "item 3 (batch 1): it is not what its contributor committed to",
        },
    ),
    "name": (
        "UPDATE item SET name = zeroblob(22) WHERE seq = 3",
        {"item 3 (batch 1): its name is not its id's"},
    ),
    "no name": (
        "UPDATE item SET name = NULL WHERE seq = 3",
        {"item 3 (batch 1): it has no name, and no other item has it"},
    ),
    "missing item": (
        "DELETE FROM item WHERE seq = 2",
        {
            "batch 1: 3 items were logged, 2 are here",
            "the table item has 5 rows, the log accounts for 6",
        },
    ),
    "extra item": (
        f"INSERT INTO item (seq, {ROW}) SELECT -5, NULL, c, digest, sealed FROM item WHERE seq = 2",
        {"the table item has 7 rows, the log accounts for 6"},
    ),
    "erased without a word": (
        "UPDATE item SET sealed = NULL WHERE seq = 2",
        {"item 2 (batch 1): it is gone without a statement"},
    ),
    "statement without an erasure": (
        "INSERT INTO erasure VALUES (2, x'00')",
        {"the table erasure has 1 rows, the log accounts for 0"},
    ),
    "missing batch": (
        "DELETE FROM batch WHERE batch = 2",
        {
            "batch 3: it is missing or out of order",
            "batch 3: its items do not follow those before",
            "batch 3: node 1 of level 0 of the log is not what its leaves give",
            "batch 3: node 0 of level 1 of the log is not what its leaves give",
            "batch 3: its checkpoint is not of this log",
            "the log does not end where its newest checkpoint says",
            "the table node has 4 rows, the log accounts for 3",
        },
    ),
    "uid beside the header": (
        "UPDATE batch SET uid = zeroblob(16) WHERE batch = 2",
        {"batch 2: its row names another uid than its header"},
    ),
    "header that is none": (
        "UPDATE batch SET header = x'00' WHERE batch = 1",
        {
            "batch 1: a list of fields was expected, the bytes end before its count",
            "batch 2: its items do not follow those before",
            "batch 2: node 0 of level 0 of the log is not what its leaves give",
            "batch 2: its checkpoint is not of this log",
            "batch 3: node 1 of level 0 of the log is not what its leaves give",
            "batch 3: node 0 of level 1 of the log is not what its leaves give",
            "batch 3: its checkpoint is not of this log",
            "the log does not end where its newest checkpoint says",
            "the table node has 4 rows, the log accounts for 3",
        },
    ),
    "header of another batch": (
        "UPDATE batch SET header = (SELECT header FROM batch WHERE batch = 3) WHERE batch = 1",
        {
            "batch 1: its row names another uid than its header",
            "batch 1: its header is not signed by a log key of its policy",
            "batch 1: node 0 of level 0 of the log is not what its leaves give",
            "batch 1: its checkpoint is not of this log",
            "batch 1: its items are not those its header names",
            "batch 1: a batch's wraps are not those its header names",
            "batch 2: its items do not follow those before",
            "batch 2: node 0 of level 1 of the log is not what its leaves give",
            "batch 2: its checkpoint is not of this log",
            "batch 3: its checkpoint is not of this log",
            "the log does not end where its newest checkpoint says",
        },
    ),
    "wraps": (
        "UPDATE batch SET wraps = (SELECT wraps FROM batch WHERE batch = 3) WHERE batch = 1",
        {
            "batch 1: a batch's wraps are not those its header names",
        },
    ),
    "wraps that are none": (
        "UPDATE batch SET wraps = x'00' WHERE batch = 1",
        {
            "batch 1: a list of fields was expected, the bytes end before its count",
            "batch 1: a batch's wraps are not those its header names",
        },
    ),
    "signature": (
        "UPDATE batch SET signature = zeroblob(64) WHERE batch = 2",
        {"batch 2: its header is not signed by a log key of its policy"},
    ),
    "checkpoint of another size": (
        "UPDATE batch SET checkpoint = (SELECT checkpoint FROM batch WHERE batch = 1) WHERE batch = 2",
        {"batch 2: its checkpoint is not of this log"},
    ),
    "checkpoint that is none": (
        "UPDATE batch SET checkpoint = x'00' WHERE batch = 2",
        {"batch 2: signed note: a control character was found"},
    ),
    "node": (
        "UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND i = 1",
        {"batch 2: node 1 of level 0 of the log is not what its leaves give"},
    ),
    "missing node": (
        "DELETE FROM node WHERE level = 0 AND i = 1",
        {
            "batch 2: the log lacks node 1 of level 0; restore a snapshot",
            "the table node has 3 rows, the log accounts for 4",
        },
    ),
    "extra node": (
        "INSERT INTO node VALUES (5, 0, zeroblob(32))",
        {"the table node has 5 rows, the log accounts for 4"},
    ),
    "counter of items": (
        "UPDATE slot SET items = 2 WHERE slot = 1",
        {"slot 1: its counters are not those of its items"},
    ),
    "counter of bytes": (
        "UPDATE slot SET bytes = bytes + 1 WHERE slot = 2",
        {"slot 2: its counters are not those of its items"},
    ),
    "missing counters": (
        "DELETE FROM slot WHERE slot = 2",
        {"slot 2: its counters are not those of its items"},
    ),
    "counters of nobody": (
        "INSERT INTO slot VALUES (9, 1, 1, NULL)",
        {"slot 9: its counters are not those of its items"},
    ),
    "view": (
        "UPDATE slot SET view = zeroblob(60) WHERE slot = 1",
        {"slot 1: the view of slot 1 does not open: it was altered"},
    ),
    "policy's revision": (
        "UPDATE policy SET revision = 7 WHERE revision = 3",
        {
            "policy 7: it is not the policy its row names",
            *(f"batch {i}: it was taken under a policy the vault does not hold" for i in (1, 2, 3)),
        },
    ),
    "policy that is none": (
        "UPDATE policy SET slots_json = x'00' WHERE revision = 1",
        {"policy 1: slots.json: the signed frame was expected; run any invite command to write it again"},
    ),
    "missing policy": (
        "DELETE FROM policy WHERE revision = 3",
        {f"batch {i}: it was taken under a policy the vault does not hold" for i in (1, 2, 3)},
    ),
    "row of another type": (
        "UPDATE policy SET hash = x'00' WHERE revision = 1",
        {"policy 1: it is not the policy its row names"},
    ),
}


@pytest.mark.parametrize(("sql", "expected"), ALTERED.values(), ids=ALTERED)
def test_what_was_altered_is_named(varied: TestPod, sql: str, expected: set[str]) -> None:
    """Each fault alone, and nothing that is not at fault."""
    with varied.forging() as vault:
        vault.execute(sql)

    assert findings(varied) == expected


UNSEEN_CLOSED = {"name", "no name"}
"""What only whoever opens items sees; two slots' counters that changed places, too."""


@pytest.mark.parametrize(("sql", "expected"), ALTERED.values(), ids=ALTERED)
def test_what_was_altered_is_seen_with_items_closed(
    varied: TestPod, request: pytest.FixtureRequest, sql: str, expected: set[str]
) -> None:
    """All but names: whatever is logged, or counted, is recomputed without opening anything."""
    with varied.forging() as vault:
        vault.execute(sql)

    assert expected
    assert bool(closed(varied).findings) == (request.node.callspec.id not in UNSEEN_CLOSED)


def test_wraps_nobody_logged_are_seen_with_items_closed(varied: TestPod) -> None:
    """To the same recipients: nothing would open any more."""
    with varied.forging() as vault:
        ((wraps,),) = vault.execute("SELECT wraps FROM batch WHERE batch = 1").fetchall()
        vault.execute("UPDATE batch SET wraps = ? WHERE batch = 1", (wraps[:-1] + bytes([wraps[-1] ^ 1]),))

    assert closed(varied).findings == ["batch 1: its wraps are not those its header names"]


def test_items_that_changed_places_are_named(varied: TestPod) -> None:
    """Everything of theirs moved; only the batch knows the order."""
    with varied.forging() as vault:
        four, five = vault.execute(f"SELECT {ROW} FROM item WHERE seq IN (4, 5) ORDER BY seq").fetchall()
        vault.execute("UPDATE item SET name = NULL WHERE seq = 5")
        for seq, row in ((4, five), (5, four)):
            vault.execute(f"UPDATE item SET ({ROW}) = (?, ?, ?, ?) WHERE seq = ?", (*row, seq))

    assert findings(varied) == {
        "batch 2: its items are not those its header names",
        "item 4 (batch 2): item 0 of a batch does not open: it was altered or moved",
        "item 5 (batch 2): item 1 of a batch does not open: it was altered or moved",
    }


def test_a_number_that_leads_beyond_64_bits_is_named(varied: TestPod) -> None:
    """What follows from it can be asked of no table; a check says so, and a reader refuses."""
    with varied.forging() as vault:
        vault.execute("UPDATE batch SET first_seq = ? WHERE batch = 1", (2**63 - 1,))

    assert (
        "batch 1: the vault holds a number beyond what its tables can have; restore a snapshot"
        in findings(varied)
    )
    with pytest.raises(DamagedError, match="beyond what its tables can have"):
        varied.items()


def test_sealed_bytes_with_a_digest_made_to_fit_are_named(varied: TestPod) -> None:
    """The digest stands in the log."""
    sealed = bytes(100)
    digest = hashlib.sha256(sealed).digest()
    with varied.forging() as vault:
        vault.execute("UPDATE item SET sealed = ?, digest = ? WHERE seq = 2", (sealed, digest))

    assert findings(varied) == {
        "batch 1: its items are not those its header names",
        "item 2 (batch 1): item 1 of a batch does not open: it was altered or moved",
        "the slots: their counters do not add up to the items that were logged",
    }


@pytest.mark.parametrize("page", [2, 5, 9, -1])
def test_a_flipped_bit_anywhere_is_found(varied: TestPod, page: int) -> None:
    """In a page that opening does not read, or does: then the vault is refused at once."""
    content = bytearray(varied.folder.vault.read_bytes())
    content[page * PAGE_BYTES + 100 if page > 0 else -100] ^= 1
    varied.folder.vault.write_bytes(content)

    try:
        found = findings(varied)
    except DamagedError:
        return
    assert any(finding.startswith("SQLite: HMAC verification failed") for finding in found)
