"""What one slot may store, judged without a file: views, declarations, policies, caveats."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.support.judging import config, declaration, judged, note, sentence, state, stored
from vault.caveats import Usage
from vault.errors import ItemError
from vault.judging import Outcome, SlotState, Verdict
from vault.pod import SCHEMA_POLICIES, SchemaPolicy
from vault.properties import BASE_PROPERTIES, MAX_VIEW_NAMES, RESERVED_NAMES, Scalar, ValueType

REAL, INTEGER, TEXT, BOOL = ValueType.REAL, ValueType.INTEGER, ValueType.TEXT, ValueType.BOOL


@pytest.mark.parametrize("policy", SCHEMA_POLICIES)
def test_a_declared_property_is_stored_under_every_policy(policy: SchemaPolicy) -> None:
    """What the maintainer or the slot itself declared is known; nothing is declared again."""
    pod, slot = config(policy, {"height": "Integer"}), state({"width": "Integer"})

    assert stored(judged(note(height=3, width=4, key="a base property"), pod, slot)) == {}


@pytest.mark.parametrize("policy", ["extend", "closed"])
@pytest.mark.parametrize("value", ["x", None])
def test_an_unknown_property_is_refused_even_when_null(policy: SchemaPolicy, value: str | None) -> None:
    """The wire's rule; the sentence names the property, and only it."""
    verdict = judged(note(colour=value), config(policy))

    assert sentence(verdict).startswith("colour: this property is not declared")


def test_a_null_of_a_known_property_is_absent() -> None:
    """It needs no view but that its name is known."""
    assert stored(judged(note(height=None), config(declared={"height": "Integer"}))) == {}


def test_a_name_that_is_not_plain_is_not_shown() -> None:
    """An answer must not carry a client's bytes into somebody's terminal."""
    verdict = judged(note(**{"a\x1b[2J": "x"}))

    assert sentence(verdict).startswith("a property: ")


@pytest.mark.parametrize(
    ("value_type", "value", "expected"),
    [
        ("Text", 1, "text"),
        ("Integer", 1.0, "integer"),
        ("Integer", 2**63, "integer"),
        ("Real", "1", "number"),
        ("Bool", 1, "true or false"),
        ("DateTime", "2026-01-01", "milliseconds"),
    ],
)
def test_a_value_of_another_type_is_refused(value_type: str, value: Scalar, expected: str) -> None:
    """The sentence names the property and the type, never the value."""
    verdict = judged(note(field=value), config(declared={"field": value_type}))

    assert sentence(verdict).startswith("field: ")
    assert expected in sentence(verdict)


def test_the_maintainers_type_comes_before_the_slots_own() -> None:
    """The maintainer may declare a name after a slot did, with another type."""
    pod, slot = config(declared={"height": "Text"}), state({"height": "Integer"})

    assert stored(judged(note(height="tall"), pod, slot)) == {}
    assert "text" in sentence(judged(note(height=3), pod, slot))


def test_a_new_declaration_is_stored_and_taken_up() -> None:
    """Policy extend: contributors declare in their own view."""
    assert stored(judged(declaration("height", "Integer"))) == {"height": INTEGER}


@pytest.mark.parametrize("policy", SCHEMA_POLICIES)
@pytest.mark.parametrize("name", ["theirs", "mine", "sha256", "id"])
def test_a_declaration_of_what_is_known_is_repeated(policy: SchemaPolicy, name: str) -> None:
    """By the maintainer, by the slot, or by a new pod, reserved or not: accepted, and nothing to store."""
    pod, slot = config(policy, {"theirs": "Text"}), state({"mine": "Text"})

    assert judged(declaration(name, "Text"), pod, slot) == Verdict(Outcome.REPEATED)


def test_a_declaration_repeated_for_another_item_type_is_the_same() -> None:
    """The wire's map is keyed by the property's name alone."""
    item = declaration("mine", "Text", itemType="Photo")

    assert judged(item, slot=state({"mine": "Text"})).outcome is Outcome.REPEATED


def test_a_repeated_declaration_with_more_in_it_is_an_item() -> None:
    """A 200 that stores nothing would lose the rest of it."""
    item = declaration("mine", "Text", mine="and a text")

    assert stored(judged(item, slot=state({"mine": "Text"}))) == {}


@pytest.mark.parametrize("name", ["theirs", "mine", "sha256", "id"])
def test_a_declaration_with_another_type_is_refused(name: str) -> None:
    """For all item types together, whoever declared it first."""
    pod, slot = config(declared={"theirs": "Text"}), state({"mine": "Text"})

    verdict = judged(declaration(name, "Integer"), pod, slot)

    assert sentence(verdict) == "valueType: this property is declared already with another type"


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES - {"id", "type", "deleted"}))
def test_a_reserved_name_is_not_declared_in_any_case(name: str) -> None:
    """The tools give these names a meaning of their own."""
    for spelling in (name, name.upper()):
        assert sentence(judged(declaration(spelling, "Real"))).startswith(("propertyName: ", "valueType: "))


@pytest.mark.parametrize("name", ["", "9lives", "_x", "a b", "a" * 65, "ab\n", "é"])
def test_a_name_that_cannot_be_declared_is_refused(name: str) -> None:
    """Names become columns."""
    assert sentence(judged(declaration(name, "Text"))).startswith("propertyName: 1 to 64 letters")


@pytest.mark.parametrize("member", ["itemType", "propertyName", "valueType"])
def test_a_declaration_needs_its_three_members(member: str) -> None:
    """As text, each."""
    members: dict[str, Scalar | None] = {"itemType": "Note", "propertyName": "a", "valueType": "Text"}
    without = note(type="ItemPropertySchema", **(members | {member: None}))

    assert sentence(judged(without)).startswith(f"{member}: ")


@pytest.mark.parametrize("value_type", ["integer", "Blob", ""])
def test_a_declaration_has_one_of_five_types(value_type: str) -> None:
    """Spelled as on the wire, and not as anything close to it."""
    assert sentence(judged(declaration("a", value_type))).startswith("valueType: one of Text, ")


def test_a_closed_pod_declares_nothing_new() -> None:
    """Forbidden, not malformed: the maintainer could allow it."""
    verdict = judged(declaration("a", "Text"), config("closed"))

    assert "only the maintainer" in sentence(verdict, Outcome.FORBIDDEN)


@pytest.mark.parametrize(
    ("value", "inferred"),
    [("x", TEXT), (True, BOOL), (3, INTEGER), (-(2**63), INTEGER), (2**63, REAL), (1.0, REAL), (0.1, REAL)],
)
def test_infer_declares_an_unknown_property_by_its_json_type(value: Scalar, inferred: ValueType) -> None:
    """In the slot's own view, on first sight; an integer beyond 64 bits is a Real."""
    assert stored(judged(note(seen=value), config("infer"))) == {"seen": inferred}


def test_infer_drops_a_null_of_an_unknown_name() -> None:
    """It has no type to infer, and says nothing."""
    assert stored(judged(note(seen=None, other=1), config("infer"))) == {"other": INTEGER}


@pytest.mark.parametrize("name", ["a b", "source", "ROWID", "9"])
def test_infer_declares_no_name_that_cannot_be_declared(name: str) -> None:
    """The sentence names the property itself: no declaration was sent."""
    verdict = judged(note(**{name: 1}), config("infer"))

    assert "this name cannot be declared" in sentence(verdict)
    assert not sentence(verdict).startswith("propertyName")


@pytest.mark.parametrize("value", [1.0, 1.5, 2**63])
def test_infer_widens_an_own_integer_to_real(value: float) -> None:
    """JavaScript writes 36.0 as 36: the type of a column shows only later."""
    assert stored(judged(note(age=value), config("infer"), state({"age": "Integer"}))) == {"age": REAL}


def test_infer_keeps_an_integer_that_is_one() -> None:
    """Nothing changes in the view, so nothing is sealed again."""
    assert stored(judged(note(age=3), config("infer"), state({"age": "Integer"}))) == {}


@pytest.mark.parametrize(
    ("policy", "pod_has", "own", "value"),
    [
        ("infer", {"age": "Integer"}, {}, 1.5),
        ("infer", {"age": "Integer"}, {"age": "Integer"}, 1.5),
        ("extend", {}, {"age": "Integer"}, 1.5),
        ("infer", {}, {"age": "Integer"}, "x"),
        ("infer", {}, {"age": "Integer"}, True),
        ("infer", {}, {"age": "Real"}, "x"),
        ("infer", {}, {"age": "DateTime"}, "x"),
    ],
    ids=[
        "maintainer's",
        "maintainer's, and own",
        "not infer",
        "text",
        "bool",
        "real to text",
        "datetime to text",
    ],
)
def test_nothing_else_is_widened(
    policy: SchemaPolicy, pod_has: dict[str, str], own: dict[str, str], value: Scalar
) -> None:
    """Only Integer to Real, only in the slot's own view, only under infer."""
    assert sentence(judged(note(age=value), config(policy, pod_has), state(own))).startswith("age: ")


def test_an_item_may_hold_what_it_declares_under_infer() -> None:
    """It is a declaration and a first sight at once, and both say the same."""
    item = declaration("age", "Integer", age=3)

    assert stored(judged(item, config("infer"))) == {"age": INTEGER}


def test_an_item_that_declares_otherwise_than_it_holds_is_refused() -> None:
    """Else the view would say Text, and the item a number."""
    verdict = judged(declaration("age", "Text", age=3), config("infer"))

    assert sentence(verdict) == "valueType: this property is declared already with another type"


def test_a_view_has_room_for_512_names_of_its_own() -> None:
    """The maintainer's names and a new pod's do not count."""
    full = {f"own{i}": "Text" for i in range(MAX_VIEW_NAMES)}
    almost = dict(list(full.items())[1:])
    pod = config("infer", {"theirs": "Text"})

    assert stored(judged(declaration("last", "Text"), pod, state(almost))) == {"last": TEXT}
    assert "at most 512" in sentence(judged(declaration("last", "Text"), pod, state(full)))
    assert "at most 512" in sentence(judged(note(first=1, second=1), pod, state(almost)))
    assert stored(judged(note(own1="x", theirs="x"), pod, state(full))) == {}


def test_a_view_that_is_full_still_widens() -> None:
    """It adds no name."""
    full = {f"own{i}": "Integer" for i in range(MAX_VIEW_NAMES)}

    assert stored(judged(note(own1=1.5), config("infer"), state(full))) == {"own1": REAL}


@pytest.mark.parametrize("limit", ["slot", "pod"])
def test_the_size_of_an_item_is_limited_exactly(limit: str) -> None:
    """Canonical bytes are counted, the smaller limit counts."""
    item = note()
    size = len(item.canonical)

    def verdict(most: int) -> Verdict:
        if limit == "slot":
            return judged(item, config(max_item_bytes=10**6), max_item_bytes=most)
        return judged(item, config(max_item_bytes=most), max_item_bytes=10**6)

    assert stored(verdict(size)) == {}
    assert "larger" in sentence(verdict(size - 1), Outcome.FORBIDDEN)


def test_types_of_items_are_limited() -> None:
    """Another type is forbidden, a declaration's too."""
    assert stored(judged(note(), types=("Note", "Photo"))) == {}
    assert "type" in sentence(judged(note(), types=("Photo",)), Outcome.FORBIDDEN)
    assert "type" in sentence(judged(note(), types=("ItemPropertySchema",)), Outcome.FORBIDDEN)


def test_declarations_answer_to_the_policy_not_to_types() -> None:
    """An invite for notes is of no use if the properties of notes cannot be declared."""
    assert stored(judged(declaration("a", "Text"), types=("Note",))) == {"a": ValueType.TEXT}


def test_the_last_allowed_item_is_stored_and_the_next_is_not() -> None:
    """Counted with what is committed and what this batch accepted."""
    assert stored(judged(note(), slot=state(usage=Usage(items=2)), max_items=3)) == {}
    assert "items" in sentence(
        judged(note(), slot=state(usage=Usage(items=3)), max_items=3), Outcome.FORBIDDEN
    )


def test_the_last_allowed_byte_is_stored_and_the_next_is_not() -> None:
    """Canonical bytes, summed."""
    size = len(note().canonical)

    assert stored(judged(note(), slot=state(usage=Usage(bytes=100)), max_bytes=100 + size)) == {}
    beyond = judged(note(), slot=state(usage=Usage(bytes=101)), max_bytes=100 + size)
    assert "bytes" in sentence(beyond, Outcome.FORBIDDEN)


def test_the_view_is_judged_before_the_counters() -> None:
    """Format order: a contributor learns of the mistake that sending later does not mend."""
    spent = state({"mine": "Text"}, Usage(items=3))

    assert judged(note(colour="x"), slot=spent, max_items=3).outcome is Outcome.INVALID
    assert judged(declaration("mine", "Text"), slot=spent, max_items=3).outcome is Outcome.REPEATED
    assert judged(declaration("new", "Text"), slot=spent, max_items=3).outcome is Outcome.FORBIDDEN


def test_judging_changes_nothing() -> None:
    """What an item declares is taken up by adding it, after it was accepted."""
    slot = state({"mine": "Text"}, Usage(1, 2))

    judged(note(seen=1), config("infer"), slot)

    assert (slot.usage, slot.own, slot.is_changed) == (Usage(1, 2), {"mine": TEXT}, False)


def test_a_state_in_use_leaves_what_is_committed_alone() -> None:
    """A batch that fails must leave no trace in the writer's memory."""
    committed = SlotState(Usage(1, 2), {"mine": TEXT}, is_stored=True)
    deciding = committed.copy()

    deciding.add(note(), {"new": BOOL})

    assert (committed.usage, committed.own) == (Usage(1, 2), {"mine": TEXT})
    assert (deciding.is_changed, deciding.is_view_changed) == (True, True)
    after = deciding.committed()
    assert (after.usage.items, after.own) == (2, {"mine": TEXT, "new": BOOL})
    assert (after.is_stored, after.is_changed, after.is_view_changed) == (True, False, False)


def test_an_item_that_declares_nothing_leaves_the_view() -> None:
    """A view is sealed again only when it changed."""
    deciding = state()

    deciding.add(note(), {})

    assert deciding.is_changed
    assert not deciding.is_view_changed


VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text()
NAMES = st.sampled_from([*BASE_PROPERTIES, "known", "own", "new", "Source", "a b", ""]) | st.text(max_size=70)


@given(
    policy=st.sampled_from(SCHEMA_POLICIES),
    is_declaration=st.booleans(),
    fields=st.dictionaries(NAMES.filter(lambda name: name not in {"type", "id"}), VALUES, max_size=5),
)
def test_any_item_is_judged_and_leaves_a_sound_view(
    policy: SchemaPolicy, *, is_declaration: bool, fields: dict[str, Scalar | None]
) -> None:
    """No payload raises; and what an accepted item declares fits its own values, and can be declared."""
    try:
        item = note(**({"type": "ItemPropertySchema"} if is_declaration else {}) | fields)
    except ItemError:
        reject()
    slot = state({"own": "Integer"})

    verdict = judged(item, config(policy, {"known": "Text"}), slot)

    assert (verdict.sentence is None) == (verdict.outcome in {Outcome.STORED, Outcome.REPEATED})
    if verdict.outcome is Outcome.STORED:
        slot.add(item, verdict.declares)
        again = judged(item, config(policy, {"known": "Text"}), slot)
        assert again.outcome in {Outcome.STORED, Outcome.REPEATED}
        assert not again.declares
