"""Fetching objects ahead of who reads them: several at once, a few in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from vault.errors import MissingError
from vault.objects import SegmentSource
from vault.segments import MAX_SEGMENT_BYTES

Fetched = tuple[str, bytes | MissingError]
"""A key, and its object or why there is none."""


def fetched(source: SegmentSource, keys: Iterable[str], jobs: int) -> Iterator[Fetched]:
    """Yield each object, in the order of the keys.

    Args:
        source: Where they lie.
        keys: Which.
        jobs: How many are fetched at once; twice as many are in memory, of at
            most ``vault.segments.MAX_SEGMENT_BYTES`` each. 1 fetches in this thread.

    Raises:
        StorageError: The store does not give one; what was yielded before is whole.
    """
    if jobs == 1:
        for key in keys:
            yield _fetch(source, key)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="fetch") as pool:
        waiting: deque[Future[Fetched]] = deque()
        try:
            for key in keys:
                waiting.append(pool.submit(_fetch, source, key))
                if len(waiting) == 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _fetch(source: SegmentSource, key: str) -> Fetched:
    try:
        return key, source.fetch(key, MAX_SEGMENT_BYTES)
    except MissingError as exc:
        return key, exc
