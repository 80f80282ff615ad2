"""A folder that a function is deployed from: its template, its parameters, and code with a pod's policy.

The code is what ``ingest.function`` imports and not a module more: what opens
items is not in it. Nothing in the folder is secret.
"""

from __future__ import annotations

import shutil
from modulefinder import ModuleFinder
from pathlib import Path
from typing import NamedTuple

from maintainer_tools.new_files import new_folder
from vault.disk import storage_error
from vault.errors import MissingError, StorageError
from vault.files import read_file, replace_file
from vault.policies import Policy

SOURCE = Path(__file__).parents[1]
TEMPLATE, CONFIG, CODE, PODS = "template.yaml", "samconfig.toml", "code", "pods"
_ENTRY = "ingest.function"
_LOCK = Path("requirements/function.txt")
_REQUIREMENTS = "requirements.txt"
_PARAMETER = b"LogKeyName="
_MOST_CONFIG_BYTES = 1 << 20
# The runtime's user is not the one who deploys.
_FILE, _FOLDER = 0o644, 0o755


class Parameters(NamedTuple):
    """What a deployment is called, and where its one secret is.

    Attributes:
        stack: Its name.
        log_key_name: Of the log key in Parameter Store.
    """

    stack: str
    log_key_name: str


def parameters_of(policy: Policy) -> Parameters:
    """The parameters of one pod: two pods of one account never share any."""
    short = policy.pod_id.hex()[:16]
    return Parameters(f"shared-pod-{short}", f"/shared-pod/{short}/log-key")


def write_deployment(out: Path, policy: Policy, source: Path = SOURCE) -> None:
    """Lay out a folder to deploy from, or bring one up to date.

    The configuration stays as it was: `sam deploy --guided` writes answers into it.

    Args:
        out: The folder; made if it is not there.
        policy: What the function is to judge by.
        source: The project's folder.

    Raises:
        MissingError: The project's folder has no template: this is no checkout.
        StorageError: ``out`` is something else, or cannot be written.
    """
    for name in (Path(TEMPLATE), _LOCK):
        if not (source / name).is_file():
            raise MissingError(
                f"{name} is not in {source}; functions are deployed from a checkout of the project: "
                "clone it, and run its own shared-pod"
            )
    try:
        _require_ours(out)
        out.mkdir(exist_ok=True)
        if not (out / CONFIG).exists():
            # First: a folder whose filling was interrupted is known by it.
            replace_file(out / CONFIG, _config(parameters_of(policy)))
        _write_code(out / CODE, policy, source)
    except OSError as exc:
        raise storage_error(out, exc) from exc
    replace_file(out / TEMPLATE, (source / TEMPLATE).read_bytes())


def _require_ours(out: Path) -> None:
    """Refuse a folder with anything else in it: `code` is removed, and the template written over."""
    if out.is_dir() and any(out.iterdir()) and not _is_ours(out):
        raise StorageError(f"{out} exists and is no folder of `deploy prepare`; choose another with --to")


def _is_ours(out: Path) -> bool:
    # Whoever uses `sam` has a samconfig.toml in each project: ours names the place of a log key.
    config = out / CONFIG
    if config.is_file() and _PARAMETER in read_file(config, _MOST_CONFIG_BYTES):
        return True
    return any((out / CODE / PODS).glob("*/slots.json"))


def _write_code(code: Path, policy: Policy, source: Path) -> None:
    for before in (code, code.with_name(f"{code.name}.partial")):
        # What is deployed is what is in it now: no module and no pod of yesterday.
        if before.exists():
            shutil.rmtree(before)
    with new_folder(code) as partial:
        for module in _modules(source):
            _copy(source / module, partial / module)
        _copy(source / _LOCK, partial / _REQUIREMENTS)
        pod = partial / PODS / policy.pod_id.hex()
        _write(pod / "pod.toml", policy.pod_toml)
        _write(pod / "slots.json", policy.slots_json)
        for path in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
            path.chmod(_FOLDER)


def _modules(source: Path) -> list[Path]:
    """The files that the function imports, from where it does, or inside its own functions."""
    finder = ModuleFinder(path=[str(source)])
    finder.import_hook(_ENTRY)
    # Built-in modules have none.
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    return sorted(Path(file).relative_to(source) for file in files if file)


def _copy(path: Path, to: Path) -> None:
    _write(to, path.read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(_FILE)


def _config(parameters: Parameters) -> bytes:
    return f"""\
# Of `sam`. Nothing here is secret: the log key itself is in Parameter Store.
version = 0.1

[default.global.parameters]
stack_name = "{parameters.stack}"

[default.deploy.parameters]
capabilities = "CAPABILITY_IAM"
confirm_changeset = true
resolve_s3 = true
parameter_overrides = "LogKeyName={parameters.log_key_name}"
""".encode()
