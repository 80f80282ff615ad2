"""An object's bytes as a store answers with them: read so far and no further, and known to be whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.s3 import AgainError


def read_body(answer: Mapping[str, Any], most_bytes: int) -> bytes:
    """Read the body of an answer to ``get_object``; called inside ``cloud.s3.ask``, whose errors it raises.

    Returns:
        An object's bytes; of a larger one the first ``most_bytes`` + 1.

    Raises:
        AgainError: The answer does not say how long it is.
    """
    parts, size = [], 0
    # A body that was cut is noticed by the read that finds its end.
    while size <= most_bytes and (part := answer["Body"].read(most_bytes + 1 - size)):
        parts.append(part)
        size += len(part)
    if size > most_bytes:
        answer["Body"].close()
    elif not _says_its_length(answer):
        raise AgainError("the object store's answer does not say how long it is; it may have been cut off")
    return b"".join(parts)


def _says_its_length(answer: Mapping[str, Any]) -> bool:
    """Whether the library could see that a body is whole: an answer that ends among its headers has none."""
    return "ContentLength" in answer or "transfer-encoding" in answer["ResponseMetadata"]["HTTPHeaders"]
