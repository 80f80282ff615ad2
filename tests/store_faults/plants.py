"""What is planted in processes under faults: impatience, short pages, or a bug that must be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.storm.plants import put

IMPATIENT_SECONDS = 0.5
PAGE = 7


def _impatient() -> None:
    """A time-out comes soon, for tests that cannot wait."""
    import cloud.s3 as found  # noqa: PLC0415  # before any other module of ours takes up what it says

    put(found, READ_SECONDS=IMPATIENT_SECONDS)


def _short_pages() -> None:
    """A list of a few has several pages."""
    import maintainer_tools.s3_source as found  # noqa: PLC0415  # in the planted process alone

    put(found, _PAGE={"MaxKeys": PAGE})


def _believes_a_time_out() -> None:
    """What was not answered is taken for stored: mostly it is."""
    from cloud.placing import Placing  # noqa: PLC0415  # in the planted process alone
    from cloud.s3 import AgainError  # noqa: PLC0415

    attempt = Placing._try

    def attempt_once(self: Placing, *given: Any) -> object:
        try:
            return attempt(self, *given)
        except AgainError:
            return None

    put(Placing, _try=attempt_once)


def _takes_all_for_its_own() -> None:
    """412 says that something is there; whose, is not looked at."""
    from cloud.placing import Placing  # noqa: PLC0415  # in the planted process alone

    put(Placing, _look=lambda *_: None)


def _puts_over() -> None:
    """The condition is forgotten."""
    import cloud.placing as found  # noqa: PLC0415  # in the planted process alone

    ask = found.ask  # type: ignore[attr-defined]  # where it is called from

    def ask_without(request: Callable[..., Any], **parameters: Any) -> Any:
        parameters.pop("IfNoneMatch", None)
        return ask(request, **parameters)

    put(found, ask=ask_without)


def _forgets_where_it_was() -> None:
    """A list that breaks off is one that has ended."""
    import maintainer_tools.s3_source as found  # noqa: PLC0415  # in the planted process alone
    from cloud.s3 import AgainError  # noqa: PLC0415

    listed = found.S3Source._list

    def list_once(self: found.S3Source, *given: Any) -> dict[str, Any]:
        patience, found.DEADLINE_SECONDS = found.DEADLINE_SECONDS, 0.0
        try:
            return listed(self, *given)
        except AgainError:
            return {"IsTruncated": False}
        finally:
            found.DEADLINE_SECONDS = patience

    put(found.S3Source, _list=list_once)


IMPATIENT, SHORT_PAGES = "impatient", "short pages"
BUGS: Mapping[str, Callable[[], None]] = {
    "a time-out is taken for a success": _believes_a_time_out,
    "what stands there is taken for one's own": _takes_all_for_its_own,
    "an object is put over another": _puts_over,
    "a list that breaks off has ended": _forgets_where_it_was,
}
"""What a round must find."""
PLANTS: Mapping[str, Callable[[], None]] = {IMPATIENT: _impatient, SHORT_PAGES: _short_pages, **BUGS}
