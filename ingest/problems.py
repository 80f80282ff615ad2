"""Every answer's status: the only file that knows HTTP's numbers.

A ``Problem`` is what a caller is told when nothing was stored; its sentence
names the field or the limit, never a stored value, a key or a path. Problems
that depend on nothing are constants, so that a wrong key, an unknown owner, a
revoked and an expired slot are one and the same bytes. FORMAT.md, "The
wire", "Errors".
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vault.errors import DiskFullError, ItemError, VaultError
from vault.judging import Outcome
from vault.submissions import Answer

OK = 200
NO_CONTENT = 204

RETRY_SECONDS = (1, 4)
"""Sent as Retry-After with a 503, the least and how much more: a commit takes milliseconds, a reopened vault
less than a second; but those who were refused together must not come back together."""

PAUSED_RETRY_SECONDS = (5, 10)
"""The same while a maintainer holds the vault, which takes seconds to minutes."""


class Problem(msgspec.Struct, frozen=True):
    """One refusal.

    Attributes:
        status: HTTP status code.
        sentence: One line for the person behind the client; empty for an empty body.
        retry_after: Seconds after which the same request may succeed; None if it never will.
        spread_seconds: How many more a client may be told, each for itself; see ``spread``.
        is_closing: Whether the connection ends with this answer, because the body was not read.
        allow: The methods of a known path, for 405.
    """

    status: int
    sentence: str = ""
    retry_after: int | None = None
    spread_seconds: int = 0
    is_closing: bool = False
    allow: str | None = None


class Refused(Exception):  # noqa: N818  # names the fact, as vault.errors do; it is an answer, not a fault
    """Ends a request with a problem. Never carries a key, an id or a value."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


NOT_ADMITTED = Problem(403, "this owner and key may not write here; check the invite, or ask for a new one")
"""Unknown owner, malformed owner, wrong key, revoked or expired slot: all the same."""

NO_PLUGINS = Problem(403, "auth.type: plugins have no access here; send ClientAuth")
NOT_FOUND = Problem(404)
TOO_SLOW = Problem(
    408, "the body did not arrive in time; send it faster or in smaller items", is_closing=True
)
CUT_OFF = Problem(400, "the connection ended before the body did", is_closing=True)
ONE_HOST = Problem(400, "exactly one Host header was expected", is_closing=True)
NO_ENCODING = Problem(400, "Content-Encoding: the body was expected as plain JSON", is_closing=True)
BAD_LENGTH = Problem(400, "Content-Length: one number of bytes was expected", is_closing=True)
NO_REQUEST = Problem(400, "an HTTP request of payload format 2.0 was expected")
BAD_BASE64 = Problem(400, "the event's body was expected as base64")
RATE_OVER_LIMIT = Problem(
    403, "the body alone exceeds the bytes a minute this invite allows; send smaller items"
)
ITEM_TOO_LARGE = Problem(403, "the item is larger than this invite or pod allows; send a smaller one")
QUEUE_FULL = Problem(503, "too many items are waiting; try again", *RETRY_SECONDS)
BODIES_FULL = Problem(
    503, "too many large bodies are being received; try again", *RETRY_SECONDS, is_closing=True
)
VAULTS_FULL = Problem(503, "too many pods are in use at once; try again", *RETRY_SECONDS)
UNAVAILABLE = Problem(
    503, "this pod cannot store items now; try again, or tell its maintainer", *RETRY_SECONDS
)
PAUSED = Problem(503, "this pod's maintainer is working on it; try again in a while", *PAUSED_RETRY_SECONDS)
DISK_FULL = Problem(507, "the pod's disk is full; tell its maintainer")


def malformed(sentence: str) -> Problem:
    """A body that breaks a rule, which ``sentence`` names."""
    return Problem(400, sentence)


def too_large(limit_bytes: int) -> Problem:
    """A body over the server's limit."""
    return Problem(413, f"a body of at most {limit_bytes} bytes was expected", is_closing=True)


def wrong_method(allow: str) -> Problem:
    """A known path asked with another method than those in ``allow``."""
    return Problem(405, f"the method {allow} was expected", allow=allow)


def too_fast(wait_seconds: int) -> Problem:
    """The slot's rate is spent for now."""
    return Problem(429, "this invite's rate is spent; slow down", retry_after=wait_seconds)


def spread(problem: Problem, entropy: Callable[[int], bytes]) -> Problem:
    """Draw how long one client is told to wait, where many are told at once.

    Args:
        problem: Any.
        entropy: The source of randomness.

    Returns:
        One whose ``retry_after`` is uniform from its own to ``spread_seconds``
        more; ``problem`` itself where nothing is to be spread.
    """
    if problem.retry_after is None or not problem.spread_seconds:
        return problem
    more = int.from_bytes(entropy(8), "little") % (problem.spread_seconds + 1)
    return msgspec.structs.replace(problem, retry_after=problem.retry_after + more, spread_seconds=0)


def ending(problem: Problem) -> Problem:
    """The same answer, with which the connection ends."""
    return msgspec.structs.replace(problem, is_closing=True)


def unexpected(error_id: str) -> Problem:
    """A fault of ours, which the log names by ``error_id``."""
    return Problem(
        500, f"an error that should not happen, {error_id} in the server's log; tell the maintainer"
    )


_OUTCOME_STATUS = {Outcome.CONFLICT: 409, Outcome.INVALID: 400, Outcome.FORBIDDEN: 403}
_STORED = frozenset((Outcome.STORED, Outcome.RETRY, Outcome.REPEATED))


def problem_of_answer(answer: Answer) -> Problem | None:
    """The problem in a writer's answer; None where it is a 200."""
    if answer.outcome in _STORED:
        return None
    if answer.outcome is Outcome.CLOSED:
        return NOT_ADMITTED
    return Problem(_OUTCOME_STATUS[answer.outcome], answer.sentence or "the item was refused")


def problem_of_item(error: ItemError) -> Problem:
    """A member of the item breaks a rule of the wire."""
    return malformed(str(error))


def problem_of_failure(error: VaultError) -> Problem:
    """What every request of a failed batch is told: nothing of it is acknowledged.

    The reason is the maintainer's, and goes to the log.
    """
    return DISK_FULL if isinstance(error, DiskFullError) else UNAVAILABLE
