"""Undoing what was begun when what follows fails: a connection closed, a half-made file removed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import ParamSpec

P = ParamSpec("P")


@contextlib.contextmanager
def on_failure(undo: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Iterator[None]:
    """Call ``undo`` if the ``with`` block does not end well, however that is: an error, Ctrl-C, a signal.

    What ended the block goes on its way; where ``undo`` fails too, its error
    does, with that one as its context.
    """
    with contextlib.ExitStack() as undoing:
        undoing.callback(undo, *args, **kwargs)
        yield
        undoing.pop_all()
