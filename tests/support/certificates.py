"""Certificates of the tests' own: an authority, and what it has signed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """`pkcs12` holds both, under `password`."""

    file: Path
    key: Path
    pkcs12: Path
    password: str = "of the bundle"


class Authority:
    """Its own certificate is in `file`."""

    def __init__(self, folder: Path, name: str = "Tests") -> None:
        self.file = folder / "authority.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        folder.mkdir(parents=True, exist_ok=True)
        self._certificate = self._sign(self._name, self._key.public_key(), is_authority=True)
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str) -> Certificate:
        """For `localhost` and 127.0.0.1, or for a client of that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._sign(subject, key.public_key(), is_authority=False)
        folder = self._folder
        made = Certificate(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.p12")
        made.file.write_bytes(signed.public_bytes(Encoding.PEM))
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        made.key.chmod(0o600)
        locked = BestAvailableEncryption(made.password.encode())
        made.pkcs12.write_bytes(
            pkcs12.serialize_key_and_certificates(name.encode(), key, signed, None, locked)
        )
        return made

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        )
        usual = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        usual = usual.serial_number(x509.random_serial_number())
        usual = usual.not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
        usual = usual.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if not is_authority:
            usual = usual.add_extension(names, critical=False)
        return usual.sign(self._key, hashes.SHA256())
