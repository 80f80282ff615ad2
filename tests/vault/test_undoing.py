"""What was begun is undone when the block fails, and only then."""

from __future__ import annotations

import pytest

from vault.undoing import on_failure


def test_a_block_that_ends_well_is_left_as_it_is() -> None:
    """Nothing is undone."""
    undone: list[str] = []
    with on_failure(undone.append, "undone"):
        pass
    assert undone == []


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt(), SystemExit(1)])
def test_whatever_ends_a_block_undoes_it_and_goes_on_its_way(error: BaseException) -> None:
    """Ctrl-C and an exit too."""
    undone: list[str] = []
    with pytest.raises(type(error)) as raised, on_failure(undone.append, "undone"):
        raise error
    assert raised.value is error
    assert undone == ["undone"]


def test_an_undoing_that_fails_says_what_it_was_to_undo() -> None:
    """Both are told."""

    def refuse() -> None:
        raise OSError("the disk refuses this too")

    with pytest.raises(OSError, match="this too") as raised, on_failure(refuse):
        raise ValueError("first")
    assert isinstance(raised.value.__context__, ValueError)
