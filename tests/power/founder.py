"""Founds a pod and issues its first invite, recorded: ``python -m tests.power.founder HOME PLANT SEED``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.power.marks import Founded, encode_mark
from tests.power.plants import PLANTS
from tests.power.shim import Shim
from tests.support.pods import TestPod, make_pod


def found(home: Path, seed: str) -> TestPod:
    """Found a pod whose keys follow from the seed."""
    chance = random.Random(seed)  # noqa: S311 - a test must repeat itself
    return make_pod(home, more='[properties.text]\ntype = "Text"\n', entropy=chance.randbytes)


def main(home: str, plant: str, seed: str) -> None:
    """Found it, say so, and invite somebody."""
    PLANTS[plant]()
    pod = found(Path(home), seed)
    Shim().mark(encode_mark(Founded()))
    pod.invite()


if __name__ == "__main__":
    main(*sys.argv[1:])
