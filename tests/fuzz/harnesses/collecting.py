"""Whole collections: lists of objects, in transactions of any size, into a real vault.

Honest functions put them, others changed them, or a function that was taken
over sealed and signed them. Promises: nothing but what the format names ends it, and no sentence holds a
key; whatever was listed, a check of the vault finds nothing; the vault holds
honest items, and of a function that was taken over only what names its slot
truly; an honest item that was listed under its own key is there; and the same
list again changes nothing.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator

from tests.fuzz.cuts import Cuts
from tests.fuzz.plants import scratch
from tests.fuzz.target import Target
from tests.support.collecting import World, new_world
from tests.support.pods import seeded_entropy
from vault.collecting import Collector
from vault.depositing import Deposit
from vault.examining import Examined, Quarantined
from vault.items import commitment, item_name
from vault.objects import object_key
from vault.policy_history import History
from vault.sealing import Plain, seal_batch
from vault.segments import segment_of, write_segment

_MOST_ACTS = 12
_KEPT_MS = 1_790_000_000_000

_FOLDER = scratch()
_WORLD = new_world(_FOLDER)
_FREE, _FEW = _WORLD.pod.slot("free"), _WORLD.pod.slot("few", max_items=1, types=("Note",))
_SECRETS = [
    secret.reveal().hex()
    for secret in (
        _WORLD.pod.keys.identity,
        _WORLD.pod.keys.file_key,
        _WORLD.pod.keys.log_key,
        _WORLD.function.key,
    )
]


def _honest() -> list[Deposit]:
    function, pod = _WORLD.function, _WORLD.pod
    twice = pod.submission(_FREE, id="item-0", text="x")
    return [
        function.deposit(_FREE, twice),
        function.send(_FREE, id="item-1", text="y", size=1),
        function.send(_FREE, id="item-2", text="z", size=1.5),
        # What two functions took of one contributor who tried again, and what a lost store let in twice.
        function.deposit(_FREE, twice),
        function.send(_FREE, id="item-1", text="other"),
        function.send(_FEW, id="item-0", text="x"),
        function.send(_FEW, id="item-3", text="x"),
        function.send(
            _FREE, type="ItemPropertySchema", id="item-4", itemType="Note", propertyName="n", valueType="Bool"
        ),
    ]


HONEST = _honest()
_ALONE = {2: "item-2"}
"""Of those, what nobody else put under the same key."""
_CANONICAL = [
    _WORLD.pod.submission(_FREE, id=f"item-{number}", text="x", size=number).item.canonical
    for number in range(6)
]


class Listed:
    """The list so far."""

    def __init__(self) -> None:
        self.objects: list[tuple[str, bytes]] = []
        self.ends: list[int] = []
        self.forged: set[str] = set()


def _as_it_is(listed: Listed, cuts: Cuts) -> None:
    deposit = cuts.one_of(HONEST)
    listed.objects.append((deposit.key, deposit.content))


def _elsewhere(listed: Listed, cuts: Cuts) -> None:
    listed.objects.append((cuts.one_of(HONEST).key, cuts.one_of(HONEST).content))


def _under_another_key(listed: Listed, cuts: Cuts) -> None:
    deposit = cuts.one_of(HONEST)
    at, written = cuts.number() % len(deposit.key), cuts.text().decode("utf-8", "replace")
    listed.objects.append((deposit.key[:at] + written + deposit.key[at + len(written) :], deposit.content))


def _changed(listed: Listed, cuts: Cuts) -> None:
    deposit = cuts.one_of(HONEST)
    at, written = cuts.number(2) % len(deposit.content), cuts.text()
    content = deposit.content[:at] + written + deposit.content[at + len(written) :] if written else b""
    listed.objects.append((deposit.key, content))


def _forged(listed: Listed, cuts: Cuts) -> None:
    """What a function that was taken over seals: any bytes, in any slot's name, at any time."""
    pod, key = _WORLD.pod, _WORLD.function.key
    canonical = cuts.one_of(_CANONICAL)
    at, written = cuts.number() % (len(canonical) + 1), cuts.text()
    canonical = canonical[:at] + written + canonical[at + len(written) :]
    slot, claimed = cuts.one_of((_FREE, _FEW)), cuts.number() % 5
    item_id = f"item-{cuts.number() % 8}"
    name, salt = item_name(slot.name_key, item_id), cuts.take(32).ljust(32, b"\0")
    c = commitment(salt, canonical) if cuts.number() % 4 else bytes(32)
    sealed = seal_batch(
        [Plain(canonical, claimed, salt, c)],
        pod.policy.recipients,
        pod_id=pod.policy.pod_id,
        log_public=key.public,
        policy=pod.policy.digest,
        ms=_KEPT_MS + cuts.number(),
        entropy=seeded_entropy(cuts.number(4)),
    )
    segment = segment_of(sealed, [name], [c], key.sign(sealed.header))
    content = write_segment(segment, pod.keys.file_key, _WORLD.function.scratch)
    listed.objects.append((object_key(pod.policy.pod_id, name), content))
    listed.forged.add(item_id)


def _end(listed: Listed, _: Cuts) -> None:
    listed.ends.append(len(listed.objects))


ACTS: tuple[Callable[[Listed, Cuts], None], ...] = (
    _as_it_is,
    _elsewhere,
    _under_another_key,
    _changed,
    _forged,
    _end,
)


def run(data: bytes) -> None:
    """Make a list, and collect it twice."""
    cuts, listed = Cuts(data), Listed()
    for _ in range(_MOST_ACTS):
        if not cuts:
            break
        ACTS[cuts.number() % len(ACTS)](listed, cuts)
    home = _FOLDER / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(_WORLD.pod.home, home)
    pod = dataclasses.replace(_WORLD.pod, home=home)
    world = World(dataclasses.replace(_WORLD.function, pod=pod))
    first = _collect(world, listed)
    assert pod.check().findings == []
    items = pod.items()
    _require_known(listed, [(item.slot_name, item.id) for item in items])
    before = pod.digests()
    again = _collect(world, listed)
    assert again.told.taken == 0
    assert again.told.known == first.told.taken + first.told.known
    assert pod.digests() == before


def _require_known(listed: Listed, found: list[tuple[str, str]]) -> None:
    assert len(found) == len(set(found))
    put_in = {("free", f"item-{number}") for number in range(3)} | {("few", "item-0"), ("few", "item-3")}
    put_in.add(("free", "item-4"))
    assert set(found) <= put_in | {(name, item_id) for name in ("free", "few") for item_id in listed.forged}
    for number, item_id in _ALONE.items():
        if (HONEST[number].key, HONEST[number].content) in listed.objects:
            assert ("free", item_id) in found


def _collect(world: World, listed: Listed) -> Collector:
    pod = world.pod
    examiner = world.examiner(History(pod.policy, []))
    looked = [examiner.examine(key, content) for key, content in listed.objects]
    with pod.writer() as writer:
        writer.accept(pod.policy)
        collector = Collector(writer, pod.policy, examiner.secrets, entropy=pod.entropy)
        begin = 0
        for end in [*listed.ends, len(looked)]:
            taken = [each for each in looked[begin:end] if isinstance(each, Examined)]
            _require_quiet(looked[begin:end])
            _require_quiet(collector.take(taken))
            begin = end
    return collector


def _require_quiet(told: object) -> None:
    said = " ".join(each.sentence for each in told if isinstance(each, Quarantined))  # type: ignore[attr-defined]
    assert not [secret for secret in _SECRETS if secret in said.lower()], "a sentence quotes a key"


def _seeds() -> Iterator[bytes]:
    yield b""
    yield bytes([each for number in range(8) for each in (0, number)])
    yield bytes([0, 0, 5, 0, 3, 5, 0, 1, 5, 0, 4, 0, 5, 5, 0, 6])
    yield bytes([0, 2, 0, 2, 5, 0, 2])
    for number in range(3):
        yield bytes([1, number, number + 1, 0, 2])
        yield bytes([2, number, 100, 1, 0x30, 3, number, 0, 1, 1, 0xFF])
        yield bytes([3, number, 0, 0, 0, 0, 2])
        for slot in range(2):
            for claimed in range(4):
                yield bytes([4, number, 0, 0, slot, claimed, number, *bytes(32), 1, 7, 1, 0, 0, 0, 0, 2])
    yield bytes([4, 1, 3, 2, 0xC0, 0xC1, 0, 1, 1, *bytes(32), 1, 7, 1, 0, 0, 0])


TARGET = Target(run, _seeds, 512)
