"""The passphrase that seals a master secret into a backup: from a variable, or from a terminal."""

import os
import sys
from typing import Final

import click

from happy.cli.common import interruptible
from happy.settings import SettingsError

PASSPHRASE: Final = "HAPPY_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable


def new_passphrase() -> str:
    """Raises SettingsError where nobody can be asked."""
    return _from_variable() or str(
        click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    )


def passphrase_of_backup() -> str:
    """Raises SettingsError where nobody can be asked."""
    if found := _from_variable():
        return found
    with interruptible():
        return str(click.prompt("Passphrase of the backup", hide_input=True, err=True))


def _from_variable() -> str:
    """Empty where a terminal can be used instead. Raises SettingsError where there is none either."""
    found = os.environ.get(PASSPHRASE, "")
    if not found and not sys.stdin.isatty():
        raise SettingsError(f"a passphrase is needed: set {PASSPHRASE}")
    return found
