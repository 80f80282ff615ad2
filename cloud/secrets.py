"""The one secret of a deployment: where a function reads its log key from.

``ssm:NAME`` is a SecureString of AWS's Parameter Store, ``secretsmanager:NAME``
a secret of AWS's Secrets Manager, ``file:PATH`` a file of this machine. Never
an environment variable: consoles show those. What is read signs promises and
opens nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from vault.errors import MalformedError, StorageError
from vault.files import read_file
from vault.keys import LogKey
from vault.pod import parse_hex_line

EXPECTED = "a log key's place: ssm:NAME, secretsmanager:NAME or file:PATH was expected"
MOST_KEY_BYTES = 100
_SECONDS = 3.0
_TRIES = 3
_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}", re.ASCII)
_REFUSED = (BotoCoreError, ClientError)


def _from_ssm(name: str) -> str:
    with contextlib.closing(_client("ssm")) as client:
        return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def _from_secrets_manager(name: str) -> str:
    with contextlib.closing(_client("secretsmanager")) as client:
        return str(client.get_secret_value(SecretId=name)["SecretString"])


_READERS: dict[str, Callable[[str], str]] = {"ssm": _from_ssm, "secretsmanager": _from_secrets_manager}


def _client(service: str) -> Any:
    # These may be tried again: reading changes nothing.
    config = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": _TRIES})
    region = os.environ.get("AWS_REGION") or None
    return get_session().create_client(service, region, config=config)


def read_log_key(place: str) -> LogKey:
    """Read a function's log key: 64 hexadecimal digits, with or without a newline.

    Args:
        place: ``ssm:NAME``, ``secretsmanager:NAME`` or ``file:PATH``.

    Raises:
        MalformedError: The place is none, or what is there is no key. Nothing of it is quoted.
        MissingError: There is no such file.
        StorageError: It cannot be read: no right, no such name, no answer.
    """
    kind, _, name = place.partition(":")
    if kind == "file" and name:
        content = read_file(Path(name), MOST_KEY_BYTES)
    elif kind in _READERS and _NAME.fullmatch(name):
        content = _read(kind, name)
    else:
        raise MalformedError(EXPECTED)
    return LogKey.from_hex(parse_hex_line(content, "the log key"))


def _read(kind: str, name: str) -> bytes:
    try:
        return _READERS[kind](name).encode()
    except _REFUSED as exc:
        # Not its text: it quotes names, and may quote what it could not decrypt.
        code = exc.response.get("Error", {}).get("Code", "") if isinstance(exc, ClientError) else ""
        said = code if re.fullmatch(r"[A-Za-z]{1,64}", code) else type(exc).__name__
        raise StorageError(
            f"the function's log key could not be read from {kind} ({said}); "
            "check its name, its region and who may read it"
        ) from exc
    except KeyError as exc:
        raise MalformedError(f"the function's log key in {kind} is no text") from exc
