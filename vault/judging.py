"""Judging one item: may this slot store it, given what stands so far?

Pure decisions, no file and no clock. The order is the format's: the slot's
state, the item's name, the view, a repeated declaration, the counters. A
refused item leaves no trace: names it would have declared are forgotten with
it. FORMAT.md, "One transaction a batch".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from vault.caveats import Caveats, Usage, is_too_large, refusal
from vault.errors import ItemError
from vault.items import TARGET, Item, check_id, shown
from vault.pod import PodConfig
from vault.properties import (
    BASE_PROPERTIES,
    MAX_VIEW_NAMES,
    TYPE_TESTS,
    Scalar,
    ValueType,
    check_property_name,
    check_value,
    infer_type,
)

NOTHING: Mapping[str, ValueType] = {}


class Outcome(Enum):
    """What became of one item; each is one reaction of the door."""

    STORED = "stored"
    RETRY = "retry"
    """Same id, same content: it is there already."""
    REPEATED = "repeated"
    """A declaration of what is known already: fine, and nothing to store."""
    CONFLICT = "conflict"
    """Same id, other content."""
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    CLOSED = "closed"
    """The slot was revoked or expired, or never was."""


class Verdict(msgspec.Struct, frozen=True):
    """A judgement before anything is written.

    Attributes:
        outcome: STORED means: to be stored.
        sentence: Why not, for the holder of the slot's own key.
        declares: Names and types to add to the slot's own view with the item.
    """

    outcome: Outcome
    sentence: str | None = None
    declares: Mapping[str, ValueType] = NOTHING


class SlotState(msgspec.Struct):
    """What one slot has so far: committed, and accepted in the batch being decided.

    Attributes:
        usage: Its counters.
        own: What it declared.
        is_stored: Whether the vault has a row of it.
        is_changed: Whether the batch being decided added to it.
        is_view_changed: Whether the batch being decided added to ``own``.
    """

    usage: Usage
    own: dict[str, ValueType]
    is_stored: bool = False
    is_changed: bool = False
    is_view_changed: bool = False

    def committed(self) -> SlotState:
        """Return what the slot has once the batch has committed."""
        return SlotState(self.usage, self.own, is_stored=True)

    def copy(self) -> SlotState:
        """Return an independent copy to decide with."""
        return SlotState(Usage(self.usage.items, self.usage.bytes), dict(self.own), self.is_stored)

    def add(self, item: Item, declares: Mapping[str, ValueType]) -> None:
        """Count an accepted item and take up what it declares."""
        self.usage.items += 1
        self.usage.bytes += len(item.canonical)
        self.is_changed = True
        if declares:
            self.own.update(declares)
            self.is_view_changed = True


_STORED = Verdict(Outcome.STORED)
_NOT_DECLARED = "this property is not declared; declare it first with an ItemPropertySchema item"
_NO_NAME = (
    "this name cannot be declared: letters, digits and underscores, a letter first, and none that is reserved"
)
_DECLARING = frozenset(("itemType", "propertyName", "valueType"))


def _known_type(config: PodConfig, own: Mapping[str, ValueType], name: str) -> ValueType | None:
    return BASE_PROPERTIES.get(name) or config.properties.get(name) or own.get(name)


def _widened(config: PodConfig, value_type: ValueType, name: str, value: Scalar) -> ValueType:
    """The type a known property gets for a value that is not of its type.

    ``infer`` turns the slot's own Integer into Real: JavaScript writes 36.0 as 36.
    """
    is_own_integer = value_type is ValueType.INTEGER and name not in config.properties
    if not (config.policy == "infer" and is_own_integer and type(value) in {int, float}):
        check_value(name, value, value_type)
    check_value(name, value, ValueType.REAL)
    return ValueType.REAL


def _inferred(config: PodConfig, name: str, value: Scalar) -> ValueType:
    if config.policy != "infer":
        raise ItemError(shown(name), _NOT_DECLARED)
    try:
        check_property_name(name)
    except ItemError as exc:
        raise ItemError(shown(name), _NO_NAME) from exc
    return infer_type(name, value)


def _judge_fields(config: PodConfig, own: Mapping[str, ValueType], item: Item) -> dict[str, ValueType]:
    declares = {}
    declared = config.properties
    for name, value in item.fields.items():
        # _known_type, spelled out: this is done for every value of every item.
        known = BASE_PROPERTIES.get(name) or declared.get(name) or own.get(name)
        if known is None:
            declares[name] = _inferred(config, name, value)
        elif not TYPE_TESTS[known](value):
            declares[name] = _widened(config, known, name, value)
    if item.nulls and config.policy != "infer":
        for name in item.nulls:
            if _known_type(config, own, name) is None:
                raise ItemError(shown(name), _NOT_DECLARED)
    return declares


def _declaration(item: Item) -> tuple[str, ValueType]:
    for member in sorted(_DECLARING):
        if type(item.fields.get(member)) is not str:
            raise ItemError(
                member, "text was expected; a declaration needs itemType, propertyName and valueType"
            )
    try:
        return str(item.fields["propertyName"]), ValueType(str(item.fields["valueType"]))
    except ValueError as exc:
        raise ItemError("valueType", f"one of {', '.join(ValueType)} was expected") from exc


def _judge_declaration(
    config: PodConfig, own: Mapping[str, ValueType], item: Item, declares: dict[str, ValueType]
) -> Verdict | None:
    """Decide a declaration; None if it is to be stored, with what is new in it added to ``declares``."""
    name, value_type = _declaration(item)
    # Under `infer` the item itself may hold a value of the name it declares.
    known = _known_type(config, {**own, **declares}, name)
    if known is value_type:
        # With more in it than a declaration, it is an item like any other: 200 would lose the rest.
        return Verdict(Outcome.REPEATED) if item.fields.keys() == _DECLARING else None
    if known is not None:
        raise ItemError("valueType", "this property is declared already with another type")
    check_property_name(name)
    if config.policy == "closed":
        return Verdict(Outcome.FORBIDDEN, "only the maintainer declares properties in this pod; ask them to")
    declares[name] = value_type
    return None


def _check_room(own: Mapping[str, ValueType], declares: Mapping[str, ValueType]) -> None:
    if len(own.keys() | declares.keys()) > MAX_VIEW_NAMES:
        raise ItemError(
            "propertyName", f"an invite declares at most {MAX_VIEW_NAMES} properties; ask for another"
        )


def _judge(config: PodConfig, caveats: Caveats, state: SlotState, item: Item) -> Verdict:
    declares = _judge_fields(config, state.own, item)
    if item.is_withdrawal:
        # Of its shape and no more: an answer never depends on whether there is such an item.
        check_id(TARGET, item.fields.get(TARGET))
    elif item.is_declaration:
        decided = _judge_declaration(config, state.own, item, declares)
        if decided:
            return decided
    if declares:
        _check_room(state.own, declares)
    if is_too_large(caveats, config.max_item_bytes, item):
        return Verdict(Outcome.FORBIDDEN, "the item is larger than this invite allows; send a smaller one")
    sentence = refusal(caveats, state.usage, item)
    if sentence:
        return Verdict(Outcome.FORBIDDEN, sentence)
    return Verdict(Outcome.STORED, declares=declares) if declares else _STORED


def judge(config: PodConfig, caveats: Caveats, state: SlotState, item: Item) -> Verdict:
    """Decide an item whose slot is open and whose name is new.

    Args:
        config: The pod's schema policy, properties and limits.
        caveats: The slot's limits.
        state: The slot's counters and own view; not changed.
        item: Parsed.
    """
    try:
        return _judge(config, caveats, state, item)
    except ItemError as exc:
        return Verdict(Outcome.INVALID, str(exc))
