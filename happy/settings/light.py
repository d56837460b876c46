"""Settings of the light flavor: where its database and its files are."""

from pathlib import Path

from msgspec.structs import asdict

from happy.settings.common import read_common
from happy.settings.environ import Variables
from happy.settings.full import POSTGRES
from happy.settings.model import DATABASE_NAME, SYNCHRONOUS, Light, SettingsError


def read_light(variables: Variables) -> Light:
    embedded = variables.text("DB_PROVIDER") == "pglite"  # started by a launcher of the embedded server
    data_dir = variables.folder("HAPPY_SERVER_LIGHT_DATA_DIR")
    if data_dir is None and embedded:
        data_dir = variables.folder("DATA_DIR") or Path("data").absolute()
    if data_dir is None:
        data_dir = variables.path("HAPPY_SERVER_LIGHT_DATA_DIR", "~/.happy/server-light")
    return Light(
        **asdict(read_common(variables)),
        data_dir=data_dir,
        database=_sqlite_file(variables, ignore_postgres=embedded) or data_dir / DATABASE_NAME,
        files_dir=variables.folder("HAPPY_SERVER_LIGHT_FILES_DIR") or data_dir / "files",
        synchronous=variables.choice("HAPPY_SQLITE_SYNCHRONOUS", SYNCHRONOUS, "FULL"),
        secret=variables.secret("HANDY_MASTER_SECRET"),
    )


def _sqlite_file(variables: Variables, *, ignore_postgres: bool) -> Path | None:
    url = variables.text("DATABASE_URL")
    if url is None or (ignore_postgres and url.startswith(POSTGRES)):
        return None
    location = url.removeprefix("file:").partition("?")[0]
    if not url.startswith("file:") or not location.strip("/"):
        # Not repeated in the message: an address of another kind may hold a password.
        advice = "; PostgreSQL is for --flavor full, which reads no .env" if url.startswith(POSTGRES) else ""
        raise SettingsError(
            f"DATABASE_URL: expected file:<path of the SQLite database> for the light flavor{advice}"
        )
    return variables.path("DATABASE_URL", location.removeprefix("//"))
