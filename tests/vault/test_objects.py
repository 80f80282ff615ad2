"""Keys and tags: they lead from an item to its object, and come back from a store as anybody set them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.test_promises import POD_ID, made
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import PodId
from vault.objects import MAX_TAG_CHARACTERS, decode_tags, encode_tags, name_in_key, object_key, prefixes
from vault.promises import Promise

NAME = bytes(range(200, 222))


def test_a_key_is_the_names_and_nobody_elses() -> None:
    """The store is the arbiter: one name, one key."""
    key = object_key(POD_ID, NAME)
    assert key == f"v1/d/{POD_ID.hex()}/{NAME.hex()}"
    assert len(key) == 114
    assert name_in_key(key, POD_ID) == NAME


@given(st.binary(min_size=22, max_size=22))
def test_every_key_is_below_one_of_the_prefixes(name: bytes) -> None:
    """What is listed to collect."""
    key = object_key(POD_ID, name)
    assert sum(key.startswith(prefix) for prefix in prefixes(POD_ID)) == 1
    assert name_in_key(key, POD_ID) == name


@pytest.mark.parametrize(
    "key",
    [
        "",
        f"v1/c/{POD_ID.hex()}/{NAME.hex()}",
        f"v2/d/{POD_ID.hex()}/{NAME.hex()}",
        f"v1/d/{bytes(32).hex()}/{NAME.hex()}",
        f"v1/d/{POD_ID.hex()}/{NAME.hex().upper()}",
        f"v1/d/{POD_ID.hex()}/{NAME.hex()}\n",
        f"v1/d/{POD_ID.hex()}/{NAME.hex()}00",
        f"v1/d/{POD_ID.hex()}/{NAME.hex()[:-2]}",
        f"/v1/d/{POD_ID.hex()}/{NAME.hex()}",
        f"v1/d/{POD_ID.hex()}/../{NAME.hex()}",
        "v1/d/" + "\u0661" * 64 + "/" + NAME.hex(),
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    """Another shard, pod, case or length is another object."""
    with pytest.raises(MalformedError, match="not that of a segment of this pod"):
        name_in_key(key, POD_ID)


def test_tags_hold_a_promise_and_a_store_takes_them() -> None:
    """S3: at most 10 tags, keys of 128 and values of 256 characters, of few signs."""
    tags = encode_tags(made())
    assert len(tags) == 6
    assert all(len(value) <= MAX_TAG_CHARACTERS and len(name) <= 128 for name, value in tags.items())
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert set("".join([*tags, *tags.values()])) <= allowed
    assert decode_tags(tags) == made()


def test_tags_of_others_are_ignored() -> None:
    """A scanner of the account adds its own."""
    assert decode_tags(encode_tags(made()) | {"GuardDutyMalwareScanStatus": "NO_THREATS_FOUND"}) == made()


@pytest.mark.parametrize(
    "promise",
    [
        made(2),
        msgspec.structs.replace(made(), index=1),
        msgspec.structs.replace(made(), header=b"short"),
    ],
)
def test_only_batches_of_one_have_tags(promise: Promise) -> None:
    """A path has no room in them."""
    with pytest.raises(MalformedError, match="a batch of one item"):
        encode_tags(promise)


@pytest.mark.parametrize("name", sorted(encode_tags(made())))
def test_a_tag_that_is_missing_altered_or_of_another_form_is_refused(name: str) -> None:
    """Each of them."""
    tags = encode_tags(made())
    wrong: list[dict[str, Any]] = [
        {key: value for key, value in tags.items() if key != name},
        tags | {name: ""},
        tags | {name: tags[name] + "A"},
        tags | {name: tags[name][:-1]},
        tags | {name: tags[name][:-1] + "="},
        tags | {name: tags[name][:-1] + "é"},
        tags | {name: tags[name][:-1] + "+"},
        tags | {name: "A" * 100_000},
    ]
    for changed in wrong:
        with pytest.raises(MalformedError):
            decode_tags(changed)


def test_bits_that_say_nothing_are_refused() -> None:
    """One form: the last letter of a 32-byte value has two bits that no byte takes."""
    tags = encode_tags(made())
    assert tags["c"].endswith("A")
    with pytest.raises(MalformedError, match="one form"):
        decode_tags(tags | {"c": tags["c"][:-1] + "B"})


def test_the_header_is_cut_at_its_place_alone() -> None:
    """No second way to say the same."""
    tags = encode_tags(made())
    both = tags["header-1"] + tags["header-2"]
    for at in (0, 216, 218, len(both)):
        with pytest.raises(MalformedError, match="one form"):
            decode_tags(tags | {"header-1": both[:at], "header-2": both[at:]})


def test_a_later_number_is_a_later_format() -> None:
    """And any other mark is none of ours."""
    with pytest.raises(FormatTooNewError):
        decode_tags(encode_tags(made()) | {"shared-pod": "2"})
    for mark in ("0", "01", "1 ", "x", "\u0662"):
        with pytest.raises(MalformedError, match="without the tags of a segment"):
            decode_tags(encode_tags(made()) | {"shared-pod": mark})


@given(st.dictionaries(st.sampled_from([*encode_tags(made()), "other"]), st.text(max_size=300)))
def test_any_tags_are_read_or_refused(tags: dict[str, str]) -> None:
    """In our words."""
    with pytest.raises((MalformedError, FormatTooNewError)):
        decode_tags(tags)


def test_pods_have_keys_of_their_own() -> None:
    """One bucket may hold many."""
    assert not set(prefixes(POD_ID)) & set(prefixes(PodId(bytes(32))))
