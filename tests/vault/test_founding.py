"""A pod is founded whole, private and durable, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.pods import POD_TOML, new_pod, seeded_entropy
from vault.errors import MalformedError, MissingError, PolicyError, StorageError, VaultError
from vault.founding import Founding, draw_keys, found_home
from vault.identity_file import read_identity
from vault.pod import load_log_key
from vault.policies import Policy, load_policy

KEYS = draw_keys(seeded_entropy())


def found(home: Path, pod_toml: bytes | None = None, *, passphrase: str | None = None) -> Policy:
    """Found a pod with the keys above."""
    content = pod_toml or pod_toml_of(KEYS)
    return found_home(home, KEYS, content, passphrase=passphrase, entropy=seeded_entropy())


def pod_toml_of(keys: Founding) -> bytes:
    """The smallest pod.toml."""
    return POD_TOML.format(owner=keys.owner_key.hex, policy="extend", more="").encode()


def refuse() -> str:
    """Stand for a person who must not be asked."""
    raise AssertionError("no passphrase was set")


def test_a_home_holds_what_design_says_and_nothing_else(tmp_path: Path) -> None:
    """Only ``pod`` goes to a server; the identity stays beside it."""
    found(tmp_path / "home")

    names = {path.relative_to(tmp_path / "home").as_posix() for path in (tmp_path / "home").rglob("*")}
    assert names == {"identity", "pod", "pod/pod.toml", "pod/slots.json", "pod/log.key", "pod/vault.db"}


def test_everything_in_it_is_the_owners_alone(tmp_path: Path) -> None:
    """Folders 0700, files 0600, whatever the umask."""
    found(tmp_path / "home")

    for path in [tmp_path / "home", *(tmp_path / "home").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_pair_in_the_folder_is_the_one_returned(tmp_path: Path) -> None:
    """Revision 1, which a server loads and the vault holds already."""
    pod = new_pod(tmp_path)

    assert load_policy(pod.folder).digest == pod.policy.digest
    with pod.reader() as reader:
        assert reader.rows.execute("SELECT revision, hash FROM policy") == [(1, pod.policy.digest)]


def test_every_key_is_where_it_is_looked_for(tmp_path: Path) -> None:
    """The identity at home, the log's key with the pod, the file key sealed in the policy."""
    pod = new_pod(tmp_path)

    assert read_identity(pod.home / "identity", refuse) == pod.keys.identity
    assert load_log_key(pod.folder) == pod.keys.log_key
    assert pod.check().findings == []


def test_a_passphrase_protects_the_identity(tmp_path: Path) -> None:
    """Its 64 digits are not in the file."""
    found(tmp_path / "home", passphrase="correct horse")  # noqa: S106 - a test's

    content = (tmp_path / "home" / "identity").read_bytes()
    assert KEYS.identity.reveal().hex().encode() not in content
    assert read_identity(tmp_path / "home" / "identity", lambda: "correct horse") == KEYS.identity


def test_drawn_keys_differ_from_one_another() -> None:
    """Each is its own 32 bytes of what it was given."""
    keys = draw_keys(seeded_entropy(7))

    raw = {keys.owner_key.raw, keys.identity.reveal(), keys.file_key.reveal(), keys.log_key.reveal()}
    assert len(raw) == 4


@pytest.mark.parametrize("what", ["folder", "file", "dangling link"])
def test_what_is_there_is_left_alone(tmp_path: Path, what: str) -> None:
    """`init` never overwrites: it might be a pod."""
    home = tmp_path / "home"
    if what == "folder":
        home.mkdir()
    elif what == "file":
        home.touch()
    else:
        home.symlink_to("nowhere")

    with pytest.raises(StorageError, match="exists already"):
        found(home)

    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not home.is_dir() or not list(home.iterdir())


def test_an_interrupted_founding_is_not_mixed_with_a_new_one(tmp_path: Path) -> None:
    """Whoever was interrupted may still need what is in it."""
    (tmp_path / "home.partial").mkdir()
    (tmp_path / "home.partial" / "identity").touch()

    with pytest.raises(StorageError, match=r"home\.partial exists already"):
        found(tmp_path / "home")

    assert (tmp_path / "home.partial" / "identity").exists()
    assert not (tmp_path / "home").exists()


def test_the_parent_folder_must_exist(tmp_path: Path) -> None:
    """A mistyped path is more likely than a wish for folders."""
    with pytest.raises(MissingError, match="make it first"):
        found(tmp_path / "no" / "home")


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """In our words, not the operating system's exception."""
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="refused"):
        found(tmp_path / "file" / "home")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """The last step, the renaming, fails too, and leaves nothing."""
    with pytest.raises(StorageError):
        found(tmp_path / ("x" * 300))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pod_toml", "error"),
    [
        (b"this is not TOML", MalformedError),
        (pod_toml_of(draw_keys(seeded_entropy(2))), PolicyError),
    ],
    ids=["not toml", "another pod's"],
)
def test_a_founding_that_fails_leaves_nothing(
    tmp_path: Path, pod_toml: bytes, error: type[VaultError]
) -> None:
    """No half of a pod, and no folder that stands in the way of trying again."""
    with pytest.raises(error):
        found(tmp_path / "home", pod_toml)

    assert list(tmp_path.iterdir()) == []
    found(tmp_path / "home")


def test_a_home_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Two `init` of one folder: one wins, the other leaves nothing behind."""
    home = tmp_path / "home"

    def entropy(count: int) -> bytes:
        (home / "pod").mkdir(parents=True, exist_ok=True)
        return bytes(count)

    with pytest.raises(StorageError, match="home: the operating system refused"):
        found_home(home, KEYS, pod_toml_of(KEYS), passphrase="any", entropy=entropy)  # noqa: S106 - a test's

    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert [path.name for path in home.iterdir()] == ["pod"]
