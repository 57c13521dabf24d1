"""Signed requests at the gateway: the signature, its time, and that a nonce is used once."""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b

from gongshu.base import signing
from gongshu.base.decisions import Reason
from gongshu.base.site import Keys
from gongshu.delivery import rules
from gongshu.delivery.types import IncomingCall

SIGNING_SECRET = "request-signing"  # noqa: S105 - the name of a key, not a key
SECRET_PREFIX = "gss_"  # noqa: S105 - lets scanners of leaked secrets know ours
WINDOW = timedelta(seconds=300)
NONCES_MAX = 2_000_000
"""Nonces remembered at once; beyond it signed requests are turned away until some are forgotten."""


def signing_secret(keys: Keys, key_id: str) -> str:
    """Return the secret of a signing key: made of the platform's own and the key's id, so that it is kept nowhere."""
    made = hmac.digest(keys.secret(SIGNING_SECRET), key_id.encode(), "sha256")
    return SECRET_PREFIX + base64.urlsafe_b64encode(made).decode().rstrip("=")


def opener_of(key_id: str) -> bytes:
    """Return what stands for a signing key where the secret of a plain key is hashed."""
    return b"signing:" + key_id.encode()


class Signatures:
    """Checks signed requests, and remembers nonces for as long as a request with one of them could be believed."""

    def __init__(self, keys: Keys, clock: Callable[[], datetime]) -> None:
        """Believe nothing that was signed before now: which of it was seen is not known."""
        self._keys, self._since = keys, clock()
        self._secrets: dict[str, bytes] = {}
        self._turned = self._since
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._latest, self._latest_older, self._forgotten = 0, 0, -1  # times of signatures, in seconds since 1970

    def check(self, call: IncomingCall, now: datetime) -> Reason | None:
        """Return why a signed call is not believed, or ``None``. A nonce counts as used once its signature was good."""
        header = call.signed
        if header is None:
            return rules.KEY_MISSING.because()
        if not signing.NONCE.fullmatch(call.nonce) or not call.timestamp.isascii() or not call.timestamp.isdigit():
            return rules.SIGNATURE_INVALID.because()
        path = f"{call.path}?{call.query}" if call.query else call.path
        sent = call.body if call.method == "POST" else b""
        text = signing.text_to_sign(
            header.algorithm, call.method, path, call.timestamp, call.nonce, call.request_id, call.purpose, sent
        )
        if not signing.is_signature(header.algorithm, self._secret(header.key), text, header.signature):
            return rules.SIGNATURE_INVALID.because()
        signed_at = int(call.timestamp[:12])
        too_old = max(now - WINDOW, self._since).timestamp()
        if not too_old <= signed_at + 1 or signed_at > (now + rules.CLOCK_SKEW_MAX).timestamp():
            return rules.SIGNATURE_STALE.because(seconds=int(WINDOW.total_seconds()))
        return self._use(header.key, call.nonce, now, signed_at)

    def _secret(self, key_id: str) -> bytes:
        found = self._secrets.get(key_id)
        if found is None:
            if len(self._secrets) > NONCES_MAX:
                self._secrets.clear()
            found = self._secrets[key_id] = signing_secret(self._keys, key_id).encode()
        return found

    def _use(self, key_id: str, nonce: str, now: datetime, signed_at: int) -> Reason | None:
        if abs(now - self._turned) >= WINDOW + rules.CLOCK_SKEW_MAX:
            self._forgotten = max(self._forgotten, self._latest_older)
            self._older, self._recent, self._turned = self._recent, set(), now
            self._latest_older, self._latest = self._latest, 0
        if signed_at <= self._forgotten:  # a clock that jumped back brings no nonce back that was forgotten
            return rules.SIGNATURE_STALE.because(seconds=int(WINDOW.total_seconds()))
        used = blake2b(f"{key_id}\n{nonce}".encode(), digest_size=16).digest()  # a third of the memory of both texts
        if used in self._recent or used in self._older:
            return rules.NONCE_REPEATED.because()
        if len(self._recent) >= NONCES_MAX:
            return rules.GATEWAY_BUSY.because()
        self._recent.add(used)
        self._latest = max(self._latest, signed_at)
        return None
