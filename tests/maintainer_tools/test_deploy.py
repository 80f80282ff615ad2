"""`deploy prepare`: a key of the function's own, a policy that lists it, and a folder without a secret."""

from __future__ import annotations

import itertools
import os
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cloud.secrets import read_log_key
from ingest.deployment import read_deployment
from maintainer_tools import bundling
from maintainer_tools.bundling import parameters_of, write_deployment
from maintainer_tools.deployed import deployed_pairs
from tests.support.maintaining import run, succeed
from tests.support.pods import TestPod, make_pod
from vault.errors import MissingError, StorageError
from vault.links import parse_invite
from vault.pod import PodFolder
from vault.policies import Policy, load_policy

KEY = Path("plants/function.key")
CODE = Path("deploy/code")


@pytest.fixture
def pod() -> TestPod:
    """A pod whose policy a function can judge by, in the home ``plants``."""
    return make_pod(Path("plants"), policy="infer", more='url = "https://pod.example.org"\n')


def prepare() -> Any:
    """What it did."""
    return succeed("deploy", "prepare", "plants", "--json").json


def published(pod: TestPod) -> Policy:
    """What a server would take."""
    return load_policy(pod.folder)


def bundled(pod: TestPod) -> Policy:
    """What the function judges by."""
    return load_policy(PodFolder(CODE / "pods" / pod.policy.pod_id.hex()))


def everything(folder: Path) -> bytes:
    """All bytes below a folder, and all names."""
    paths = sorted(folder.rglob("*"))
    return b"\n".join([*(path.read_bytes() for path in paths if path.is_file()), *(map(os.fsencode, paths))])


def test_the_first_time_a_key_is_drawn_and_listed(pod: TestPod) -> None:
    """The maintainer's alone, listed as a function's; home remembers what will be deployed."""
    made = prepare()
    key = read_log_key(f"file:{KEY}")
    assert stat.S_IMODE(KEY.stat().st_mode) == 0o600
    assert made["function_key"] == key.public.hex()
    assert published(pod).function_logs == [key.public]
    assert key.public not in published(pod).vault_logs
    assert bundled(pod).digest == published(pod).digest
    assert list(deployed_pairs(Path("plants"))) == [(bundled(pod).pod_toml, bundled(pod).slots_json)]


def test_nothing_to_be_deployed_or_printed_is_secret(pod: TestPod) -> None:
    """Neither the function's key, nor the pod's, nor an invite's: not in the folder, on no line."""
    invite = pod.invite("field-team")
    ended = succeed("deploy", "prepare", "plants")
    as_json = succeed("deploy", "prepare", "plants", "--json")
    secrets = [read_log_key(f"file:{KEY}").reveal(), pod.keys.file_key.reveal(), pod.keys.log_key.reveal()]
    secrets.append(invite.database_key.reveal())
    told = ended.raw + ended.err.encode() + as_json.raw + as_json.err.encode()
    for secret in secrets:
        for where in (everything(Path("deploy")), told):
            assert secret not in where
            assert secret.hex().encode() not in where.lower()
    assert not list(Path("deploy").rglob("*.key"))
    assert not list(Path("deploy").rglob("identity"))


def test_the_key_goes_into_the_cloud_from_its_file(pod: TestPod) -> None:
    """Encrypted, under the name the function is told, by the key of the stack; no key is on the line."""
    deploying, giving = succeed("deploy", "prepare", "plants").lines
    assert (
        deploying == f"cd {shlex.quote(str(Path('deploy').absolute()))} && sam build && sam deploy --guided"
    )
    words = shlex.split(giving)
    options = dict(itertools.pairwise(words))
    parameters = parameters_of(published(pod))
    assert words[:3] == ["aws", "ssm", "put-parameter"]
    assert options["--type"] == "SecureString"
    assert options["--name"] == parameters.log_key_name
    assert options["--key-id"] == f"alias/{parameters.stack}"
    assert Path(options["--value"].removeprefix("file://")).samefile(KEY)


def test_the_parameters_name_the_stack_and_the_keys_place(pod: TestPod) -> None:
    """As `sam` reads them; of two pods they are two."""
    prepare()
    config = tomllib.loads(Path("deploy/samconfig.toml").read_text())["default"]
    stack, name = parameters_of(published(pod))
    assert config["global"]["parameters"] == {"stack_name": stack}
    assert config["deploy"]["parameters"]["parameter_overrides"] == f"LogKeyName={name}"
    assert parameters_of(make_pod(Path("birds"), policy="infer").policy).stack != stack
    assert Path("deploy/template.yaml").read_bytes() == (bundling.SOURCE / "template.yaml").read_bytes()


@pytest.mark.usefixtures("pod")
def test_the_code_is_what_a_function_needs_and_opens_nothing() -> None:
    """It starts from the folder alone, in a runtime that is another user; what opens items is not there."""
    prepare()
    names = {str(path.relative_to(CODE)) for path in CODE.rglob("*.py")}
    assert {"ingest/function.py", "cloud/placing.py", "vault/sealing.py"} <= names
    assert not names & {f"vault/{name}.py" for name in ("opening", "reader", "identity_file", "invites")}
    assert not any(name.startswith(("maintainer_tools", "contributor_tools", "tests")) for name in names)
    assert not any(path.stat().st_mode & 0o077 != 0o044 for path in CODE.rglob("*") if path.is_file())
    assert not any(path.stat().st_mode & 0o077 != 0o055 for path in CODE.rglob("*") if path.is_dir())
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import ingest.function as f;"
        "print(f.__file__); print(f.handler({}, None)['statusCode'])"
    )
    # Not measured: it is a copy, gone when its coverage would be reported.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program, str(CODE.absolute())],
        cwd=CODE,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.splitlines() == [str(CODE.absolute() / "ingest/function.py"), "400"]
    lock = (CODE / "requirements.txt").read_text()
    assert "--hash=sha256:" in lock


def test_a_function_reads_what_was_laid_out(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but the variables of the template: the pods lie beside the code."""
    prepare()
    expected = published(pod).digest
    monkeypatch.chdir(CODE)
    (found,) = read_deployment({"POD_STORE": "s3://items/pods/", "POD_LOG_KEY": "ssm:/x"}).settings.pods
    assert load_policy(PodFolder(found)).digest == expected


def test_a_revocation_is_a_new_bundle_with_the_same_key(pod: TestPod) -> None:
    """What was deployed before stays known; what `sam` wrote into its file stays too."""
    prepare()
    key = KEY.read_bytes()
    succeed("invite", "new", "plants", "--name", "field-team")
    prepare()
    with Path("deploy/samconfig.toml").open("a") as config:
        config.write("# answered\n")
    (CODE / "stale.py").write_text("")
    (CODE.with_name("code.partial")).mkdir()
    before = bundled(pod)
    succeed("invite", "revoke", "plants", "field-team")
    assert bundled(pod).slots[0].is_open
    made = prepare()

    assert not bundled(pod).slots[0].is_open
    assert bundled(pod).revision == made["revision"] == before.revision + 1
    assert KEY.read_bytes() == key
    assert len(bundled(pod).function_logs) == 1
    assert (before.pod_toml, before.slots_json) in list(deployed_pairs(Path("plants")))
    assert Path("deploy/samconfig.toml").read_text().endswith("# answered\n")
    assert not (CODE / "stale.py").exists()


def test_a_key_that_was_moved_away_is_replaced_and_stays_listed(pod: TestPod) -> None:
    """What it signed is still to be collected."""
    old = prepare()["function_key"]
    KEY.rename("taken.key")
    new = prepare()["function_key"]
    assert [key.hex() for key in bundled(pod).function_logs] == [old, new]
    assert read_log_key(f"file:{KEY}").public.hex() == new != old


def test_an_invite_made_afterwards_knows_the_key(pod: TestPod) -> None:
    """Its holder verifies promises; those that are older are named, once, with what to do."""
    pod.invite("over", expires=5)
    for name in ("early", "gone", "second"):
        succeed("invite", "new", "plants", "--name", name)
    succeed("invite", "revoke", "plants", "gone")
    ended = succeed("deploy", "prepare", "plants", "--json")
    assert ended.json["older_invites"] == ["early", "second"]
    assert "2 invites were made before and do not know it: early, second." in ended.err
    assert "invite refresh plants early.invite --url URL" in ended.err
    again = succeed("deploy", "prepare", "plants", "--json")
    assert "verify no promise" not in again.err
    assert again.json["older_invites"] == []
    (link,) = succeed("invite", "new", "plants", "--name", "field-team").lines
    assert parse_invite(link).function_keys == tuple(published(pod).function_logs)


def test_a_policy_that_needs_a_vault_is_refused() -> None:
    """Before anything is drawn, listed or laid out."""
    pod = make_pod(Path("plants"), policy="extend")
    ended = run("deploy", "prepare", "plants")
    assert ended.code == 24
    assert "use closed or infer" in ended.err
    assert not KEY.exists()
    assert not Path("deploy").exists()
    assert published(pod).function_logs == []


def test_an_edit_by_hand_is_signed_first(pod: TestPod) -> None:
    """A function verifies the pair; it would serve nobody."""
    prepare()
    toml = pod.folder.pod_toml
    toml.write_text(toml.read_text() + "# by hand\n")
    prepare()
    assert published(pod).pod_toml == bundled(pod).pod_toml == toml.read_bytes()


def test_limits_that_a_function_cannot_count_are_warned_of(pod: TestPod) -> None:
    """They count when items are collected."""
    pod.invite("by-size", max_item_bytes=100)
    assert "cannot count" not in succeed("deploy", "prepare", "plants").err
    pod.invite("counted", max_items=3)
    assert "functions cannot count" in succeed("deploy", "prepare", "plants").err


def test_a_key_file_that_holds_no_key_is_not_replaced(pod: TestPod) -> None:
    """It may be a key in another form; nothing of it is quoted."""
    KEY.write_text("not-a-key\n")
    ended = run("deploy", "prepare", "plants")
    assert ended.code == 25
    assert "not-a-key" not in ended.err
    assert published(pod).function_logs == []


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize("other", [None, "samconfig.toml", "template.yaml", "code/pods/mine.yaml"])
def test_a_folder_of_somebody_elses_is_left_alone(other: str | None) -> None:
    """It could have a folder ``code`` of its own, and be deployed by the same program."""
    (Path("deploy") / "code/pods").mkdir(parents=True)
    Path("deploy/code/mine.txt").write_text("mine")
    if other:
        (Path("deploy") / other).write_text('[default.deploy.parameters]\nstack_name = "mine"\n')
    ended = run("deploy", "prepare", "plants")
    assert ended.code == 26
    assert "choose another with --to" in ended.err
    assert Path("deploy/code/mine.txt").read_text() == "mine"


def test_a_folder_whose_filling_was_interrupted_is_filled(
    pod: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time, and when it was brought up to date."""
    for _ in range(2):
        with monkeypatch.context() as interrupted:
            interrupted.setattr(bundling, "_modules", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                write_deployment(Path("deploy"), pod.policy)
        assert not CODE.exists()
        write_deployment(Path("deploy"), pod.policy)
        assert (CODE / "ingest/function.py").exists()


def test_a_folder_is_known_by_its_pod_too(pod: TestPod) -> None:
    """Whatever became of the configuration."""
    write_deployment(Path("deploy"), pod.policy)
    Path("deploy/samconfig.toml").unlink()

    write_deployment(Path("deploy"), pod.policy)

    assert Path("deploy/samconfig.toml").exists()


def test_without_a_checkout_it_says_what_is_missing(pod: TestPod, tmp_path: Path) -> None:
    """A wheel has no template."""
    with pytest.raises(MissingError, match="checkout"):
        write_deployment(tmp_path / "out", pod.policy, tmp_path)


def test_a_folder_that_cannot_be_made_is_said(pod: TestPod) -> None:
    """A file is where it should be."""
    Path("deploy").write_text("")
    with pytest.raises(StorageError):
        write_deployment(Path("deploy"), pod.policy)
