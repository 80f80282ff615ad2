"""What files of receipts and of promises have in common: a mark and the item's id, then the proof.

Read with the same eyes is what HTTP clients print around a header, because
that is what most people keep. What the lines hold is each kind's own matter.
FORMAT.md, "Receipt files", "Promise files".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vault.errors import FormatTooNewError, MalformedError
from vault.items import is_item_id

NO_ID = "-"
_VERSION = "/v1"
_LATER = re.compile(r"/v[1-9][0-9]{0,8}\Z")
_FEWEST_LINES = 2


class Kind(NamedTuple):
    """One kind of file.

    Attributes:
        what: Its name, for marks and sentences.
        header: That a server sends the proof in.
        lines: What its lines are, for sentences.
        max_bytes: A longer file is refused.
    """

    what: str
    header: str
    lines: str
    max_bytes: int

    @property
    def mark(self) -> str:
        """What the first line begins with."""
        return f"shared-pod-{self.what}{_VERSION}"


class ProofFile(NamedTuple):
    """What a file's lines say, and no proof was looked at.

    Attributes:
        item_id: The item's id, as the one who wrote the file says; None if they did not.
        lines: The proof, and what follows it; at least one.
    """

    item_id: str | None
    lines: list[str]


def format_proof_file(kind: Kind, file: ProofFile) -> bytes:
    """Return the file's bytes."""
    return "".join(f"{line}\n" for line in (f"{kind.mark} {file.item_id or NO_ID}", *file.lines)).encode()


def parse_proof_file(kind: Kind, content: bytes) -> ProofFile:
    """Read a proof's lines from a file, or from what HTTP clients print.

    Args:
        kind: Which is expected.
        content: Untrusted: a file of it; or the header's value, white space
            around it ignored; or lines one of which is the header.

    Raises:
        FormatTooNewError: The file is of a later format.
        MalformedError: Anything else that is none of these.
    """
    if len(content) > kind.max_bytes:
        raise MalformedError(f"a {kind.what} file of at most {kind.max_bytes} bytes was expected")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError(f"{kind.what} file: ASCII was expected") from exc
    mark = text.partition("\n")[0].partition(" ")[0]
    if mark == kind.mark:
        return _parse_lines(kind, text)
    stem = kind.mark.removesuffix(_VERSION)
    if mark.startswith(stem) and _LATER.match(mark, len(stem)):
        raise FormatTooNewError(
            f"a {kind.what} file of a later format was found, {kind.mark} was expected; update"
        )
    return ProofFile(None, [header_in(text, kind.header)])


def _parse_lines(kind: Kind, text: str) -> ProofFile:
    lines = text.split("\n")
    if lines.pop() or len(lines) < _FEWEST_LINES:
        raise MalformedError(f"{kind.what} file: whole lines were expected: {kind.lines}")
    item_id = lines.pop(0).removeprefix(f"{kind.mark} ")
    if item_id != NO_ID and not is_item_id(item_id):
        raise MalformedError(
            f"{kind.what} file: {kind.mark} and an item's id, or -, were expected in its first line"
        )
    return ProofFile(None if item_id == NO_ID else item_id, lines)


def header_in(text: str, name: str) -> str:
    """The value of the one header of a name among what an HTTP client shows; else all of the text.

    Args:
        text: Untrusted, ASCII.
        name: Of the header, in any case.

    Raises:
        MalformedError: It stands there more than once.
    """
    line = rf"^{name}:[ \t]*([^\r\n]*?)[ \t\r]*$"
    found = re.findall(line, text, re.IGNORECASE | re.MULTILINE)
    if len(found) > 1:
        raise MalformedError(f"one {name} header was expected, {len(found)} were found")
    return str(found[0]) if found else text.strip()
