"""What makes a consent valid, how a token proves it, and what a call with one must agree with. Pure.

A token is ``gsc1.`` and, in URL-safe Base64, an Ed25519 signature (64 bytes, RFC 8032) over a context and the claim, then
the claim. The subject stands in it as a keyed hash, so that a token tells nobody whom it is about.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gongshu.base.days import Period
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Kind, Reason, decide, decide_step, rule
from gongshu.base.ids import PartyId
from gongshu.consents.types import Consent, ConsentClaim, ConsentStatus, ConsentTerms
from gongshu.products.types import Contract, ContractStatus, ProductKind, ProductVersion

CONTEXT = b"gongshu consent 1\n"
"""Goes before the signed bytes, so that this key's signature means nothing anywhere else."""
PREFIX = "gsc1."
SIGNATURE_BYTES, SUBJECT_BYTES = 64, 32
TOKEN_CHARS_MAX = 1500
CLOCK_SKEW_MAX = timedelta(seconds=60)

CONSENT_TRANSITIONS: dict[tuple[ConsentStatus, str], tuple[ConsentStatus, str]] = {
    (ConsentStatus.GIVEN, "withdraw"): (ConsentStatus.WITHDRAWN, "public, operator"),
}

CONSENT_NOT_NEEDED = rule(
    "consent-not-needed", Kind.CONFLICT, zh="产品 {product} 的调用不需要逐人同意。",
    en="Calls to the product {product} need no consent of each subject.",
    fix_zh="无需登记。", fix_en="There is nothing to record.",
)  # fmt: skip
CONSENT_CONTRACT_NOT_PERFORMING = rule(
    "consent-contract-not-performing", Kind.CONFLICT, zh="合约 {contract} 不在履行中（{status}），不能据以取得同意。",
    en="The contract {contract} is {status}; consent is recorded for one that is performed.",
    fix_zh="请在合约履行期间登记。", fix_en="Record it while the contract is performed.",
)  # fmt: skip
CONSENT_SUBJECT_BLANK = rule(
    "consent-subject-blank", Kind.INVALID, zh="没有写明同意人的标识：{fields}。", en="It is not said who consents: {fields}.",
    fix_zh="请完整填写这些字段。", fix_en="Fill in these fields.", law="个人信息保护法 art.14",
)  # fmt: skip
CONSENT_NOT_CONFIRMED = rule(
    "consent-not-confirmed", Kind.INVALID, zh="没有确认已告知并取得本人自愿、明确的同意。",
    en="It is not confirmed that the subject was told and agreed freely and expressly.",
    fix_zh="请核验本人身份，当面或在线逐项告知，由本人确认后再登记。",
    fix_en="Make sure who it is, tell the subject every point of the notice, and record it once the subject has agreed.",
    law="个人信息保护法 art.14, 17, 23",
)  # fmt: skip
CONSENT_PERIOD_INVALID = rule(
    "consent-period-invalid", Kind.INVALID, zh="同意期限为 {days} 天，应为 1 至 {days_max} 天，且不超出合约期限（至 {end}）。",
    en="A consent of {days} days; it must last 1 to {days_max} days and end with the contract at the latest ({end}).",
    fix_zh="请缩短期限。", fix_en="Shorten it.", law="个人信息保护法 art.19",
)  # fmt: skip
CONSENT_SECRET_WRONG = rule(
    "consent-secret-wrong", Kind.NOT_FOUND, zh="没有这项同意，或撤回码不正确。",
    en="There is no such consent, or the withdrawal code is not right.",
    fix_zh="请核对凭据上的同意编号和撤回码；遗失的，请持身份证件到同意服务台办理。",
    fix_en="Check consent number and code on your slip; if it is lost, the consent desk withdraws it for you.",
)  # fmt: skip

CONSENT_MISSING = rule(
    "consent-missing", Kind.FORBIDDEN, zh="该产品须有本人同意方可调用，请求没有携带同意凭证。",
    en="This product answers with the subject's consent only; the call carries none.",
    fix_zh="请在取得本人同意后，以 X-Consent 头（批量为每项的 consent）携带凭证。",
    fix_en="Obtain the subject's consent and send its token as X-Consent, in a batch as each item's consent.",
    law="个人信息保护法 art.13, 23, 29",
)  # fmt: skip
CONSENT_INVALID = rule(
    "consent-invalid", Kind.FORBIDDEN, zh="同意凭证不是本平台签发的，或已被改动。",
    en="The consent token was not issued by this platform, or was changed.",
    fix_zh="请从平台重新取得该项同意的凭证。", fix_en="Fetch the token of this consent from the platform again.",
    law="个人信息保护法 art.14",
)  # fmt: skip
CONSENT_NOT_YET = rule(
    "consent-not-yet", Kind.FORBIDDEN, zh="该项同意尚未开始生效。", en="The consent does not hold yet.",
    fix_zh="请在同意的期限内调用。", fix_en="Call within its period.", law="个人信息保护法 art.14",
)  # fmt: skip
CONSENT_EXPIRED = rule(
    "consent-expired", Kind.FORBIDDEN, zh="该项同意的期限已过。", en="The period of the consent is over.",
    fix_zh="请重新取得本人同意。", fix_en="Ask the subject again.", law="个人信息保护法 art.14, 19",
)  # fmt: skip
CONSENT_WITHDRAWN = rule(
    "consent-withdrawn", Kind.FORBIDDEN, zh="本人已撤回该项同意。", en="The subject has withdrawn this consent.",
    fix_zh="请停止处理；撤回前已进行的处理不受影响。如确有需要，须重新取得本人同意。",
    fix_en="Stop using the data; what was done before stays lawful. To go on you need a new consent.",
    law="个人信息保护法 art.15, 47",
)  # fmt: skip
CONSENT_OTHER_SUBJECT = rule(
    "consent-other-subject", Kind.FORBIDDEN, zh="该项同意不是所查询的人给予的。",
    en="The consent was not given by the one whom the call asks about.",
    fix_zh="请使用该人本人的同意凭证。", fix_en="Send the token of this subject's own consent.",
    law="个人信息保护法 art.13",
)  # fmt: skip
CONSENT_OTHER_CONSUMER = rule(
    "consent-other-consumer", Kind.FORBIDDEN, zh="该项同意是给予另一使用方的。", en="The consent was given to another consumer.",
    fix_zh="请由本机构另行取得本人的单独同意。", fix_en="Obtain the subject's separate consent for your organisation.",
    law="个人信息保护法 art.23",
)  # fmt: skip
CONSENT_OTHER_PURPOSE = rule(
    "consent-other-purpose", Kind.FORBIDDEN, zh="该项同意不包括这一用途。", en="The consent does not cover this purpose.",
    fix_zh="请以同意的用途调用；用途变更须重新取得同意。", fix_en="Call for the purpose agreed to; another one needs a new consent.",
    law="个人信息保护法 art.14, 23",
)  # fmt: skip
CONSENT_OTHER_PRODUCT = rule(
    "consent-other-product", Kind.FORBIDDEN, zh="该项同意不包括这一产品，或产品内容已变更。",
    en="The consent does not cover this product, or what the product answers has changed.",
    fix_zh="请就该产品重新取得本人同意。", fix_en="Obtain the subject's consent for this product.",
    law="个人信息保护法 art.14",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- giving


def needs_consent(product: ProductVersion) -> bool:
    """Whether each call to a product carries a consent: of look-ups always, of verifications where they say so."""
    verification = product.definition.verification
    return product.kind is ProductKind.LOOKUP or (verification is not None and verification.needs_consent)


def subject_hash(secret: bytes, form: bytes) -> bytes:
    """Return the keyed hash by which a subject is known, from its normal form."""
    return hashlib.blake2b(form, key=secret, digest_size=SUBJECT_BYTES, person=b"gongshu subject").digest()


def period_of(contract: Contract, now: datetime, days: int) -> Period:
    """Return from when to when a consent given now would hold: no longer than the contract."""
    return Period(now, min(now + timedelta(days=days), contract.terms.policy.period.end))


def decide_give(
    consent: Consent, contract: Contract, product: ProductVersion, party: PartyId, *, days: int, days_max: int, blank: Iterable[str],
    is_confirmed: bool,
) -> Decision[Consent]:  # fmt: skip
    """A consent is recorded for one subject, consumer, purpose and product, for a time, after the subject was told.

    The desk is that of the contract's operator; to everybody else the contract does not exist.
    """
    if party != contract.terms.operator:
        return Denied((NOT_FOUND.because(kind="contract", id=contract.id),))
    end, missing = contract.terms.policy.period.end, tuple(blank)
    is_in_time = 0 < days <= days_max and consent.given_at < end
    is_performing = contract.status is ContractStatus.PERFORMING
    return decide(
        consent,
        None if needs_consent(product) else CONSENT_NOT_NEEDED.because(product=product.id),
        None
        if is_performing
        else CONSENT_CONTRACT_NOT_PERFORMING.because(contract=contract.id, status=contract.status),
        CONSENT_SUBJECT_BLANK.because(fields=", ".join(missing)) if missing else None,
        None if is_confirmed else CONSENT_NOT_CONFIRMED.because(),
        None
        if is_in_time
        else CONSENT_PERIOD_INVALID.because(days=days, days_max=days_max, end=end.date().isoformat()),
    )


def decide_withdraw(consent: Consent, now: datetime, by: str) -> Decision[Consent]:
    """A consent is withdrawn as easily as it was given; what was done before stays as it is (PIPL art. 15)."""
    step = decide_step("consent", CONSENT_TRANSITIONS, consent.status, "withdraw")
    if isinstance(step, Denied):
        return step
    return decide(replace(consent, status=step.value, withdrawn_at=now, withdrawn_by=by))


def is_secret(consent: Consent, secret_sha256: str) -> bool:
    """Whether a secret, by its hash, is the one that the subject holds. In constant time."""
    return hmac.compare_digest(consent.secret_sha256.encode(), secret_sha256.encode())


# ----------------------------------------------------------------------------------------------------------- tokens

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConsentClaim).decode


def claim_of(consent: Consent) -> ConsentClaim:
    """Return what the token of a consent says."""
    terms = consent.terms
    return ConsentClaim(
        consent.id, bytes.fromhex(terms.subject), terms.consumer, terms.purpose, terms.product,
        bytes.fromhex(terms.product_digest), int(terms.period.start.timestamp()), int(terms.period.end.timestamp()),
    )  # fmt: skip


def public_key_of(seed: bytes) -> bytes:
    """Return the 32 bytes by which tokens signed with ``seed`` are checked."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def token_of(consent: Consent, seed: bytes) -> str:
    """Sign the token of a consent with the Ed25519 key made of the 32 bytes ``seed``. The same consent, the same token."""
    claim = _encode(claim_of(consent))
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(CONTEXT + claim)
    return PREFIX + base64.urlsafe_b64encode(signature + claim).decode().rstrip("=")


def read_token(token: str, public_key: bytes) -> ConsentClaim | None:
    """Return what a token says if it was signed by the platform, else ``None``."""
    if not token.startswith(PREFIX) or len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        raw = base64.b64decode(
            token[len(PREFIX) :] + "=" * (-len(token[len(PREFIX) :]) % 4), altchars=b"-_", validate=True
        )
        signature, claim = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, CONTEXT + claim)
        return _decode(claim)
    except (binascii.Error, ValueError, InvalidSignature, msgspec.DecodeError):
        return None


def claim_reasons(  # noqa: PLR0917 - everything that a consent binds
    claim: ConsentClaim, subject: bytes, consumer: PartyId, purpose: str, product: str, product_digest: str, now: datetime,
    *, is_withdrawn: bool,
) -> tuple[Reason, ...]:  # fmt: skip
    """Return every reason why a consent does not permit a call.

    ``subject`` is empty where the input names nobody: nobody's consent is not that of the one who gave this one.
    """
    moment = now.timestamp()
    found = (
        CONSENT_WITHDRAWN.because() if is_withdrawn else None,
        None if hmac.compare_digest(claim.subject, subject) else CONSENT_OTHER_SUBJECT.because(),
        None if claim.consumer == consumer else CONSENT_OTHER_CONSUMER.because(),
        None if claim.purpose == purpose else CONSENT_OTHER_PURPOSE.because(),
        None
        if claim.product == product and claim.product_digest.hex() == product_digest
        else CONSENT_OTHER_PRODUCT.because(),
        CONSENT_NOT_YET.because() if moment < claim.start - CLOCK_SKEW_MAX.total_seconds() else None,
        CONSENT_EXPIRED.because() if moment >= claim.end else None,
    )
    return tuple(reason for reason in found if reason is not None)


def terms_of(subject: bytes, contract: Contract, product: ProductVersion, purpose: str, period: Period) -> ConsentTerms:
    """Return the terms of a consent under a contract."""
    return ConsentTerms(
        subject.hex(), contract.terms.consumer, purpose, product.id, contract.terms.product.digest, period
    )
