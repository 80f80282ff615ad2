"""Where a function's log key is read from, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import secrets
from vault.errors import MalformedError

KEY = "ab" * 32


class Client:
    """One of a cloud's clients; it has the key unless it is empty."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_closed = False

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        """Of Parameter Store."""
        return {"Parameter": {"Value": self.key}}

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        """Of Secrets Manager."""
        return {"SecretString": self.key}

    def close(self) -> None:
        """Let its connections go."""
        self.is_closed = True


@pytest.mark.parametrize("kind", ["ssm", "secretsmanager"])
def test_no_client_is_left_open(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A function whose key is wrong tries again at each event."""
    for key in (KEY, "no key"):
        client = Client(key)
        monkeypatch.setattr(secrets, "_client", lambda _, made=client: made)
        if key == KEY:
            assert secrets.read_log_key(f"{kind}:name").reveal().hex() == KEY
        else:
            with pytest.raises(MalformedError):
                secrets.read_log_key(f"{kind}:name")
        assert client.is_closed
