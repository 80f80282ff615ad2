"""Addresses of object stores: read as they are written, and nothing secret or insecure in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.store_address import StoreAddress, parse_store_address
from vault.errors import MalformedError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://my-bucket", StoreAddress("my-bucket")),
        ("s3://my.bucket/", StoreAddress("my.bucket")),
        ("s3://bucket/pods/a-b_c", StoreAddress("bucket", "pods/a-b_c/")),
        (
            "s3://bucket/p?endpoint=https://one.example:7480&endpoint=http://127.0.0.1:1&region=eu-central-1",
            StoreAddress("bucket", "p/", ("https://one.example:7480", "http://127.0.0.1:1"), "eu-central-1"),
        ),
        (
            "s3://bucket?endpoint=http://localhost:9000/&tags=none",
            StoreAddress("bucket", "", ("http://localhost:9000",), None, keeps_tags=False),
        ),
    ],
)
def test_an_address_is_read_and_written(text: str, address: StoreAddress) -> None:
    """What is written of it is read as the same."""
    assert parse_store_address(text) == address
    assert parse_store_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bucket",
        "https://bucket/x",
        "s3://",
        "s3://ab",
        "s3://Bucket",
        "s3://bucket_x",
        "s3://bucket/a b",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/a/./b",
        "s3://bucket/" + "a" * 101,
        "s3://bucket/a#b",
        "s3://bucket\n",
        "s3://bucket?tags",
        "s3://bucket?tags=all",
        "s3://bucket?tags=none&tags=none",
        "s3://bucket?region=",
        "s3://bucket?region=a&region=b",
        "s3://bucket?region=a/b",
        "s3://bucket?key=x",
        "s3://bucket?endpoint=ftp://x",
        "s3://bucket?endpoint=https://user:pass@host",
        "s3://[bucket/x",
        "s3://bucket?" + "&".join(["endpoint=https://h"] * 17),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """One form, and every part of it checked: it becomes keys and URLs."""
    with pytest.raises(MalformedError):
        parse_store_address(text)


@pytest.mark.parametrize("host", ["store.example", "10.0.0.1", "127.0.0.1.example", "[::2]", "192.168.0.1"])
def test_plain_http_to_another_machine_is_refused(host: str) -> None:
    """Who sits between could answer 200 for a store that never saw the item."""
    with pytest.raises(MalformedError, match="https:// was expected"):
        parse_store_address(f"s3://bucket?endpoint=http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1:9000", "[::1]:80", "localhost"])
def test_plain_http_to_this_machine_is_fine(host: str) -> None:
    """Nobody sits between."""
    assert parse_store_address(f"s3://bucket?endpoint=http://{host}").endpoints == (f"http://{host}",)


def test_keys_in_an_address_are_refused_and_not_quoted() -> None:
    """A command line is seen by every user of a machine; the error repeats nothing of it."""
    with pytest.raises(MalformedError) as refused:
        parse_store_address("s3://AKIAXYZ:secret-of-mine@bucket/x")
    assert "secret-of-mine" not in str(refused.value)
    assert "AWS_SECRET_ACCESS_KEY" in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """No other error leaves."""
    for tried in (text, f"s3://{text}", f"s3://bucket/{text}", f"s3://bucket?{text}"):
        try:
            address = parse_store_address(tried)
        except MalformedError:
            continue
        assert parse_store_address(str(address)) == address
