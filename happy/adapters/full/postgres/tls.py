"""TLS of connections to PostgreSQL, from the parameters of libpq and of other clients."""

import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from happy.adapters.full.url_parts import is_readable
from happy.domain.errors import StartupError
from happy.settings import Secret

# Parameters that the driver takes as they are, in an address without credentials.
FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
PASSED: Final = ("ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation")
UNDERSTOOD: Final = frozenset({"sslmode", "ssl", "sslaccept", "sslidentity", "sslpassword", *FILES, *PASSED})

MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
UNVERIFIED: Final = "no-verify"
SYSTEM: Final = "system"

# Values of `ssl=`, and node-postgres's spellings of `sslmode=` values, as libpq's modes.
TRANSLATED: Final = {
    "true": "require",
    "1": "require",
    "on": "require",
    "false": "disable",
    "0": "disable",
    "off": "disable",
    "verify_ca": "verify-ca",
    "verify_full": "verify-full",
}
HOME_ROOT: Final = "~/.postgresql/root.crt"
HOME_FILES: Final = (".pgpass", ".postgresql/root.crt", ".postgresql/root.crl", ".postgresql/postgresql.crt")


class Tls(Struct, frozen=True, kw_only=True):
    """`mode` is one of libpq's, or `no-verify` (encrypted, not verified); None: the driver's default."""

    mode: str | None = None
    files: dict[str, str] = {}
    passed: dict[str, str] = {}
    identity: str | None = None
    """A PKCS#12 file with the client's certificate and key."""

    password: Secret | None = None
    """Password of the key or of the PKCS#12 file."""

    def dsn(self) -> str:
        """TLS parameters for the driver, unless `context` replaces them."""
        needs_context = self._needs_context()
        files = {} if needs_context else {name: path for name, path in self.files.items() if path != SYSTEM}
        mode = {} if needs_context or self.mode is None else {"sslmode": self.mode}
        return f"postgresql://?{urlencode({**mode, **files, **self.passed})}".rstrip("?")

    def context(self) -> ssl.SSLContext | None:
        """A TLS context, if the driver cannot create the wanted one from its DSN. Raises StartupError."""
        if not self._needs_context():
            return None
        system = self._trusts_system()
        made = ssl.create_default_context() if system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = self.mode == "verify-full"
        root = None if self.mode == UNVERIFIED else _root(self.files)
        if root is not None:
            made.load_verify_locations(cafile=root)
        elif self.mode != "verify-full":
            made.verify_mode = ssl.CERT_NONE
        if self.identity is not None:
            _load_identity(made, self.identity, self.password)
        elif "sslcert" in self.files:
            secret = self.password or ""
            made.load_cert_chain(self.files["sslcert"], self.files.get("sslkey"), lambda: secret)
        made.set_alpn_protocols(["postgresql"])
        return made

    def _needs_context(self) -> bool:
        if self.mode not in (UNVERIFIED, "require", "verify-ca", "verify-full"):
            return False
        return self.mode == UNVERIFIED or self._trusts_system() or bool(self.identity or self.password)

    def _trusts_system(self) -> bool:
        return self.mode == "verify-full" and _root(self.files) is None


def read(given: Mapping[str, str]) -> Tls:
    """Raises StartupError for an unknown mode and for files that cannot be read."""
    files = {name: given[name] for name in FILES if given.get(name)}
    if _is_prisma_root(files):
        files["sslrootcert"] = files.pop("sslcert")
    for name, path in files.items():
        if path != SYSTEM and not is_readable(path):
            raise StartupError(f"DATABASE_URL: {name}= names a file that cannot be read: {path}")
    identity = given.get("sslidentity") or None
    if identity is not None and not is_readable(identity):
        raise StartupError(f"DATABASE_URL: sslidentity= names a file that cannot be read: {identity}")
    return Tls(
        mode=_mode(given, files),
        files=files,
        passed={name: given[name] for name in PASSED if given.get(name)},
        identity=identity,
        password=Secret(given["sslpassword"]) if given.get("sslpassword") else None,
    )


def _mode(given: Mapping[str, str], files: Mapping[str, str]) -> str | None:
    """`sslrootcert=system` and Prisma's `sslaccept=strict` verify the host name as well."""
    text = (given.get("sslmode") or given.get("ssl") or "").lower()
    mode = TRANSLATED.get(text, text) or None
    if mode not in (None, UNVERIFIED, *MODES):
        raise StartupError(f"DATABASE_URL: expected sslmode= and one of {', '.join(MODES)}")
    if mode in ("disable", UNVERIFIED):
        return mode
    accept = given.get("sslaccept")
    if accept == "accept_invalid_certs":
        return UNVERIFIED if mode in ("require", "verify-ca", "verify-full") else mode
    if accept == "strict" or files.get("sslrootcert") == SYSTEM:
        return "verify-full"
    if mode == "verify-ca" and _root(files) is None:
        return "verify-full"  # anybody gets a certificate of a public authority: verify the name too
    return "require" if mode is None and (given.get("sslidentity") or given.get("sslpassword")) else mode


def _root(files: Mapping[str, str]) -> str | None:
    """The file of trusted authorities; None: the system's authorities."""
    named = files.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    if named is None and is_readable(HOME_ROOT):
        named = str(Path(HOME_ROOT).expanduser())
    return None if named == SYSTEM else named


def _is_prisma_root(files: Mapping[str, str]) -> bool:
    """In Prisma `sslcert` is the authority's certificate; a client certificate has a key as well."""
    if "sslcert" not in files or "sslkey" in files or "sslrootcert" in files:
        return False
    try:
        return b"PRIVATE KEY" not in Path(files["sslcert"]).read_bytes()
    except OSError:
        return False


def _load_identity(context: ssl.SSLContext, path: str, password: Secret | None) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    try:
        found = pkcs12.load_pkcs12(Path(path).read_bytes(), password.encode() if password else None)
    except ValueError:
        raise StartupError(f"DATABASE_URL: sslpassword= does not open {path}") from None
    if found.key is None or found.cert is None:
        raise StartupError(f"DATABASE_URL: sslidentity= needs a certificate and its key in {path}")
    key = found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificates = [found.cert, *found.additional_certs]
    with tempfile.NamedTemporaryFile() as file:  # readable by its owner only
        file.write(b"".join([key, *(one.certificate.public_bytes(Encoding.PEM) for one in certificates)]))
        file.flush()
        context.load_cert_chain(file.name)


def hide_unreadable_home() -> None:
    """Unset an unreadable HOME: the driver would fail when it searches for files there."""
    for name in HOME_FILES:
        try:
            with (Path.home() / name).open("rb"):
                pass
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        except (OSError, RuntimeError):
            os.environ["HOME"] = os.devnull
            return
