"""Whether a call carries the consent of the one whom it asks about: checked offline, withdrawals known from the snapshot.

A signature is checked once for each token; what it binds, at every call.
"""

from collections.abc import Callable
from datetime import datetime

from gongshu.base.decisions import Reason
from gongshu.base.site import Keys
from gongshu.consents import service as consents
from gongshu.consents.types import ConsentClaim
from gongshu.delivery import rules
from gongshu.delivery.adapters import SnapshotInvalid
from gongshu.delivery.service.opening import Opened

CLAIMS_KEPT_MAX = 100_000


class ConsentCheck:
    """Checks tokens by the key that the snapshot names."""

    def __init__(self, keys: Keys, is_withdrawn: Callable[[str], bool]) -> None:
        """``is_withdrawn`` asks the snapshot; it raises ``SnapshotInvalid`` when that part of it is damaged."""
        self._keys, self._is_withdrawn = keys, is_withdrawn
        self._secret, self._public_key = b"", b""
        self._claims: dict[str, ConsentClaim] = {}

    def adopt(self, public_key: bytes) -> None:
        """Check tokens by ``public_key`` from now on; without one nothing is believed."""
        if public_key != self._public_key:
            self._public_key, self._claims = public_key, {}

    def reasons(
        self, token: str, opened: Opened, fields: dict[str, str], purpose: str, now: datetime
    ) -> tuple[Reason, ...]:
        """Return every reason why the consent sent does not permit the call; empty when it does."""
        contract, product = opened.contract, opened.product
        if product is None:
            return ()
        if not token:
            return (consents.CONSENT_MISSING.because(),)
        claim = self._claim(token)
        if claim is None:
            return (consents.CONSENT_INVALID.because(),)
        try:
            is_withdrawn = self._is_withdrawn(claim.id)
        except SnapshotInvalid:
            return (rules.SNAPSHOT_DAMAGED.because(),)
        if not self._secret:
            self._secret = consents.subject_secret(self._keys)
        subject = consents.subject_of(product.definition, self._secret, fields)
        return consents.claim_reasons(
            claim, subject, contract.consumer, purpose, contract.product, contract.product_digest, now,
            is_withdrawn=is_withdrawn,
        )  # fmt: skip

    def _claim(self, token: str) -> ConsentClaim | None:
        found = self._claims.get(token)
        if found is None and self._public_key:
            found = consents.read_token(token, self._public_key)
            if found is not None:
                if len(self._claims) >= CLAIMS_KEPT_MAX:
                    self._claims.clear()
                self._claims[token] = found
        return found
