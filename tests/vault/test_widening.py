"""Types that functions could not settle among each other are settled at home."""

from __future__ import annotations

from pathlib import Path

from tests.support.collecting import World, new_world
from vault.properties import Scalar, ValueType


def test_views_are_settled_whatever_the_order(tmp_path: Path) -> None:
    """One name with several types is Real if they are numbers, else Text; nothing promised is refused."""
    views = []
    values: list[Scalar] = [1, 2.5, 3, "x", True]
    for turn, order in enumerate((values, values[::-1])):
        (tmp_path / str(turn)).mkdir()
        folder = tmp_path / str(turn)
        world = new_world(folder)
        slot = world.pod.slot()
        for number, value in enumerate(order):
            world.put(world.function.send(slot, n=value, m=number, r=number / 2 + 0.25))
            world.collect()
        assert len(world.items()) == len(values)
        views.append(world.view(slot))
    assert views[0] == views[1] == {"n": ValueType.TEXT, "m": ValueType.INTEGER, "r": ValueType.REAL}


def test_declarations_are_taken_up(world: World) -> None:
    """Of items that come before, and of another type than was declared."""
    slot = world.pod.slot()
    declared = [
        world.pod.declaration(slot, "when", "DateTime"),
        world.pod.declaration(slot, "size", "Real"),
        world.pod.declaration(slot, "text", "Text"),
        world.pod.declaration(slot, "size", "Text"),
    ]
    for submission in declared[:2]:
        world.put(world.function.deposit(slot, submission))
    world.collect()
    assert world.view(slot) == {"when": ValueType.DATETIME, "size": ValueType.REAL}
    later = [world.function.deposit(slot, submission) for submission in declared[2:]]
    world.put(world.function.send(slot, when=5, size=7), *later)
    assert world.reasons() == []
    assert world.view(slot) == {"when": ValueType.DATETIME, "size": ValueType.TEXT}
    assert len(world.items()) == 5
