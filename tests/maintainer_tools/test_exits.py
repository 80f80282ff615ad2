"""Exit codes: every refusal has one, and scripts can rely on them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from contributor_tools.exits import Exit as ContributorsExit
from maintainer_tools.exits import MEANINGS, CredentialsMissingError, Exit, exit_of
from tests.support.maintaining import succeed
from vault import errors


def _kinds(of: type[Exception]) -> Iterator[type[Exception]]:
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from _kinds(kind)


KINDS = list(_kinds(errors.VaultError))


def _made(kind: type[Exception]) -> Exception:
    return errors.ItemError("id", "a sentence") if kind is errors.ItemError else kind("a sentence")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_refusal_of_the_vault_has_its_exit_code(kind: type[Exception]) -> None:
    """A new class without a code would end as `failed`, which says nothing."""
    assert exit_of(_made(kind)) not in {Exit.DONE, Exit.FAILED, Exit.USAGE}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.MissingError, 10),
        (errors.LockedError, 11),
        (errors.BusyError, 11),
        (errors.WrongKeyError, 12),
        (errors.ForeignPodError, 13),
        (errors.FormatTooNewError, 14),
        (errors.FormatTooOldError, 15),
        (errors.EmptyFileError, 16),
        (errors.PlaintextError, 17),
        (errors.TruncatedError, 18),
        (errors.TornError, 19),
        (errors.RollbackError, 22),
        (errors.DamagedError, 23),
        (errors.PolicyError, 24),
        (errors.MalformedError, 25),
        (errors.StorageError, 26),
        (errors.DiskFullError, 26),
        (errors.OutcomeUnknownError, 26),
        (CredentialsMissingError, 4),
        (click.UsageError, 2),
        (OSError, 26),
        (ValueError, 1),
    ],
)
def test_codes_are_what_scripts_expect(kind: type[Exception], code: int) -> None:
    """A code that moves breaks every script that stands on it."""
    assert exit_of(kind("a sentence")) == code


def test_interruption_is_130() -> None:
    """As every shell has it; Click's own is 1."""
    assert exit_of(click.Abort()) == 130


def test_the_contributors_room_uses_the_same_numbers() -> None:
    """`send` is one of the commands, but cannot import this table."""
    ours = {code.name: int(code) for code in Exit}

    assert {code.name: int(code) for code in ContributorsExit}.items() <= ours.items()


def test_help_prints_every_code_with_its_meaning() -> None:
    """The table is published, not something to find out."""
    lines = succeed("help", "exit-codes").lines

    assert [int(line.split()[0]) for line in lines] == [int(code) for code in Exit]
    assert all(MEANINGS[code] in line for code, line in zip(Exit, lines, strict=True))
