"""Where a key may be sent."""

from __future__ import annotations

import http.client
import ssl

import pytest

from contributor_tools.address import PlainHttpError, is_loopback, parse_address
from vault.errors import MalformedError


@pytest.mark.parametrize(
    "url", ["http://plants.example.org", "http://192.168.1.5:3030", "http://127.0.0.1.evil.org"]
)
def test_plain_http_to_another_machine_is_refused_and_says_why(url: str) -> None:
    """The key goes with every item; one reader on the way has it for good."""
    with pytest.raises(PlainHttpError, match="--insecure-http"):
        parse_address(url)


def test_plain_http_is_allowed_in_so_many_words() -> None:
    """A field laptop and a pod on one cable need no certificate."""
    address = parse_address("http://192.168.1.5:3030", allows_plain_http=True)
    assert (address.host, address.port, address.is_tls) == ("192.168.1.5", 3030, False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_needs_no_tls(host: str) -> None:
    """`make run` and tests work without certificates."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example.org", "10.0.0.1", "", "2130706433"])
def test_other_hosts_are_not_this_machine(host: str) -> None:
    """Names that only look local must not get a readable key."""
    assert not is_loopback(host)


def test_a_path_is_kept_in_front_of_the_wires_own() -> None:
    """A pod may stand behind a proxy's prefix."""
    assert parse_address("https://example.org/pods/é%20x/").path == "/pods/%C3%A9%20x"


def test_an_ipv6_address_keeps_its_port() -> None:
    """Brackets belong to the URL, not to the host."""
    address = parse_address("http://[::1]:3030")
    assert (address.host, address.port) == ("::1", 3030)


def test_https_verifies_with_the_given_context() -> None:
    """Certificates are checked; nothing here turns that off."""
    tls = ssl.create_default_context()
    connection = parse_address("https://example.org").connection(tls)
    assert isinstance(connection, http.client.HTTPSConnection)
    assert connection._context is tls  # type: ignore[attr-defined]  # the standard library's own name
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_a_host_that_cannot_exist_is_our_error() -> None:
    """A label over 63 characters makes the resolver raise something else entirely."""
    with pytest.raises(MalformedError, match="host name"):
        parse_address("https://" + "a" * 64 + ".org")
