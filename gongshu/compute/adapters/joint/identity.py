"""A node's identity: one key, the certificate that it shows to a peer, and signatures under agreements.

The key is made from a secret of the key store, so that nothing else has to be kept. A certificate does not run out: it is
trusted because both parties named it in an agreement that ends, not because of its dates.
"""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CURVE = ec.SECP256R1()
CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
STARTS = datetime(2020, 1, 1, tzinfo=UTC)
ENDS = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 §4.1.2.5: no well-defined expiration
PURPOSE = b"gongshu-joint-agreement/1\n"
CERTIFICATE_CHARACTERS_MAX = 4_096
SERIAL_BYTES = 19  # a serial number has at most 20 bytes and is positive (RFC 5280 §4.1.2.2)


def _key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1 + int.from_bytes(secret) % (CURVE_ORDER - 1), CURVE)


def private_key(secret: bytes) -> bytes:
    """Return the node's private key as PEM, for the node's process alone."""
    return _key(secret).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate(secret: bytes) -> str:
    """Return the node's self-signed certificate as PEM: the same for the same secret."""
    key = _key(secret)
    mark = _mark(key.public_key())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gongshu joint node {mark[:16]}")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(int(mark[: 2 * SERIAL_BYTES], 16) or 1).not_valid_before(STARTS).not_valid_after(ENDS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _mark(key: ec.EllipticCurvePublicKey) -> str:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def _public_key(pem: str) -> ec.EllipticCurvePublicKey | None:
    """Return the key of a certificate like ours: one certificate, exactly as it is written, of our curve."""
    if len(pem) > CERTIFICATE_CHARACTERS_MAX:
        return None
    try:
        found = x509.load_pem_x509_certificate(pem.encode("ascii"))
        key = found.public_key()
        is_plain = found.public_bytes(serialization.Encoding.PEM).decode("ascii") == pem
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    is_ours = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_ours and is_plain and isinstance(key, ec.EllipticCurvePublicKey) else None


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate's public key, 64 hexadecimal digits; empty if it is no certificate like ours."""
    key = _public_key(pem)
    return "" if key is None else _mark(key)


def sign(secret: bytes, digest: str) -> str:
    """Sign a digest under an agreement; hexadecimal."""
    return _key(secret).sign(PURPOSE + digest.encode(), ec.ECDSA(hashes.SHA256())).hex()


def is_signed(pem: str, digest: str, signature: str) -> bool:
    """Whether ``signature`` is over ``digest`` and made with the key of the certificate."""
    key = _public_key(pem)
    if key is None:
        return False
    try:
        key.verify(bytes.fromhex(signature), PURPOSE + digest.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
