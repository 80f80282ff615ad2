"""What a store's answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.s3 import AgainError, ExistsError, ask


def _refusing(**_: Any) -> None:
    raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 412}, "Error": {"Code": "X"}}, "any")


def test_that_something_stands_there_answers_a_condition_alone() -> None:
    """412 to a request without one, of a store or of something on the way, may pass; it is no bug of ours."""
    with pytest.raises(ExistsError):
        ask(_refusing, IfNoneMatch="*")
    with pytest.raises(AgainError, match="412"):
        ask(_refusing, Key="x")
