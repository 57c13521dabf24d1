"""Consents, and the tokens that prove them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from gongshu.base.days import Period
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import ConsentId, ContractId, PartyId, PersonId, ProductId


class ConsentStatus(StrEnum):
    """A consent holds until it is withdrawn or its period is over."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class ConsentTerms:
    """What a subject agreed to: whose data (``subject``, a keyed hash and nothing else), who uses it, for what, how long.

    ``product_digest`` binds what is answered: another version of the product needs another consent (PIPL art. 14).
    """

    subject: str
    consumer: PartyId
    purpose: str
    product: ProductId
    product_digest: str
    period: Period


@dataclass(frozen=True)
class Consent:
    """A consent as it is kept. Of the secret by which the subject withdraws it only the hash is here."""

    id: ConsentId
    terms: ConsentTerms
    contract: ContractId
    operator: PartyId
    recorded_by: PersonId
    secret_sha256: str
    status: ConsentStatus
    given_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""  # ``subject`` or ``desk``

    @property
    def ref(self) -> Ref:
        """This consent, bound to its terms."""
        return Ref("consent", self.id, digest_of(self.terms))


class ConsentClaim(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a token says, once its signature was found good. Times are whole seconds since 1970."""

    id: str
    subject: bytes
    consumer: str
    purpose: str
    product: str
    product_digest: bytes
    start: int
    end: int


@dataclass(frozen=True)
class ConsentNotice:
    """What the subject is told before agreeing (PIPL art. 17, 23): who, for what, which data, until when.

    ``keys`` are the input fields that name the subject, ``known_by`` and ``answers`` the columns behind keys and answers.
    """

    contract: ContractId
    consumer: PartyId
    consumer_name: str
    operator: PartyId
    operator_name: str
    product: ProductId
    product_title: str
    purpose: str
    keys: tuple[str, ...]
    known_by: tuple[str, ...]
    answers: tuple[str, ...]
    period: Period


@dataclass(frozen=True)
class GivenConsent:
    """A new consent with what is shown this once: the token for the consumer and the subject's secret for withdrawal."""

    consent: Consent
    token: str
    secret: str
