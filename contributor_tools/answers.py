"""What an answer of `create_item` means to the one who sent the item. Pure.

The wire's statuses sort into four: kept; refused, and sending it again
unchanged will not help; not now; and answers no pod gives, which end a run.
Bodies come from a stranger: at most one sentence of them is passed on.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec

_FAILURE = "Failure: "
_MOST_SENTENCE_CHARACTERS = 300
_MOST_RETRY_DIGITS = 6

# 408, 429, 503 and 507 are the pod's own; the other two a proxy's while a pod restarts.
_TRY_LATER = frozenset(
    (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        HTTPStatus.INSUFFICIENT_STORAGE,
    )
)
_ABOUT_THE_ITEM = frozenset(
    (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
)

_SENTENCES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "the pod refuses the item",
    HTTPStatus.FORBIDDEN: "the pod refuses this invite",
    HTTPStatus.NOT_FOUND: "no pod answers at the invite's address; ask the maintainer for a new invite",
    HTTPStatus.CONFLICT: "the pod holds other content under this id",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the item is larger than the pod takes",
    HTTPStatus.TOO_MANY_REQUESTS: "the pod takes no more items this minute",
    HTTPStatus.INSUFFICIENT_STORAGE: "the pod's disk is full",
}


class Accepted(msgspec.Struct, frozen=True):
    """The item is kept, since now or since an earlier try.

    Attributes:
        id: Its id.
        receipt: As the header carried it, unchecked; None if there was none.
        promise: What a function gives in its place, likewise.
    """

    id: str
    receipt: str | None = None
    promise: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """The item was refused; sending it again unchanged will not help.

    Attributes:
        status: The HTTP status.
        sentence: Why, in the server's words or ours. Untrusted.
    """

    status: int
    sentence: str

    @property
    def is_about_item(self) -> bool:
        """Whether another item may well be accepted."""
        return self.status in _ABOUT_THE_ITEM

    @property
    def is_about_permission(self) -> bool:
        """Whether the invite does not allow it: the key, the type, a size or a count."""
        return self.status == HTTPStatus.FORBIDDEN


class TryLater(msgspec.Struct, frozen=True):
    """Not decided; the same item may be accepted later.

    Attributes:
        sentence: Why not now.
        retry_after_seconds: What the server asked for, if it did.
    """

    sentence: str
    retry_after_seconds: float | None = None


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer as it came.

    Attributes:
        status: 200 to 599.
        body: Possibly cut; no answer of the wire is that long.
        retry_after: That header.
        receipt: The Pod-Receipt header.
        promise: The Pod-Promise header.
    """

    status: int
    body: bytes
    retry_after: str | None = None
    receipt: str | None = None
    promise: str | None = None


def judge(reply: Reply, sent_id: str | None) -> Accepted | Refused | TryLater:
    """Decide what a reply means.

    Args:
        reply: Untrusted.
        sent_id: The id in the payload, which the answer must repeat; None if
            the server makes one.
    """
    if reply.status == HTTPStatus.OK:
        return _kept(reply, sent_id)
    if reply.status in _TRY_LATER:
        return TryLater(_sentence(reply), _retry_after_seconds(reply.retry_after))
    return Refused(reply.status, _sentence(reply))


def _kept(reply: Reply, sent_id: str | None) -> Accepted | Refused:
    try:
        answered_id = msgspec.json.decode(reply.body, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answered_id = ""
    if not answered_id or sent_id not in {None, answered_id}:
        return Refused(
            reply.status, "what answers at the invite's address is no pod; ask the maintainer for its address"
        )
    return Accepted(answered_id, reply.receipt, reply.promise)


def _sentence(reply: Reply) -> str:
    text = reply.body.decode("utf-8", "replace")
    if text.startswith(_FAILURE):
        return text.removeprefix(_FAILURE)[:_MOST_SENTENCE_CHARACTERS].strip()
    # Another body is a proxy's page, which would fill the screen.
    return _SENTENCES.get(reply.status) or f"the server answered with status {reply.status}"


def _retry_after_seconds(header: str | None) -> float | None:
    # The other form, a date, needs two clocks that agree; our own delays do as well.
    if header is None or not header.isascii() or not header.isdigit() or len(header) > _MOST_RETRY_DIGITS:
        return None
    return float(header)
