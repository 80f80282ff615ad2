"""One target under libFuzzer, by atheris: ``python -m tests.fuzz.engine TARGET [libFuzzer's own arguments]``.

A process of its own, because libFuzzer ends it; ``tests.fuzz.campaign`` starts
it and reads what it prints. The code that is fed is imported here with counters
put into it, so nothing of it may be imported before.
"""

from __future__ import annotations

import shlex
import sys

import atheris

FED = ["cloud", "contributor_tools", "ingest", "maintainer_tools", "vault"]


def main() -> None:
    """Feed a target until libFuzzer has enough, or an input breaks a promise."""
    _, name, *arguments = sys.argv
    # A merge starts its own program again and again, by a shell.
    program = shlex.join([sys.executable, "-m", "tests.fuzz.engine", name])
    with atheris.instrument_imports(include=FED):
        from tests.fuzz.shaping import changed  # noqa: PLC0415 - what it imports is fed too
        from tests.fuzz.target import load, run_bounded  # noqa: PLC0415

        target = load(name)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        return changed(data, most, seed, shapes=target.shapes, mutate=atheris.Mutate)

    limits = [f"-max_len={target.max_bytes}"]
    atheris.Setup(
        [program, *limits, *arguments], lambda data: run_bounded(target, data), custom_mutator=mutator
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
