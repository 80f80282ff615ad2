"""The commands `schema show`, `add`, `learn` and `apply`: what items may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click

from maintainer_tools.asking import agrees
from maintainer_tools.console import clean, put_json, put_table, say
from maintainer_tools.exits import Exit
from maintainer_tools.homes import Home, changing, find_home, open_identity
from maintainer_tools.pod_toml import Property, with_properties
from maintainer_tools.reading import reading, schema_of
from maintainer_tools.table_file import learn_file
from maintainer_tools.unreadable import tell_unreadable
from vault.columns import MISSING, Column
from vault.invites import reissue
from vault.opening import Identity
from vault.pod import PodConfig
from vault.policies import load_policy
from vault.properties import BASE_PROPERTIES, ValueType, check_property_name
from vault.schema import MergedProperty


@click.group("schema")
def schema() -> None:
    """Show and declare properties: what items may hold."""


@schema.command("show")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON array.")
def show(home: Path, *, is_json: bool) -> None:
    """List the properties you declared and those contributors did, differences settled."""
    with reading(home) as reader:
        properties = list(schema_of(reader).values())
        tell_unreadable(reader.passed_over)
    if is_json:
        put_json([_facts(known) for known in properties])
        return
    if properties:
        put_table(("NAME", "TYPE", "LABEL", "DECLARED BY"), [_row(known) for known in properties])
    else:
        say("No property is declared yet. `schema learn` takes them from a CSV file.")


def _facts(known: MergedProperty) -> dict[str, object]:
    return {
        "name": known.name,
        "type": known.value_type,
        "label": known.label,
        "declared": dict(known.declared),
        "is_conflict": known.is_conflict,
    }


def _row(known: MergedProperty) -> tuple[str, str, str, str]:
    by = known.declared
    shown = ", ".join(f"{name} as {kind}" if known.is_conflict else name for name, kind in by.items())
    return known.name, known.value_type.value, known.label or "", shown


@schema.command("add")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("name")
@click.argument("value_type", metavar="TYPE", type=click.Choice([kind.value for kind in ValueType]))
@click.option("--label", help="The column's header in exports; the name if not given.")
def add(home: Path, name: str, value_type: str, label: str | None) -> None:
    """Declare a property, for all invites: Text, Integer, Real, Bool or DateTime."""
    check_property_name(name)
    found = find_home(home)
    wanted = Property(name, ValueType(value_type), label)
    added = _publish(found, open_identity(found), lambda config: _addition(wanted, config))
    say(f"Declared {name} as {value_type}." if added else f"{name} is declared so already; nothing to do.")


def _addition(wanted: Property, config: PodConfig) -> list[Property]:
    known = _known_type(wanted.name, config)
    if known not in {None, wanted.value_type}:
        raise click.UsageError(
            f"{wanted.name} is {known} already, and items may hold it. "
            "To change it nevertheless, edit pod.toml, then run `schema apply`"
        )
    is_relabelled = wanted.label is not None and wanted.label != config.labels.get(wanted.name)
    return [wanted] if known is None or (is_relabelled and wanted.name in config.properties) else []


def _known_type(name: str, config: PodConfig) -> ValueType | None:
    return BASE_PROPERTIES.get(name) or config.properties.get(name)


@schema.command("learn")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--delimiter", metavar="CHARACTER", help="Between cells; a comma if not given, in .tsv a tab.")
@click.option("--missing", multiple=True, metavar="CELL", help="Cells without value; '' and NA if not given.")
@click.option("--yes", "is_agreed", is_flag=True, help="Declare them without asking.")
@click.option("--json", "is_json", is_flag=True, help="Print the proposal as one JSON array.")
@click.pass_context
def learn(
    context: click.Context,
    home: Path,
    file: Path,
    delimiter: str | None,
    missing: tuple[str, ...],
    *,
    is_agreed: bool,
    is_json: bool,
) -> None:
    """Propose properties for the columns of a CSV file; declare them if you agree.

    The whole file is read, so that the types fit every row. Its headers become
    the labels of exports. `send` makes the same names of the same headers.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.UsageError("--delimiter: one character was expected, no quote and no line end")
    found = find_home(home)
    columns = learn_file(file, delimiter=delimiter, missing=frozenset(missing) or MISSING)
    config = load_policy(found.pod, is_edited=True).config
    _put_proposal(columns, config, is_json=is_json)
    count = len(_learned(columns, config))
    if not count:
        say("All of them are declared already; nothing to do.")
        return
    if not (is_agreed or agrees(f"Declare {count} properties?")):
        say("Nothing was changed.")
        context.exit(Exit.FAILED)
    added = _publish(found, open_identity(found), lambda newest: _learned(columns, newest))
    say(f"Declared {len(added)} properties.")


def _learned(columns: Sequence[Column], config: PodConfig) -> list[Property]:
    """What is to be added: properties that are new, and labels for those that have none."""
    wanted = (
        Property(column.name, column.value_type, None if column.header == column.name else column.header)
        for column in columns
    )
    return [
        found
        for found in wanted
        if _known_type(found.name, config) is None or _lacks_label(found, config.properties, config.labels)
    ]


def _lacks_label(found: Property, properties: Mapping[str, ValueType], labels: Mapping[str, str]) -> bool:
    return found.label is not None and found.name in properties and found.name not in labels


def _put_proposal(columns: Iterable[Column], config: PodConfig, *, is_json: bool) -> None:
    states = [(column, _state(column, config)) for column in columns]
    if is_json:
        put_json(
            [
                {"name": column.name, "type": column.value_type, "label": column.header, "state": state}
                for column, state in states
            ]
        )
        return
    rows = [(column.name, column.value_type.value, state, column.header) for column, state in states]
    put_table(("NAME", "TYPE", "STATE", "HEADER"), rows)


def _state(column: Column, config: PodConfig) -> str:
    known = _known_type(column.name, config)
    if known is None:
        return "new"
    return "declared" if known is column.value_type else f"declared as {known}"


def _publish(
    home: Home, identity: Identity, additions: Callable[[PodConfig], list[Property]]
) -> list[Property]:
    """Add to pod.toml what is missing in it now, as one signed revision."""
    with changing(home, identity) as change:
        added = additions(change.policy.config)
        if added:
            pod_toml = with_properties(change.policy.pod_toml, added)
            change.publish(reissue(change.policy, identity, pod_toml))
    return added


@schema.command("apply")
@click.argument("home", type=click.Path(path_type=Path))
def apply(home: Path) -> None:
    """Sign a pod.toml that was edited by hand, so that it counts."""
    found = find_home(home)
    with changing(found, open_identity(found)) as change:
        if change.is_edited:
            change.publish(change.policy)
        else:
            say(f"{clean(str(found.pod.pod_toml))} is signed as it stands; nothing to do.")
