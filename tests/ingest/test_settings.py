"""What a server is told: owners and pods, before anything listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.__main__ import parse_settings
from ingest.settings import find_pods, parse_owners
from vault.errors import MalformedError, MissingError
from vault.keys import PodId


def _pod(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "pod.toml").touch()
    return folder


@pytest.mark.parametrize("text", [None, "", " , ", "ANY", f"{'0' * 64},ANY"])
def test_no_list_or_any_allows_every_pod_that_is_served(text: str | None) -> None:
    """ANY is the original's magic value."""
    assert parse_owners(text) is None


def test_a_list_is_read_by_bytes() -> None:
    """Hex case and spaces make no second owner."""
    assert parse_owners(f" {'Ab' * 32},{'aB' * 32} ,{'0' * 64}") == frozenset(
        (PodId(b"\xab" * 32), PodId(bytes(32)))
    )


@pytest.mark.parametrize("text", ["any", "0" * 63, "0" * 64 + ",x", "g" * 64])
def test_a_list_with_anything_else_is_refused(text: str) -> None:
    """An allow-list with a typing error must not become no list."""
    with pytest.raises(MalformedError):
        parse_owners(text)


def test_pods_are_found_by_folder_or_by_their_folders_folder(tmp_path: Path) -> None:
    """In order, each once, however often it is named."""
    one, two, three = (_pod(tmp_path / name) for name in ("shelf/one", "shelf/two", "three"))
    (tmp_path / "shelf" / "no-pod").mkdir()

    assert find_pods([three, tmp_path / "shelf", one]) == (three, one, two)


@pytest.mark.parametrize("name", ["absent", "empty", "file"])
def test_a_folder_without_pods_is_refused(tmp_path: Path, name: str) -> None:
    """A typing error must not start a server of nothing."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=name):
        find_pods([tmp_path / name])


def test_a_command_line_becomes_settings(tmp_path: Path) -> None:
    """Every option reaches the setting of its name."""
    pod = _pod(tmp_path / "pod")
    limits = ["--max-body", "5242880", "--body-seconds", "2.5", "--header-seconds", "3"]
    options = ["--host", "::1", "--port", "8080", "--owners", "ANY", "--idle-seconds", "4"]
    limits += ["--max-open-vaults", "7", "--max-connections", "64", "--writers", "3"]
    limits += ["--throttle", "0.5", "--trust-forwarded", "10.0.0.1", "--trust-forwarded", "fd00::/8"]
    settings = parse_settings([*options, *limits, "--log-requests", str(pod)])

    assert (settings.pods, settings.owners) == ((pod,), None)
    assert (settings.host, settings.port) == ("::1", 8080)
    assert settings.max_body_bytes == 5 * 1024 * 1024
    assert (settings.body_seconds, settings.header_seconds, settings.idle_seconds) == (2.5, 3, 4)
    assert settings.writers == 3
    assert (settings.max_open_vaults, settings.max_connections, settings.throttle) == (7, 64, 0.5)
    assert [str(proxy) for proxy in settings.trusted] == ["10.0.0.1/32", "fd00::/8"]
    assert settings.is_logging_requests


@pytest.mark.parametrize(
    "wrong",
    [
        ["--throttle", "-1"],
        ["--throttle", "inf"],
        ["--throttle", "nan"],
        ["--max-connections", "10"],
        ["--writers", "0"],
        ["--writers", "65"],
        ["--trust-forwarded", "proxy.test"],
    ],
)
def test_a_bound_that_is_none_is_refused(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sentence that names the option."""
    with pytest.raises(SystemExit) as ended:
        parse_settings([*wrong, str(_pod(tmp_path / "pod"))])

    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err.splitlines()[-1]


def test_owners_come_from_the_environment_where_no_option_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POD_OWNER_HASHES is the original's variable."""
    pod = _pod(tmp_path / "pod")
    monkeypatch.setenv("POD_OWNER_HASHES", "0" * 64)

    assert parse_settings([str(pod)]).owners == frozenset((PodId(bytes(32)),))
    assert parse_settings(["--owners", "ANY", str(pod)]).owners is None
