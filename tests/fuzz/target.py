"""A target of fuzzing: what is fed to which of our parsers, and what must hold whatever it is fed.

A harness raises nothing for an input that is refused as the format says, and
anything at all for one that breaks a promise: libFuzzer keeps the input, pytest
shows it. It needs no fuzzer: the corpora are played back by ``make test`` too.
"""

from __future__ import annotations

import importlib
import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, cast

from msgspec import MsgspecError
from shamir_mnemonic import MnemonicError

from vault.errors import VaultError

HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in (HERE / "harnesses").glob("[a-z]*.py")))
"""Every target; a harness is a module that defines ``TARGET``."""

MOST_SECONDS = 4.0
"""Processor time of one input; most take a millisecond, a mistyped share is looked for in one second."""
MOST_GROWTH_KIB = 512 << 10
"""By so much the memory of the process may peak higher for one input; they have 64 KiB at most."""
SCRATCH = "FUZZ_SCRATCH"
"""Of the environment: the folder in which an engine makes its own."""


def memory() -> str | None:
    """The folder of a file system in memory, if there is one; else None, for the usual place."""
    place = "/dev/shm"  # noqa: S108 - folders of our own are made in it
    return place if os.access(place, os.W_OK) else None


NOT_OF_THE_SHAPE = (VaultError, ValueError, TypeError, RecursionError, MsgspecError, MnemonicError)
"""What our own readers, and the libraries' decoders, raise for what they cannot read."""


class Shape(NamedTuple):
    """How to change something inside an input that only whole inputs of its format would let through.

    Attributes:
        split: Takes an input apart into fields; raises one of ``NOT_OF_THE_SHAPE`` for any other.
        join: Puts fields together, with true lengths, hashes and signatures.
    """

    split: Callable[[bytes], list[bytes]]
    join: Callable[[list[bytes]], bytes]


class Target(NamedTuple):
    """One harness.

    Attributes:
        run: Feeds one input; raises if a promise is broken.
        seeds: Inputs to begin with, from the golden vectors.
        max_bytes: Longest input that is tried.
        shapes: Ways to take an input apart; the first that can is used.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_bytes: int
    shapes: tuple[Shape, ...] = ()


class BoundsError(AssertionError):
    """An input took more time or memory than any input of its size may."""


def load(name: str) -> Target:
    """Import a harness, and so all that it feeds."""
    return cast("Target", importlib.import_module(f"tests.fuzz.harnesses.{name}").TARGET)


def run_bounded(target: Target, data: bytes, most_seconds: float = MOST_SECONDS) -> None:
    """Feed one input, and look at the time and the memory it took.

    Args:
        target: What is fed.
        data: The input.
        most_seconds: Of the processor.

    Raises:
        BoundsError: Too much of either.
        Exception: A promise is broken.
    """
    seconds, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    target.run(data)
    took = time.process_time() - seconds
    grew = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    if took > most_seconds or grew > MOST_GROWTH_KIB:
        raise BoundsError(f"{len(data)} bytes took {took:.1f} s and {grew >> 10} MiB")
