"""Certificates for tests: an authority, and whom it signs for.

`authority()` makes one, `Authority.issue()` writes a certificate and its key as files.
"""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BEGIN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


@attrs.frozen
class Issued:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@attrs.frozen
class Authority:
    """Signs certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write its own certificate."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.spelled())
        return path

    def spelled(self) -> bytes:
        """Spell its own certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, folder: Path, name: str, *, alternatives: Sequence[str] = ("127.0.0.1", "localhost")
    ) -> Issued:
        """Sign a certificate of a common name, with addresses, hosts and URIs beside it."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _unsigned(name, self.certificate.subject, key).add_extension(
            x509.SubjectAlternativeName([_alternative(each) for each in alternatives]),
            critical=False,
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        issued = Issued(folder / f"{name}.pem", folder / f"{name}.key")
        issued.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        issued.key.write_bytes(spelled(key))
        issued.key.chmod(0o600)
        return issued

    def trusted(self, client: Issued | None = None) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority, and shows a certificate or not."""
        context = ssl.create_default_context(cadata=self.spelled().decode())
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context


@cache
def authority(name: str = "the tests' authority") -> Authority:
    """Make an authority, one of a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _unsigned(name, _named(name), key)
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    extended = builder.add_extension(is_authority, critical=True).add_extension(
        usage, critical=True
    )
    return Authority(extended.sign(key, hashes.SHA256()), key)


def spelled(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """Spell a private key as PEM, encrypted where there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _unsigned(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
