"""Reads the settings of a flavor from environment variables; opens and creates nothing."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from happy.settings.backups import read_backups
from happy.settings.dotenv import read_dotenv
from happy.settings.environ import Variables
from happy.settings.foreign import without_foreign
from happy.settings.full import POSTGRES, read_full
from happy.settings.light import read_light
from happy.settings.model import FLAVORS, PROVIDERS, BackupSettings, Flavor, Full, Light


def load(
    environ: Mapping[str, str], *, flavor: str | None = None, dotenv: Path | None = None
) -> Light | Full:
    """Settings of the flavor that is named or follows from the variables. Raises SettingsError.

    The light flavor takes what `environ` lacks from the file `dotenv`, if there is one.
    """
    own, warnings = without_foreign(environ)
    if chosen_flavor(own, flavor) == "full":
        return structs.replace(read_full(Variables(own)), warnings=tuple(warnings))
    written, not_understood = read_dotenv(dotenv)
    written, misplaced = without_foreign(written)
    lacking = {name: value for name, value in written.items() if not own.get(name, "").strip()}
    settings = read_light(Variables({**own, **lacking}))
    return structs.replace(settings, warnings=(*warnings, *not_understood, *misplaced))


def chosen_flavor(environ: Mapping[str, str], named: str | None) -> Flavor:
    """The flavor that is named, or follows from the variables. Raises SettingsError for an unknown one."""
    variables = Variables(environ)
    if named is not None:
        return Variables({"--flavor": named}).choice("--flavor", FLAVORS, "light")
    if variables.text("HAPPY_FLAVOR"):
        return variables.choice("HAPPY_FLAVOR", FLAVORS, "light")
    names_postgres = (variables.text("DATABASE_URL") or "").startswith(POSTGRES)
    provider = variables.choice("DB_PROVIDER", PROVIDERS, "postgres" if names_postgres else "pglite")
    return "full" if provider == "postgres" else "light"


def load_backups(environ: Mapping[str, str], *, dotenv: Path | None = None) -> BackupSettings:
    """Settings of backups alone, for what needs no server. Raises SettingsError."""
    own, _ = without_foreign(environ)
    written, _ = without_foreign(read_dotenv(dotenv)[0]) if chosen_flavor(own, None) == "light" else ({}, [])
    lacking = {name: value for name, value in written.items() if not own.get(name, "").strip()}
    return read_backups(Variables({**own, **lacking}))
