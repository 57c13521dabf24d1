"""The consent desk: the subject is told, agrees, and gets a slip to withdraw with; the consumer gets a token.

Whom a consent is about is known as a keyed hash only. Withdrawals reach the gateways with the next snapshot.
"""

import secrets
from collections.abc import Mapping

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import ConsentId, ContractId
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Keys, Site, Transaction
from gongshu.compute import service as compute
from gongshu.compute.types import LookupDefinition, VerificationDefinition
from gongshu.consents import rules, store
from gongshu.consents.types import Consent, ConsentNotice, ConsentStatus, GivenConsent
from gongshu.parties import service as parties
from gongshu.products import service as products
from gongshu.products.types import Contract, Definition, ProductVersion

SIGNING_SECRET, SUBJECT_SECRET = "consent-signing", "consent-subject"
SECRET_BYTES = 16
ID_CHARS_MAX = 80
SUBJECT, DESK = "subject", "desk"
OVERSIGHT = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY})

read_token, claim_reasons = rules.read_token, rules.claim_reasons
needs_consent = rules.needs_consent
CONSENT_MISSING, CONSENT_INVALID = rules.CONSENT_MISSING, rules.CONSENT_INVALID


# ---------------------------------------------------------------------------------------------- for the gateways


def public_key(keys: Keys) -> bytes:
    """Return the key by which gateways check tokens."""
    return rules.public_key_of(keys.secret(SIGNING_SECRET))


def subject_secret(keys: Keys) -> bytes:
    """Return the key under which subjects are hashed."""
    return keys.secret(SUBJECT_SECRET)


def subject_of(definition: Definition, secret: bytes, fields: Mapping[str, str]) -> bytes:
    """Return the keyed hash of the one whom the input of a call is about; empty when a key field is blank."""
    asked = asked_by(definition)
    form = compute.subject_form(asked, dict(fields)) if asked is not None else None
    return b"" if form is None else rules.subject_hash(secret, form)


def asked_by(definition: Definition) -> LookupDefinition | VerificationDefinition | None:
    """Return the part of a definition that says how a subject is named."""
    return definition.lookup or definition.verification


def withdrawn_in(tx: Transaction) -> tuple[Consent, ...]:
    """Return every consent that was withdrawn."""
    return store.CONSENTS.all(tx, status=ConsentStatus.WITHDRAWN.value)


def find_in(tx: Transaction, consent_id: str) -> Consent | None:
    """Return a consent, or ``None``."""
    return store.CONSENTS.find(tx, consent_id)


# -------------------------------------------------------------------------------------------------------- giving


def _key_fields(product: ProductVersion) -> tuple[str, ...]:
    asked = asked_by(product.definition)
    if isinstance(asked, LookupDefinition):
        return tuple(key.name for key in asked.keys)
    return tuple(field.name for field in asked.fields if field.is_key) if asked is not None else ()


def _known_by(product: ProductVersion) -> tuple[str, ...]:
    asked = asked_by(product.definition)
    if isinstance(asked, LookupDefinition):
        return tuple(key.column for key in asked.keys)
    return tuple(field.column for field in asked.fields if field.is_key) if asked is not None else ()


def _answers(product: ProductVersion) -> tuple[str, ...]:
    asked = asked_by(product.definition)
    if isinstance(asked, LookupDefinition):
        bands = {output.name: f" ({' · '.join(output.bounds)})" for output in asked.outputs if output.bounds}
        return tuple(output.column + bands.get(output.name, "") for output in asked.outputs)
    return tuple(field.column for field in asked.fields if not field.is_key) if asked is not None else ()


def _own_contract_in(tx: Transaction, actor: Actor, contract_id: ContractId) -> Contract:
    contract = products.contract_in(tx, contract_id)
    if actor.party != contract.terms.operator:
        raise Refused((NOT_FOUND.because(kind="contract", id=contract_id),))
    return contract


def notice(site: Site, actor: Actor, contract_id: ContractId, days: int) -> ConsentNotice:
    """Return what a subject is told before agreeing to calls under a contract (PIPL art. 17, 23)."""
    access.require(actor, Permission.OPERATE_CONSENT_WRITE)
    with site.db.reading() as tx:
        contract = _own_contract_in(tx, actor, contract_id)
        product = products.product_in(tx, contract.terms.product_id)
        consumer, operator = (
            parties.party_in(tx, contract.terms.consumer),
            parties.party_in(tx, contract.terms.operator),
        )
    return ConsentNotice(
        contract.id, consumer.id, consumer.name, operator.id, operator.name, product.id, product.title,
        contract.terms.policy.purposes[0], _key_fields(product), _known_by(product), _answers(product),
        rules.period_of(contract, site.now(), days),
    )  # fmt: skip


def give(
    site: Site, actor: Actor, contract_id: ContractId, subject: Mapping[str, str], days: int, *, is_confirmed: bool
) -> GivenConsent:  # fmt: skip
    """Record at the operator's desk that a subject agreed; token and withdrawal code are shown this once.

    ``subject`` are the key fields of the product: they are hashed and kept nowhere. ``is_confirmed``: the desk made sure
    who it is, told every point of the notice, and the subject agreed (PIPL art. 14, 17).
    """
    now, days_max = site.now(), site.parameters.number("consent.days_max", site.today())
    secret = secrets.token_hex(SECRET_BYTES)
    with site.db.transaction() as tx:
        contract = products.contract_in(tx, contract_id)
        product = products.product_in(tx, contract.terms.product_id)
        names = _key_fields(product)
        given = {name: subject.get(name, "") for name in names}
        hashed = subject_of(product.definition, subject_secret(site.keys), given)
        blank = [] if hashed else [name for name in names if not given[name].strip()] or list(names)
        period = rules.period_of(contract, now, max(0, min(days, days_max)))
        consent = Consent(
            id=ConsentId(site.ids.make("consent")),
            terms=rules.terms_of(hashed, contract, product, contract.terms.policy.purposes[0], period),
            contract=contract.id, operator=contract.terms.operator, recorded_by=actor.person,
            secret_sha256=sha256_hex(secret.encode()), status=ConsentStatus.GIVEN, given_at=now,
        )  # fmt: skip
        decision = access.guard(
            actor,
            Permission.OPERATE_CONSENT_WRITE,
            lambda: rules.decide_give(
                consent,
                contract,
                product,
                actor.party,
                days=days,
                days_max=days_max,
                blank=blank,
                is_confirmed=is_confirmed,
            ),
        )
        audit.record(
            tx, site, actor=actor, action="consent.give", subject=consent.ref, decision=decision,
            origins=(contract.ref, contract.terms.product),
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.CONSENTS.add(tx, consent)
    made = decision.value_or_raise()
    return GivenConsent(made, rules.token_of(made, site.keys.secret(SIGNING_SECRET)), secret)


# ----------------------------------------------------------------------------------------------------- withdrawing


def withdraw(site: Site, actor: Actor, consent_id: ConsentId) -> Consent:
    """Withdraw a consent at the desk, for a subject who came without the slip (PIPL art. 15)."""
    with site.db.transaction() as tx:
        consent = store.CONSENTS.find(tx, consent_id)
        decision = access.guard(
            actor, Permission.OPERATE_CONSENT_WRITE, lambda: _decide_at_desk(site, actor, consent, consent_id)
        )
        _record_withdrawal(tx, site, actor, consent, consent_id, decision)
    return decision.value_or_raise()


def _decide_at_desk(site: Site, actor: Actor, consent: Consent | None, consent_id: ConsentId) -> Decision[Consent]:
    if consent is None or consent.operator != actor.party:
        return Denied((NOT_FOUND.because(kind="consent", id=consent_id[:ID_CHARS_MAX]),))
    return rules.decide_withdraw(consent, site.now(), DESK)


def withdraw_own(site: Site, actor: Actor, consent_id: ConsentId, secret: str) -> Consent:
    """Withdraw one's own consent by its number and the code on the slip; anybody may come, nobody need sign in."""
    with site.db.transaction() as tx:
        consent = store.CONSENTS.find(tx, consent_id)
        is_own = consent is not None and rules.is_secret(consent, sha256_hex(secret.strip().encode()))
        decision: Decision[Consent] = (
            rules.decide_withdraw(consent, site.now(), SUBJECT)
            if consent is not None and is_own
            else Denied((rules.CONSENT_SECRET_WRONG.because(),))
        )
        if is_own:  # guesses of strangers are no events of a consent
            _record_withdrawal(tx, site, actor, consent, consent_id, decision)
    return decision.value_or_raise()


def _record_withdrawal(  # noqa: PLR0917 - what is recorded
    tx: Transaction,
    site: Site,
    actor: Actor,
    consent: Consent | None,
    consent_id: ConsentId,
    decision: Decision[Consent],
) -> None:
    subject = consent.ref if consent is not None else Ref("consent", consent_id[:ID_CHARS_MAX], "")
    by = {"by": decision.value.withdrawn_by} if isinstance(decision, Permitted) else {}
    audit.record(tx, site, actor=actor, action="consent.withdraw", subject=subject, decision=decision, facts=by)
    if consent is not None and isinstance(decision, Permitted):
        store.CONSENTS.save(tx, consent, decision.value)


# --------------------------------------------------------------------------------------------------------- reading


def show_own(site: Site, consent_id: ConsentId, secret: str) -> tuple[Consent, ConsentNotice]:
    """Show a subject what was agreed to, by the consent's number and the code on the slip (PIPL art. 44, 45)."""
    with site.db.reading() as tx:
        consent = store.CONSENTS.find(tx, consent_id)
        if consent is None or not rules.is_secret(consent, sha256_hex(secret.strip().encode())):
            raise Refused((rules.CONSENT_SECRET_WRONG.because(),))
        product = products.product_in(tx, consent.terms.product)
        consumer, operator = parties.party_in(tx, consent.terms.consumer), parties.party_in(tx, consent.operator)
    shown = ConsentNotice(
        consent.contract, consumer.id, consumer.name, operator.id, operator.name, product.id, product.title,
        consent.terms.purpose, _key_fields(product), _known_by(product), _answers(product), consent.terms.period,
    )  # fmt: skip
    return consent, shown


def get_consent(site: Site, actor: Actor, consent_id: ConsentId) -> Consent:
    """Return a consent to the consumer it was given to, to the operator that recorded it, and to supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        consent = store.CONSENTS.get(tx, consent_id)
    if not (OVERSIGHT & actor.roles or actor.party in {consent.terms.consumer, consent.operator}):
        raise Refused((NOT_FOUND.because(kind="consent", id=consent_id),))
    return consent


def list_consents(site: Site, actor: Actor, page: PageRequest) -> Page[Consent]:
    """Return the consents that the actor's organisation may use or recorded, newest first; all of them for supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        if OVERSIGHT & actor.roles:
            return store.CONSENTS.page(tx, page)
        if Role.OPERATOR in actor.roles:
            return store.CONSENTS.page(tx, page, operator=actor.party)
        return store.CONSENTS.page(tx, page, consumer=actor.party)


def token_of(site: Site, actor: Actor, consent_id: ConsentId) -> str:
    """Return the token of a consent to the consumer that it was given to. It is worth nothing to anybody else."""
    access.require(actor, Permission.CONSUME_KEY_CREATE)
    with site.db.reading() as tx:
        consent = store.CONSENTS.get(tx, consent_id)
    if consent.terms.consumer != actor.party:
        raise Refused((NOT_FOUND.because(kind="consent", id=consent_id),))
    return rules.token_of(consent, site.keys.secret(SIGNING_SECRET))
