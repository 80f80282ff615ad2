"""What a slot has, what comes through it, and the verdict: for tests of what is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vault.caveats import Caveats, Usage
from vault.items import Item, parse_item
from vault.judging import Outcome, SlotState, Verdict, judge
from vault.keys import OwnerKey
from vault.pod import PodConfig, SchemaPolicy
from vault.properties import Scalar, ValueType


def config(
    policy: SchemaPolicy = "extend",
    declared: Mapping[str, str] | None = None,
    max_item_bytes: int | None = None,
) -> PodConfig:
    """A pod.toml's content."""
    properties = {name: ValueType(kind) for name, kind in (declared or {}).items()}
    return PodConfig(OwnerKey(bytes(32)), "Test pod", "", policy, properties, {}, max_item_bytes)


def state(own: Mapping[str, str] | None = None, usage: Usage | None = None) -> SlotState:
    """What a slot has, and declared, so far."""
    return SlotState(usage or Usage(), {name: ValueType(kind) for name, kind in (own or {}).items()})


def note(**payload: Scalar | None) -> Item:
    """An item of type Note unless it says another."""
    return parse_item({"type": "Note", "id": "abcdef"} | payload, make_id=str)


def declaration(name: str, value_type: str, **more: Scalar) -> Item:
    """A declaration, with more in it if asked for."""
    members = {"itemType": "Note", "propertyName": name, "valueType": value_type}
    return note(type="ItemPropertySchema", **(members | more))


def judged(
    item: Item, pod: PodConfig | None = None, slot: SlotState | None = None, **caveats: Any
) -> Verdict:
    """The verdict on an item in a pod that extends, unless asked otherwise."""
    return judge(pod or config(), Caveats(**caveats), slot or state(), item)


def stored(verdict: Verdict) -> dict[str, ValueType]:
    """What a stored item declares."""
    assert verdict.outcome is Outcome.STORED, verdict.sentence
    return dict(verdict.declares)


def sentence(verdict: Verdict, outcome: Outcome = Outcome.INVALID) -> str:
    """Why an item was refused."""
    assert verdict.outcome is outcome
    assert verdict.sentence is not None
    return verdict.sentence
