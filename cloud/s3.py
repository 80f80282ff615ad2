"""Requests to an S3-compatible store, one try each, and what their failures mean.

The library's own retries are off: a conditional put that is repeated inside
one call answers 412 about itself, and only who repeats it knows. Every failure
becomes one of three: there is something already, it may succeed if it is tried
again, or it will not. A store's texts are not passed on, only its codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.parsers import ResponseParserError
from botocore.session import get_session
from urllib3.exceptions import HTTPError

from cloud.store_address import DEFAULT_REGION, StoreAddress
from vault.errors import MissingError, StorageError

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
"""A small put takes tens of milliseconds; who waits for more than this is better off with another try."""
CONNECTIONS = 32

PRECONDITION_FAILED = 412
_NOT_FOUND, _CONFLICT, _REQUEST_TIMEOUT, _TOO_MANY, _NOT_IMPLEMENTED = 404, 409, 408, 429, 501
_LEAST_SERVER_ERROR = 500
_AGAIN = frozenset((_CONFLICT, _REQUEST_TIMEOUT, _TOO_MANY, PRECONDITION_FAILED))
_AGAIN_CODES = frozenset(("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "InternalError"))
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}", re.ASCII)

_BROKEN = (HTTPClientError, NotConnectedError, IncompleteReadError, ResponseParserError, HTTPError, OSError)
"""The connection failed, timed out or was cut, or what came back is no answer: nothing is known."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the library's parsers stumble over in an answer of another form, such as a number that is none."""

Result = TypeVar("Result")


class ExistsError(Exception):
    """The store answered 412: there is an object under this key already."""


class AgainError(StorageError):
    """A request that failed in a way that may pass; it may have been carried out."""


def make_client(
    address: StoreAddress, endpoint: str | None = None, secret: str | None = None, *, is_signing: bool = True
) -> Any:
    """Make the client of one endpoint. It connects when it is asked first.

    Keys come from where the library looks for them: the environment, a
    profile, or the role of the machine.

    Args:
        address: Of the store.
        endpoint: One of its endpoints; None for AWS's own.
        secret: In place of the one that is found, for who tries a wrong one.
        is_signing: Whether requests are signed at all.

    Raises:
        StorageError: The environment's configuration cannot be read.
    """
    try:
        session = get_session()
        region = address.region or session.get_config_variable("region") or DEFAULT_REGION
        if secret:
            found = session.get_credentials()
            session.set_credentials(found.access_key if found else "none", secret, found and found.token)
        return session.create_client(
            "s3", region, endpoint_url=endpoint, config=_config(endpoint, is_signing)
        )
    except (BotoCoreError, ValueError) as exc:
        raise _unusable(exc) from exc


def _config(endpoint: str | None, is_signing: bool) -> Config:  # noqa: FBT001  # passed on
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=CONNECTIONS,
        signature_version="s3v4" if is_signing else UNSIGNED,
        # Other stores have no names for buckets; and the body's hash is signed, also inside TLS.
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
        # Puts bring their own; what a store does not know it must not be sent.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # A verdict is about the endpoints in the address, not about those of the environment.
        ignore_configured_endpoint_urls=True,
    )


def make_clients(address: StoreAddress) -> tuple[Any, ...]:
    """A client for each way to a store; see ``make_client``."""
    return tuple(make_client(address, endpoint) for endpoint in address.endpoints or (None,))


def ask(request: Callable[..., Result], **parameters: Any) -> Result:
    """Make one request, once.

    Args:
        request: A method of a client.
        parameters: Its own.

    Raises:
        ExistsError: 412, to a request with a condition.
        MissingError: There is no such object.
        AgainError: It may pass: busy, slow, cut off, or raced by another.
        StorageError: It will not: refused, no such bucket, not implemented.
    """
    try:
        return request(**parameters)
    except ClientError as exc:
        raise _meaning(exc, is_conditional="IfNoneMatch" in parameters) from exc
    except _BROKEN as exc:
        raise AgainError(f"the object store did not answer ({type(exc).__name__}); try again") from exc
    except BotoCoreError as exc:
        raise _unusable(exc) from exc
    except _UNREADABLE as exc:
        raise AgainError(
            f"the object store's answer cannot be read ({type(exc).__name__}); try again"
        ) from exc


def _meaning(error: ClientError, *, is_conditional: bool) -> Exception:
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(answer.get("Error", {}).get("Code", ""))
    if status == PRECONDITION_FAILED and is_conditional:
        return ExistsError()
    if status == _NOT_FOUND and code in {"NoSuchKey", "404"}:
        return MissingError("there is no such object in the store")
    said = f"{status} {code if _CODE.fullmatch(code) else ''}".strip()
    is_passing = status in _AGAIN or (status >= _LEAST_SERVER_ERROR and status != _NOT_IMPLEMENTED)
    if is_passing or code in _AGAIN_CODES:
        return AgainError(f"the object store answered {said}; try again")
    return StorageError(
        f"the object store answered {said}; check the bucket, the keys and the rights of their role"
    )


def _unusable(error: Exception) -> StorageError:
    # Not its text: it may quote the environment.
    return StorageError(
        f"the object store cannot be asked ({type(error).__name__}); check AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and the profile in use"
    )
