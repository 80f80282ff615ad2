"""A check names every fault that somebody with all of a server's keys could put into a vault."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from tests.support.pods import TestPod
from vault.checking import Report, check_vault
from vault.encoding import le32, pae
from vault.erasures import erasure_bytes
from vault.errors import DamagedError, DiskFullError
from vault.header import parse_header
from vault.invites import found_policy, publish
from vault.judging import Outcome
from vault.keys import LogKey, PodId
from vault.ledger import frontier_at
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.opening import Identity
from vault.wal import PAGE_BYTES

STRANGER = Identity(bytes(range(32)))
STRANGE_LOG_KEY = LogKey(bytes(range(32)))


@pytest.fixture
def full(pod: TestPod) -> TestPod:
    """Three batches through two slots: items 1 to 3, 4 and 5, 6."""
    one, other = pod.slot("one"), pod.slot("other")
    with pod.writer() as writer:
        first = [
            pod.submission(one, id="item-1", text="x"),
            pod.declaration(one, "height", "Integer"),
            pod.submission(one, id="item-3", height=3),
        ]
        writer.commit(pod.policy, first)
        writer.commit(pod.policy, [pod.submission(other, id=f"item-{i}", text="y") for i in (4, 5)])
        writer.commit(pod.policy, [pod.submission(one, id="item-6", text="z")])
    return pod


def findings(pod: TestPod) -> set[str]:
    """What a check says."""
    return set(pod.check().findings)


def closed(pod: TestPod) -> Report:
    """A check that leaves items closed."""
    with pod.reader() as reader:
        return check_vault(reader, lambda _: None, is_opening=False)


def test_a_whole_vault_has_no_findings(full: TestPod) -> None:
    """Whatever came through it: several slots, a declaration, batches of each size."""
    assert full.check() == Report(batches=3, items=6, erased=0, findings=[])


def test_an_empty_vault_has_no_findings(pod: TestPod) -> None:
    """There is nothing to lose yet."""
    assert pod.check() == Report()


def test_progress_counts_items(full: TestPod) -> None:
    """After each batch."""
    seen: list[int] = []
    with full.reader() as reader:
        check_vault(reader, seen.append)

    assert seen == [3, 5, 6]


def test_what_the_operating_system_refuses_is_no_finding(full: TestPod) -> None:
    """The vault is not at fault when the screen's disk is full."""

    def progress(_: int) -> None:
        raise DiskFullError("report: no space")

    with full.reader() as reader, pytest.raises(DiskFullError):
        check_vault(reader, progress)


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
def test_what_was_altered_is_named(full: TestPod, sql: str, expected: set[str]) -> None:
    """Each fault alone, and nothing that is not at fault."""
    with full.forging() as vault:
        vault.execute(sql)

    assert findings(full) == expected


UNSEEN_CLOSED = {"name", "no name"}
"""What only whoever opens items sees; two slots' counters that changed places, too."""


@pytest.mark.parametrize(("sql", "expected"), ALTERED.values(), ids=ALTERED)
def test_what_was_altered_is_seen_with_items_closed(
    full: TestPod, request: pytest.FixtureRequest, sql: str, expected: set[str]
) -> None:
    """All but names: whatever is logged, or counted, is recomputed without opening anything."""
    with full.forging() as vault:
        vault.execute(sql)

    assert expected
    assert bool(closed(full).findings) == (request.node.callspec.id not in UNSEEN_CLOSED)


def test_closed_items_are_counted_as_they_are_sealed(full: TestPod) -> None:
    """Each of them, and none that was erased."""
    assert closed(full) == Report(batches=3, items=6, erased=0, findings=[])
    erase(full, 2, signer=full.keys.identity)
    assert closed(full) == Report(batches=3, items=5, erased=1, findings=[])


def test_wraps_nobody_logged_are_seen_with_items_closed(full: TestPod) -> None:
    """To the same recipients: nothing would open any more."""
    with full.forging() as vault:
        ((wraps,),) = vault.execute("SELECT wraps FROM batch WHERE batch = 1").fetchall()
        vault.execute("UPDATE batch SET wraps = ? WHERE batch = 1", (wraps[:-1] + bytes([wraps[-1] ^ 1]),))

    assert closed(full).findings == ["batch 1: its wraps are not those its header names"]


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
    full: TestPod, sql: str, *, is_opening: bool
) -> None:
    """Whose it was nobody sees any more; that it was counted once, everybody."""
    erase(full, 2, signer=full.keys.identity)
    with full.forging() as vault:
        vault.execute(sql)

    assert (full.check() if is_opening else closed(full)).findings


def test_items_that_changed_places_are_named(full: TestPod) -> None:
    """Everything of theirs moved; only the batch knows the order."""
    with full.forging() as vault:
        four, five = vault.execute(f"SELECT {ROW} FROM item WHERE seq IN (4, 5) ORDER BY seq").fetchall()
        vault.execute("UPDATE item SET name = NULL WHERE seq = 5")
        for seq, row in ((4, five), (5, four)):
            vault.execute(f"UPDATE item SET ({ROW}) = (?, ?, ?, ?) WHERE seq = ?", (*row, seq))

    assert findings(full) == {
        "batch 2: its items are not those its header names",
        "item 4 (batch 2): item 0 of a batch does not open: it was altered or moved",
        "item 5 (batch 2): item 1 of a batch does not open: it was altered or moved",
    }


def test_a_number_that_leads_beyond_64_bits_is_named(full: TestPod) -> None:
    """What follows from it can be asked of no table; a check says so, and a reader refuses."""
    with full.forging() as vault:
        vault.execute("UPDATE batch SET first_seq = ? WHERE batch = 1", (2**63 - 1,))

    assert (
        "batch 1: the vault holds a number beyond what its tables can have; restore a snapshot"
        in findings(full)
    )
    with pytest.raises(DamagedError, match="beyond what its tables can have"):
        full.items()


def test_sealed_bytes_with_a_digest_made_to_fit_are_named(full: TestPod) -> None:
    """The digest stands in the log."""
    sealed = bytes(100)
    digest = hashlib.sha256(sealed).digest()
    with full.forging() as vault:
        vault.execute("UPDATE item SET sealed = ?, digest = ? WHERE seq = 2", (sealed, digest))

    assert findings(full) == {
        "batch 1: its items are not those its header names",
        "item 2 (batch 1): item 1 of a batch does not open: it was altered or moved",
        "the slots: their counters do not add up to the items that were logged",
    }


def test_a_header_signed_by_another_key_is_named(full: TestPod) -> None:
    """A whole signature, but of nobody the policy lists."""
    with full.forging() as vault:
        ((header,),) = vault.execute("SELECT header FROM batch WHERE batch = 2").fetchall()
        vault.execute("UPDATE batch SET signature = ? WHERE batch = 2", (STRANGE_LOG_KEY.sign(header),))

    assert findings(full) == {"batch 2: its header is not signed by a log key of its policy"}


def test_a_checkpoint_signed_by_another_key_is_named(full: TestPod) -> None:
    """The newest is looked at on opening; the others here."""
    with full.reader() as reader:
        checkpoint = Checkpoint(reader.ledger.origin, 2, bytes(32))
    with full.forging() as vault:
        note = sign_checkpoint(checkpoint, STRANGE_LOG_KEY)
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 2", (note,))

    assert findings(full) == {"batch 2: the checkpoint is not signed by a log key of this pod"}


@pytest.mark.parametrize(("size", "is_root_right"), [(2, False), (3, True)])
def test_a_checkpoint_of_another_root_or_size_is_named(
    full: TestPod, size: int, *, is_root_right: bool
) -> None:
    """Signed by the right key: a log that was forked, or cut and grown again."""
    with full.reader() as reader:
        root = frontier_at(reader.rows, 2).root() if is_root_right else bytes(32)
        checkpoint = Checkpoint(reader.ledger.origin, size, root)
    with full.forging() as vault:
        note = sign_checkpoint(checkpoint, full.keys.log_key)
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 2", (note,))

    assert findings(full) == {"batch 2: its checkpoint is not of this log"}


def test_a_batch_of_another_pod_is_named(full: TestPod) -> None:
    """Its log key may be the same: whoever founds two pods might take it along."""
    with full.forging() as vault:
        ((packed,),) = vault.execute("SELECT header FROM batch WHERE batch = 2").fetchall()
        header = msgspec.structs.replace(parse_header(packed), pod_id=PodId(bytes(32))).pack()
        vault.execute(
            "UPDATE batch SET header = ?, signature = ? WHERE batch = 2",
            (header, full.keys.log_key.sign(header)),
        )

    assert "batch 2: it is of another pod" in findings(full)


def test_an_item_collected_twice_needs_no_name(full: TestPod) -> None:
    """A segment may bring what the vault has already: its batch is logged all the same."""
    with full.forging() as vault:
        vault.execute("UPDATE item SET name = NULL WHERE seq = 1")
    with full.writer() as writer:
        (again,) = writer.commit(full.policy, [full.submission(full.slots["one"], id="item-1", text="x")])

    assert again.outcome is Outcome.STORED
    assert findings(full) == set()


@pytest.mark.parametrize("is_ours_too", [True, False])
def test_a_batch_sealed_to_a_stranger_is_named(full: TestPod, *, is_ours_too: bool) -> None:
    """What a server that was taken over does: it cannot be kept from it, but it shows."""
    ours = full.policy.recipients if is_ours_too else ()
    policy = msgspec.structs.replace(full.policy, recipients=(*ours, STRANGER.recipient))
    with full.writer() as writer:
        writer.commit(policy, [full.submission(full.slots["one"], text="leaked")])

    expected = {"batch 4: it is not sealed to exactly the recipients of its policy"}
    if not is_ours_too:
        expected.add(
            "batch 4: a batch is not sealed to this identity; use the identity of this pod's maintainer"
        )
    assert findings(full) == expected


def test_an_item_of_a_slot_that_the_policy_does_not_know_is_named(full: TestPod) -> None:
    """As after pod.toml and slots.json were put back to an earlier day."""
    published = full.policy
    slot = full.slot("later")
    with full.writer() as writer:
        writer.commit(full.policy, [full.submission(slot, id="item-7", text="x")])
    publish(full.folder, published)

    assert findings(full) == {"item 7 (batch 4): it came through slot 3, which the policy does not know"}


def test_a_policy_of_a_stranger_is_named(full: TestPod) -> None:
    """Signed well, of this very pod, but by nobody the maintainer trusts."""
    slots_json = found_policy(
        full.policy.pod_toml,
        STRANGER,
        pod_id=full.policy.pod_id,
        file_key=full.keys.file_key,
        log_public=full.keys.log_key.public,
    )
    with full.forging() as vault:
        vault.execute(
            "UPDATE policy SET hash = ?, slots_json = ?, pod_toml = ? WHERE revision = 1",
            (hashlib.sha256(slots_json).digest(), slots_json, full.policy.pod_toml),
        )

    assert findings(full) == {"policy 1: it is signed by someone this pod's policy does not know"}


def erase(pod: TestPod, seq: int, *, signer: Identity, said: int | None = None) -> None:
    """Erase one item of batch 1, by a statement about item ``said`` (itself if None)."""
    with pod.forging() as vault:
        ((header,),) = vault.execute("SELECT header FROM batch WHERE batch = 1").fetchall()
        ((digest,),) = vault.execute("SELECT digest FROM item WHERE seq = ?", (said or seq,)).fetchall()
        signed = erasure_bytes(parse_header(header), (said or seq) - 1, digest, pod.clock())
        statement = pae(signed, signer.signer, signer.sign(signed))
        vault.execute("INSERT INTO erasure VALUES (?, ?)", (seq, statement))
        vault.execute("UPDATE item SET sealed = NULL WHERE seq = ?", (seq,))


def test_an_erased_item_is_counted_and_no_fault(full: TestPod) -> None:
    """Its maintainer said so; everything else still verifies without it."""
    erase(full, 2, signer=full.keys.identity)

    assert full.check() == Report(batches=3, items=5, erased=1, findings=[])


def test_counters_are_not_below_what_is_left(full: TestPod) -> None:
    """Of an erased item nobody knows the size any more; the others still count."""
    erase(full, 2, signer=full.keys.identity)
    with full.forging() as vault:
        vault.execute("UPDATE slot SET bytes = 1 WHERE slot = 1")

    assert findings(full) == {"slot 1: its counters are not those of its items"}


def test_an_erasure_by_a_stranger_is_loss(full: TestPod) -> None:
    """Whoever has the file key can write a statement, and sign it with a key of their own."""
    erase(full, 2, signer=STRANGER)

    assert findings(full) == {
        "item 2 (batch 1): an erasure statement is not signed by a maintainer of this pod"
    }


def test_an_erasure_of_another_item_is_loss(full: TestPod) -> None:
    """A true statement does not cover what it does not name."""
    erase(full, 2, signer=full.keys.identity, said=3)

    assert findings(full) == {"item 2 (batch 1): an erasure statement is about another item"}


@pytest.mark.parametrize("is_whole", [True, False])
def test_how_earlier_epochs_ended_is_checked(pod: TestPod, *, is_whole: bool) -> None:
    """Receipts of those epochs are believed up to these checkpoints."""
    signer = pod.keys.log_key if is_whole else STRANGE_LOG_KEY
    ended = sign_checkpoint(Checkpoint(origin_of(pod.policy.pod_id, 1), 5, bytes(32)), signer)
    with pod.forging() as vault:
        vault.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (le32(2),))
        vault.execute("INSERT INTO meta VALUES ('epoch/1', ?)", (ended,))

    expected = "an earlier epoch: the checkpoint is not signed by a log key of this pod"
    assert findings(pod) == (set() if is_whole else {expected})


@pytest.mark.parametrize("page", [2, 5, 9, -1])
def test_a_flipped_bit_anywhere_is_found(full: TestPod, page: int) -> None:
    """In a page that opening does not read, or does: then the vault is refused at once."""
    content = bytearray(full.folder.vault.read_bytes())
    content[page * PAGE_BYTES + 100 if page > 0 else -100] ^= 1
    full.folder.vault.write_bytes(content)

    try:
        found = findings(full)
    except DamagedError:
        return
    assert any(finding.startswith("SQLite: HMAC verification failed") for finding in found)
