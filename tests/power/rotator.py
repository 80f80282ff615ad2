"""Gives a pod another file key, recorded: ``python -m tests.power.rotator HOME PLANT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from maintainer_tools.file_key_rotation import rotate_file_key
from maintainer_tools.homes import changing, find_home, open_identity
from tests.power.marks import Rotated, encode_mark
from tests.power.plants import PLANTS
from tests.power.shim import Shim


def rotate(home: Path) -> None:
    """What `rotate --file-key` does."""
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        rotate_file_key(found, change, identity, entropy=os.urandom)


def main(home: str, plant: str) -> None:
    """Do it, and say so."""
    PLANTS[plant]()
    rotate(Path(home))
    Shim().mark(encode_mark(Rotated()))


if __name__ == "__main__":
    main(*sys.argv[1:])
