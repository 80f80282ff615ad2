"""Where a vector stands: one file each, in the folder of its structure, named for what it shows.

``accept-NAME.json`` gives a value, ``refuse-NAME.json`` names a kind of error,
``find-NAME.json`` (vaults only) is opened, and a check finds what is wrong.
"""

from __future__ import annotations

import json
import re
from typing import Any

Vector = dict[str, Any]
_SPOKEN = {"''": "empty", "[": "list", "{": "map", "@": "at", "<": "less", "é": "e acute"}
"""What a name says in signs that no file's name should have."""


def split(stem: str, content: dict[str, Any]) -> dict[str, str]:
    """Return the files of one builder's content.

    Args:
        stem: The folder.
        content: Lists of vectors: ``vectors`` stands in the folder itself, any
            other list in a folder of its name within. ``about`` becomes the
            folder's ``about.txt``; what else is there is common to all
            vectors, and repeated in each.

    Returns:
        Their texts by path, relative to ``vault/testdata``.
    """
    lists = {name: value for name, value in content.items() if type(value) is list}
    common = {name: value for name, value in content.items() if name not in lists and name != "about"}
    files = {f"{stem}/about.txt": content["about"] + "\n"}
    for section, vectors in lists.items():
        folder = stem if section == "vectors" else f"{stem}/{section.replace('_', '-')}"
        for vector in vectors:
            path = f"{folder}/{file_name(vector)}"
            if path in files:
                raise ValueError(f"two vectors would be {path}; one needs another name")
            files[path] = text_of(common | vector)
    return files


def file_name(vector: Vector) -> str:
    """Return the name of a vector's file."""
    return f"{_verb(vector)}-{slug(vector['name'])}.json"


def _verb(vector: Vector) -> str:
    if "error" in vector:
        return "refuse"
    return "find" if "finds" in vector else "accept"


def slug(name: str) -> str:
    """Return ``name`` in the letters, digits and hyphens that every file system keeps apart."""
    spoken = re.sub(r"(?<![\w)])-(?=\d)", " minus ", re.sub(r" $", " space", name.lower()))
    for sign, word in _SPOKEN.items():
        spoken = spoken.replace(sign, f" {word} ")
    return re.sub(r"[^a-z0-9]+", "-", spoken).strip("-")


def text_of(vector: Vector) -> str:
    """Return a vector's file: its name and its rule come first."""
    first = {"name": vector["name"], "why": vector["why"]}
    return json.dumps(first | vector, indent=1, ensure_ascii=False) + "\n"
