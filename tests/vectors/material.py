"""What HPKE and SQLCipher drew, kept: they take no randomness from outside, so it is golden for opening only.

Each is made once, under a name that says all that went into it, and then read
from ``hpke.json`` beside this file. Removing an entry draws it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from vault.encoding import pae
from vault.sealing import Recipient

_FILE = Path(__file__).with_name("hpke.json")


class Material:
    """The kept outputs; ``save`` writes those that were added."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = json.loads(_FILE.read_bytes()) if _FILE.exists() else {}
        self._is_changed = False

    def sealed(self, name: str, recipient: Recipient, plaintext: bytes, info: bytes) -> bytes:
        """What ``recipient.seal`` gave for these, once."""
        if name not in self._kept:
            self._kept[name] = recipient.seal(plaintext, info).hex()
            self._is_changed = True
        return bytes.fromhex(self._kept[name])

    def once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gave, once."""
        if name not in self._kept:
            self._kept[name] = make().hex()
            self._is_changed = True
        return bytes.fromhex(self._kept[name])

    def sealed_to_each(self, name: str, recipients: list[Recipient], plaintext: bytes, info: bytes) -> bytes:
        """As ``vault.sealing.seal_to_each``, spelled out."""
        return pae(
            *(
                pae(
                    recipient.kid,
                    self.sealed(f"{name}/{recipient.kid.hex()[:8]}", recipient, plaintext, info),
                )
                for recipient in recipients
            )
        )

    def save(self) -> None:
        """Keep what was drawn in this run."""
        if self._is_changed:
            _FILE.write_text(json.dumps(self._kept, indent=1, sort_keys=True) + "\n")


MATERIAL = Material()
