"""Settings of backups: where the server writes them by itself, and an object store for them."""

import re
from typing import Final

from happy.settings.environ import Variables, unusable
from happy.settings.model import ADDRESSINGS, S3, BackupSettings, Secret

OBJECT_STORE: Final = "s3://"
_EVERY: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_KEEP: Final = re.compile(r"([0-9]{1,4}),([0-9]{1,4}),([0-9]{1,4})", re.ASCII)


def read_backups(variables: Variables) -> BackupSettings:
    usual = BackupSettings()
    return BackupSettings(
        target=_target(variables),
        every_seconds=_every(variables) or usual.every_seconds,
        keep=_keep(variables) or usual.keep,
        with_files=variables.switch("HAPPY_BACKUP_FILES"),
        passphrase=variables.secret("HAPPY_BACKUP_PASSPHRASE"),
        store=_store(variables),
    )


def _target(variables: Variables) -> str | None:
    text = variables.text("HAPPY_BACKUP_DIR")
    if text is None or not text.startswith(OBJECT_STORE):
        folder = variables.folder("HAPPY_BACKUP_DIR")
        return None if folder is None else str(folder)
    if not text.removeprefix(OBJECT_STORE).partition("/")[0]:
        raise unusable("HAPPY_BACKUP_DIR", "a folder or s3://bucket/prefix", text)
    return text


def _every(variables: Variables) -> int | None:
    text = variables.text("HAPPY_BACKUP_EVERY")
    if text is None:
        return None
    found = _EVERY.fullmatch(text)
    if found is None:
        raise unusable("HAPPY_BACKUP_EVERY", "a period such as 24h, 90m or 7d", text)
    return int(found[1]) * _SECONDS[found[2]]


def _keep(variables: Variables) -> tuple[int, int, int] | None:
    text = variables.text("HAPPY_BACKUP_KEEP")
    if text is None:
        return None
    found = _KEEP.fullmatch(text.replace(" ", ""))
    if found is None:
        raise unusable("HAPPY_BACKUP_KEEP", "numbers of days, weeks and months such as 7,4,6", text)
    days, weeks, months = map(int, found.groups())
    return days, weeks, months


def _store(variables: Variables) -> S3 | None:
    """The store of `HAPPY_BACKUP_S3_HOST` with keys of its own, else that of the uploaded files."""
    own = variables.text("HAPPY_BACKUP_S3_HOST") is not None
    prefix, ours = ("HAPPY_BACKUP_S3_", "HAPPY_BACKUP_S3_") if own else ("S3_", "HAPPY_S3_")
    host = variables.text(f"{prefix}HOST")
    if host is None:
        return None
    addressing = f"{ours}ADDRESSING"
    return S3(
        host=host,
        port=variables.port(f"{prefix}PORT"),
        use_ssl=variables.text(f"{prefix}USE_SSL") in (None, "true"),
        region=variables.text(f"{prefix}REGION") or "us-east-1",
        bucket="",
        public_url="",
        access_key=variables.credential(f"{prefix}ACCESS_KEY") or Secret(""),
        secret_key=variables.credential(f"{prefix}SECRET_KEY") or Secret(""),
        addressing=variables.choice(addressing, ADDRESSINGS, "path") if variables.text(addressing) else None,
        authority=variables.folder(f"{ours}CA_FILE"),
    )
