"""Requests: only what a signer of this pod asks, under its own name, from a bounded folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.encoding import le64, pae
from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, MalformedError, StorageError
from vault.keys import PodId
from vault.opening import Identity
from vault.pod import PodFolder
from vault.requests import (
    MAX_REQUEST_BYTES,
    MOST_HOLD_MS,
    MOST_NAMES,
    MOST_REQUESTS,
    Erase,
    Hold,
    Request,
    list_requests,
    parse_request,
    read_request,
    remove_request,
    request_bytes,
    requests_folder,
    sign_request,
    write_request,
)

ID = world.draw("request")[:16]
POD_ID = PodId(world.draw("pod"))
SIGNERS = [world.IDENTITY.signer]
HOLD = Hold(1_790_000_000_000)

REQUESTS = st.builds(Hold, st.integers(0, 2**64 - 1)) | st.builds(
    Erase, st.lists(st.binary(max_size=40), max_size=4).map(tuple)
)


def _parsed(content: bytes, pod_id: PodId = POD_ID, request_id: bytes = ID) -> Request:
    return parse_request(content, pod_id=pod_id, request_id=request_id, signers=SIGNERS)


def _signed(signed: bytes, identity: Identity = world.IDENTITY) -> bytes:
    return pae(signed, identity.signer, identity.sign(signed))


@pytest.fixture
def folder(tmp_path: Path) -> PodFolder:
    """A pod's folder."""
    return PodFolder(tmp_path)


@given(request=REQUESTS)
def test_a_signed_request_is_accepted(request: Request) -> None:
    """And says what was asked."""
    assert _parsed(sign_request(POD_ID, ID, request, world.IDENTITY)) == request


@given(data=st.data())
def test_every_byte_of_a_request_counts(data: st.DataObject) -> None:
    """What is signed, by whom, and the signature."""
    content = bytearray(sign_request(POD_ID, ID, Erase((b"one", b"two")), world.IDENTITY))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((MalformedError, DamagedError, ForeignPodError, FormatTooNewError)):
        _parsed(bytes(content))


@given(content=st.binary() | st.lists(st.binary(max_size=40), max_size=6).map(lambda fields: pae(*fields)))
def test_any_bytes_are_no_request(content: bytes) -> None:
    """Whoever reaches the folder puts anything there."""
    with pytest.raises((MalformedError, DamagedError, ForeignPodError)):
        _parsed(content)


@given(length=st.integers(0))
def test_a_request_that_was_cut_is_none(length: int) -> None:
    """At any place."""
    content = sign_request(POD_ID, ID, HOLD, world.IDENTITY)
    with pytest.raises(MalformedError):
        _parsed(content[: length % len(content)])


def test_another_pods_request_is_none() -> None:
    """The same maintainer may have two pods."""
    content = sign_request(POD_ID, ID, HOLD, world.IDENTITY)
    with pytest.raises(ForeignPodError):
        _parsed(content, pod_id=PodId(bytes(32)))


def test_a_copy_under_another_name_is_none() -> None:
    """One request is one file."""
    with pytest.raises(DamagedError, match="another name"):
        _parsed(sign_request(POD_ID, ID, HOLD, world.IDENTITY), request_id=bytes(16))


def test_somebody_elses_request_is_none() -> None:
    """Signed well, by a key the policy does not list."""
    content = sign_request(POD_ID, ID, HOLD, Identity(bytes(32)))
    with pytest.raises(DamagedError, match="not signed by a maintainer"):
        _parsed(content)


@pytest.mark.parametrize(
    ("verb", "body"),
    [(b"open", b""), (b"hold", b"\0" * 7), (b"erase", b"\1"), (b"", b""), (b"Hold", le64(1))],
)
def test_what_is_not_asked_here_is_malformed(verb: bytes, body: bytes) -> None:
    """A verb of another program, or a body of another shape; signed by the maintainer all the same."""
    with pytest.raises(MalformedError):
        _parsed(_signed(pae(b"request/v1", POD_ID, ID, verb, body)))


def test_a_later_format_is_said() -> None:
    """By its label, whatever follows."""
    with pytest.raises(FormatTooNewError):
        _parsed(_signed(pae(b"request/v2", b"anything")))


def test_a_signature_over_something_else_is_no_request() -> None:
    """Labels keep apart what one key signs."""
    signed = request_bytes(POD_ID, ID, HOLD).replace(b"request/v1", b"erasure/v1")
    with pytest.raises(MalformedError):
        _parsed(_signed(signed))


@pytest.mark.parametrize(
    ("now_ms", "is_on"),
    [
        (HOLD.until_ms - MOST_HOLD_MS - 1, False),
        (HOLD.until_ms - MOST_HOLD_MS, True),
        (HOLD.until_ms - 1, True),
        (HOLD.until_ms, False),
    ],
)
def test_a_hold_ends(now_ms: int, is_on: bool) -> None:
    """At its time; and none holds further than an hour ahead."""
    assert HOLD.is_on(now_ms) is is_on


def test_a_request_is_written_found_read_and_removed(folder: PodFolder) -> None:
    """Whole, of mode 0600, in a folder of mode 0700."""
    assert list_requests(folder).found == ()
    write_request(folder, ID, sign_request(POD_ID, ID, HOLD, world.IDENTITY))
    (found,) = list_requests(folder).found
    assert found.id == ID
    assert read_request(found, pod_id=POD_ID, signers=SIGNERS) == HOLD
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700

    write_request(folder, bytes(16), b"another")
    assert [each.id for each in list_requests(folder).found] == sorted([ID, bytes(16)])
    remove_request(folder, ID)
    remove_request(folder, bytes(16))
    assert os.listdir(requests_folder(folder)) == []
    remove_request(folder, ID)


def test_a_request_that_was_replaced_is_another(folder: PodFolder) -> None:
    """Who looks by version reads it anew."""
    write_request(folder, ID, b"one")
    before = list_requests(folder)
    write_request(folder, ID, b"two")
    assert list_requests(folder) != before


def test_removing_where_there_is_no_folder_is_nothing(folder: PodFolder) -> None:
    """Somebody tidied up."""
    remove_request(folder, ID)
    assert not requests_folder(folder).exists()


def test_ten_thousand_files_cost_a_look_of_a_thousand_names(folder: PodFolder) -> None:
    """And that there are more is said."""
    requests_folder(folder).mkdir()
    for number in range(10_000):
        (requests_folder(folder) / number.to_bytes(16, "big").hex()).touch()
    listing = list_requests(folder)
    assert len(listing.found) == MOST_REQUESTS
    assert listing.is_cut


def test_other_names_are_passed_over(folder: PodFolder) -> None:
    """What is being written, upper case, what an editor left; too many of those are said too."""
    requests_folder(folder).mkdir()
    for name in (ID.hex() + ".new", ID.hex().upper(), ID.hex() + "\n", "x" * 32, "README"):
        (requests_folder(folder) / name).touch()
    assert list_requests(folder) == ((), False)
    for number in range(MOST_NAMES):
        (requests_folder(folder) / f"{number}").touch()
    assert list_requests(folder) == ((), True)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "large", "gone"])
def test_what_is_no_small_regular_file_is_not_read(folder: PodFolder, kind: str) -> None:
    """A link may lead anywhere, a pipe keeps its reader waiting, a folder is none."""
    write_request(folder, ID, sign_request(POD_ID, ID, HOLD, world.IDENTITY))
    (found,) = list_requests(folder).found
    if kind == "link":
        found.path.rename(folder.path / "elsewhere")
        found.path.symlink_to(folder.path / "elsewhere")
    elif kind == "large":
        found.path.write_bytes(bytes(MAX_REQUEST_BYTES + 1))
    else:
        found.path.unlink()
    if kind == "pipe":
        os.mkfifo(found.path)
    if kind == "folder":
        found.path.mkdir()
    with pytest.raises(MalformedError if kind == "large" else StorageError):
        read_request(found, pod_id=POD_ID, signers=SIGNERS)


def test_a_folder_that_is_a_link_is_not_followed(folder: PodFolder, tmp_path: Path) -> None:
    """It would let who may write one folder have the server list another."""
    (tmp_path / "elsewhere").mkdir()
    requests_folder(folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="a link was found"):
        list_requests(folder)


def test_a_folder_that_is_none_is_said(folder: PodFolder) -> None:
    """By whoever looks, writes or removes."""
    requests_folder(folder).write_bytes(b"")
    with pytest.raises(StorageError):
        list_requests(folder)
    with pytest.raises(StorageError):
        write_request(folder, ID, b"")
    with pytest.raises(StorageError):
        remove_request(folder, ID)


def test_a_pods_folder_that_is_gone_is_said(folder: PodFolder) -> None:
    """Nothing is made in its place."""
    with pytest.raises(StorageError):
        write_request(PodFolder(folder.path / "gone"), ID, b"")


def test_a_file_that_goes_while_it_is_listed_is_not_there(
    folder: PodFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Home removes one; the others are found all the same."""
    write_request(folder, ID, b"one")
    write_request(folder, bytes(16), b"two")
    scandir = os.scandir

    @contextlib.contextmanager
    def going(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(path) as entries:
            listed = list(entries)
        (requests_folder(folder) / ID.hex()).unlink()
        yield listed

    monkeypatch.setattr("vault.requests.os.scandir", going)
    assert [found.id for found in list_requests(folder).found] == [bytes(16)]
