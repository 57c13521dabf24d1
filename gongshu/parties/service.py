"""Admit organisations and people, and know them again by password, session or token.

Secrets are returned once and kept as SHA-256; passwords as argon2id. Neither is ever logged or audited.
"""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.parties import rules, store
from gongshu.parties.types import ANONYMOUS, ApiToken, Party, Password, Person, Session

SECRET_BYTES = 32
ID_CHARS_MAX = 80
_HASHER = PasswordHasher()  # argon2id with the low-memory profile of RFC 9106


@cache
def _hash_of_nobody() -> str:
    """A hash that no password fits, so that an unknown login costs as much time as a known one."""
    return _HASHER.hash(secrets.token_urlsafe(SECRET_BYTES))


def _fits(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except VerificationError:
        return False


def _id_of_secret(secret: str) -> str:
    return sha256_hex(secret.encode())


def _ref(kind: str, object_id: str, found: Party | Person | None) -> Ref:
    """Name an object in the log even when it is not there."""
    return Ref(kind, object_id[:ID_CHARS_MAX], "") if found is None else found.ref


def _unknown(kind: str, object_id: str) -> Denied:
    return Denied((NOT_FOUND.because(kind=kind, id=object_id[:ID_CHARS_MAX]),))


# ------------------------------------------------------------------------------------------- organisations, people


def create_party(
    site: Site,
    actor: Actor,
    *,
    party_id: str = "",
    name: str,
    credit_code: str,
    roles: Iterable[Role],
    region: str,
    is_public_institution: bool = False,
    affiliates: Iterable[PartyId] = (),
) -> Party:
    """Admit an organisation. ``region`` is four or six digits of GB/T 2260; ``party_id`` is made when left empty."""
    party = Party(
        id=PartyId(party_id or site.ids.make("party")), name=name.strip(), credit_code=credit_code.strip().upper(),
        roles=frozenset(roles), region=region, is_public_institution=is_public_institution,
        affiliates=frozenset(affiliates),
    )  # fmt: skip
    with site.db.transaction() as tx:
        decision = access.guard(
            actor, Permission.ADMINISTER_PARTY_CREATE,
            lambda: rules.decide_party(
                party, holder_of_code=store.find_by_code(tx, party.credit_code),
                is_id_taken=store.PARTIES.find(tx, party.id) is not None, known=store.all_party_ids(tx),
            ),
        )  # fmt: skip
        audit.record(tx, site, actor=actor, action="party.create", subject=party.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.PARTIES.add(tx, decision.value)
    return decision.value_or_raise()


def declare_affiliates(site: Site, actor: Actor, party_id: PartyId, affiliates: Iterable[PartyId]) -> Party:
    """Replace the declared affiliates of a party; acts on every later decision about it (27号 art.6)."""
    with site.db.transaction() as tx:
        party = store.PARTIES.find(tx, party_id)
        declared = frozenset(affiliates)
        decision = access.guard(
            actor, Permission.ADMINISTER_PARTY_CREATE,
            lambda: _unknown("party", party_id) if party is None
            else rules.decide_affiliates(party, declared, store.all_party_ids(tx)),
        )  # fmt: skip
        before = _ref("party", party_id, party)
        subject = decision.value.ref if isinstance(decision, Permitted) else before
        audit.record(tx, site, actor=actor, action="party.declare_affiliates", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and party is not None:
            store.PARTIES.save(tx, party, decision.value)
    return decision.value_or_raise()


def create_person(
    site: Site, actor: Actor, *, party: PartyId, name: str, login: str, password: str, roles: Iterable[Role]
) -> Person:
    """Let a person (经办人) act for ``party`` in ``roles``, each of which the party holds."""
    person = Person(
        id=PersonId(site.ids.make("person")), party=party, name=name.strip(), login=login, roles=frozenset(roles)
    )
    may_create = access.may(actor, Permission.ADMINISTER_PERSON_CREATE)
    # Hashing takes a while on purpose: before the transaction, for everybody else would wait.
    hashed = Password(person.id, _HASHER.hash(password) if may_create else "")
    with site.db.transaction() as tx:
        organisation = store.PARTIES.find(tx, party)
        decision = access.guard(
            actor, Permission.ADMINISTER_PERSON_CREATE,
            lambda: _unknown("party", party) if organisation is None
            else _decide_person(tx, site, person, organisation, password),
        )  # fmt: skip
        audit.record(
            tx, site, actor=actor, action="person.create", subject=person.ref, decision=decision,
            origins=(_ref("party", party, organisation),),
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.PEOPLE.add(tx, person)
            store.PASSWORDS.add(tx, hashed)
    return decision.value_or_raise()


def _decide_person(tx: Transaction, site: Site, person: Person, party: Party, password: str) -> Decision[Person]:
    return rules.decide_person(
        person, party, password=password, chars_min=site.parameters.number("password.chars_min", site.today()),
        is_login_taken=store.find_by_login(tx, person.login) is not None,
    )  # fmt: skip


def deactivate_person(site: Site, actor: Actor, person_id: PersonId) -> Person:
    """Freeze a person who has left: every session and token stops at once."""
    with site.db.transaction() as tx:
        person = store.PEOPLE.find(tx, person_id)
        decision: Decision[Person] = access.guard(
            actor,
            Permission.ADMINISTER_PERSON_CREATE,
            lambda: _unknown("person", person_id) if person is None else Permitted(replace(person, is_active=False)),
        )
        subject = decision.value.ref if isinstance(decision, Permitted) else _ref("person", person_id, person)
        audit.record(tx, site, actor=actor, action="person.deactivate", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and person is not None:
            store.PEOPLE.save(tx, person, decision.value)
    return decision.value_or_raise()


def bootstrap(
    site: Site, *, name: str, credit_code: str, region: str, login: str, password: str, person_name: str,
    party_id: str = "",
) -> tuple[Party, Person]:  # fmt: skip
    """Make the first organisation and platform administrator. Refused once there is any party."""
    roles = frozenset({Role.PLATFORM_ADMINISTRATOR})
    party = Party(PartyId(party_id or site.ids.make("party")), name.strip(), credit_code, roles, region)
    person = Person(PersonId(site.ids.make("person")), party.id, person_name.strip(), login, roles)
    hashed = Password(person.id, _HASHER.hash(password))
    with site.db.transaction() as tx:
        decision: Decision[Party] = rules.decide_bootstrap(party, is_empty=store.is_empty(tx))
        if isinstance(decision, Permitted):
            decision = rules.decide_party(party, holder_of_code=None, is_id_taken=False, known=())
        person_decision = _decide_person(tx, site, person, party, password)
        if isinstance(decision, Permitted) and isinstance(person_decision, Denied):
            decision = person_decision
        audit.record(tx, site, actor=ANONYMOUS, action="party.bootstrap", subject=party.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.PARTIES.add(tx, party)
            store.PEOPLE.add(tx, person)
            store.PASSWORDS.add(tx, hashed)
    return decision.value_or_raise(), person


def get_party(site: Site, actor: Actor, party_id: PartyId) -> Party:
    """Return a party; the directory is open."""
    access.require(actor, Permission.READ_PARTY_VIEW)
    with site.db.reading() as tx:
        return store.PARTIES.get(tx, party_id)


def list_parties(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Party]:
    """Return one page of the directory of organisations, by id."""
    access.require(actor, Permission.READ_PARTY_VIEW)
    with site.db.reading() as tx:
        return store.PARTIES.page(tx, page, newest_first=False)


def _may_see_people(actor: Actor) -> bool:
    return access.may(actor, Permission.ADMINISTER_PERSON_CREATE) or access.may(actor, Permission.AUDIT_LOG_READ)


def list_people(site: Site, actor: Actor, party_id: PartyId, page: PageRequest = FIRST_PAGE) -> Page[Person]:
    """Return people of a party: of one's own, or of any for administrators and auditors; else ``not-found``."""
    access.require(actor, Permission.READ_PARTY_VIEW)
    if actor.party != party_id and not _may_see_people(actor):
        raise Refused(_unknown("party", party_id).reasons)
    with site.db.reading() as tx:
        return store.PEOPLE.page(tx, page, newest_first=False, party=party_id)


def get_person(site: Site, actor: Actor, person_id: PersonId) -> Person:
    """Return a person of one's own organisation, or anybody for administrators and auditors; else ``not-found``."""
    access.require(actor, Permission.READ_PARTY_VIEW)
    with site.db.reading() as tx:
        person = store.PEOPLE.find(tx, person_id)
    if person is None or not (person.party == actor.party or _may_see_people(actor)):
        raise Refused(_unknown("person", person_id).reasons)
    return person


def list_demo_people(site: Site) -> tuple[tuple[Person, Party], ...]:
    """Return everybody who can be signed in as by one click; nobody outside demo mode."""
    if not site.is_demo:
        return ()
    with site.db.reading() as tx:
        by_id = {party.id: party for party in store.PARTIES.all(tx)}
        return tuple((person, by_id[person.party]) for person in store.PEOPLE.all(tx) if person.is_active)


def party_in(tx: Transaction, party_id: PartyId) -> Party:
    """Return a party inside the caller's transaction; refused with ``not-found``."""
    return store.PARTIES.get(tx, party_id)


def find_party_in(tx: Transaction, party_id: PartyId) -> Party | None:
    """Return a party inside the caller's transaction, or ``None``."""
    return store.PARTIES.find(tx, party_id)


def person_in(tx: Transaction, person_id: PersonId) -> Person:
    """Return a person inside the caller's transaction; refused with ``not-found``."""
    return store.PEOPLE.get(tx, person_id)


def are_related_in(tx: Transaction, one: PartyId, other: PartyId) -> bool:
    """Whether two organisations are the same, affiliates, or share an affiliate (27号 art.6). Unknown ones are not."""
    first, second = store.PARTIES.find(tx, one), store.PARTIES.find(tx, other)
    if first is None or second is None:
        return one == other
    return rules.are_related(first, second)


# ------------------------------------------------------------------------------------------------------- sign-in


def _login_ref(site: Site, login: str) -> Ref:
    """Name a login that may not exist, and may be a mistyped password, without writing it down."""
    digest = hmac.digest(site.keys.secret("login-digest"), login.encode(), "sha256").hex()
    return Ref("login", digest[:16], digest)


def sign_in(site: Site, login: str, password: str) -> tuple[str, Session]:
    """Return the cookie's secret and the session. Every failure is answered alike and costs the same work."""
    with site.db.reading() as tx:
        known = store.find_by_login(tx, login)
        before = store.PASSWORDS.find(tx, known.id) if known is not None else None
    # Outside any transaction: argon2id is slow on purpose, and writers wait for each other.
    does_fit = _fits(before.argon2id if before is not None else _hash_of_nobody(), password)
    with site.db.transaction() as tx:
        person = store.PEOPLE.get(tx, known.id) if known is not None else None
        cause = _count_attempt(tx, site, person, before, does_fit=does_fit)
        decision: Decision[tuple[str, Session]] = (
            Permitted(_open_session(tx, site, person))
            if person is not None and not cause
            else rules.sign_in_refusal(site.parameters, site.today())
        )
        subject = person.ref if person is not None else _login_ref(site, login)
        actor = _actor_in(tx, person) if person is not None and not cause else ANONYMOUS
        audit.record(
            tx, site, actor=actor, action="session.sign_in", subject=subject, decision=decision,
            facts={"cause": cause} if cause else None,
        )  # fmt: skip
    return decision.value_or_raise()


def _count_attempt(tx: Transaction, site: Site, person: Person | None, seen: Password | None, *, does_fit: bool) -> str:
    """Store the attempt and return why it fails; empty when it succeeds."""
    if person is None or seen is None:
        return "unknown-login"
    now, today = site.now(), site.today()
    stored = store.PASSWORDS.get(tx, person.id)
    counted, cause = rules.count_attempt(
        stored, matches=does_fit and stored.argon2id == seen.argon2id,
        failures_max=site.parameters.number("password.failures_max", today),
        lock=timedelta(minutes=site.parameters.number("password.lock_minutes", today)), now=now,
    )  # fmt: skip
    if counted != stored:
        store.PASSWORDS.save(tx, stored, counted)
    return cause or ("" if person.is_active else "inactive")


def sign_in_as(site: Site, login: str) -> tuple[str, Session]:
    """Sign in without a password: one click in demo mode, refused everywhere else."""
    with site.db.transaction() as tx:
        person = store.find_by_login(tx, login)
        refusal = rules.sign_in_refusal(site.parameters, site.today())
        allowed = rules.decide_demo(person, is_demo=site.is_demo, refusal=refusal)
        decision: Decision[tuple[str, Session]] = (
            Permitted(_open_session(tx, site, allowed.value)) if isinstance(allowed, Permitted) else allowed
        )
        subject = person.ref if person is not None else _login_ref(site, login)
        actor = _actor_in(tx, allowed.value) if isinstance(allowed, Permitted) else ANONYMOUS
        audit.record(tx, site, actor=actor, action="session.sign_in_as", subject=subject, decision=decision)
    return decision.value_or_raise()


def _open_session(tx: Transaction, site: Site, person: Person) -> tuple[str, Session]:
    now = site.now()
    hours = site.parameters.number("session.hours_max", site.today())
    secret = secrets.token_urlsafe(SECRET_BYTES)
    session = Session(
        id=_id_of_secret(secret), person=person.id, csrf=secrets.token_urlsafe(SECRET_BYTES), created_at=now,
        expires_at=now + timedelta(hours=hours),
    )  # fmt: skip
    store.delete_expired(tx, now)
    store.SESSIONS.add(tx, session)
    return secret, session


def _actor_in(tx: Transaction, person: Person) -> Actor:
    return rules.actor_of(person, store.PARTIES.get(tx, person.party))


def _active_actor_in(tx: Transaction, person_id: PersonId) -> Actor | None:
    person = store.PEOPLE.find(tx, person_id)
    return _actor_in(tx, person) if person is not None and person.is_active else None


def resolve_session(site: Site, secret: str) -> tuple[Actor, str] | None:
    """Return who a cookie's secret stands for and the CSRF token of its forms; ``None`` when it no longer counts."""
    with site.db.reading() as tx:
        session = store.SESSIONS.find(tx, _id_of_secret(secret))
        if session is None or rules.has_expired(session, site.now()):
            return None
        actor = _active_actor_in(tx, session.person)
    return None if actor is None else (actor, session.csrf)


def sign_out(site: Site, actor: Actor, secret: str) -> None:
    """End the session of ``secret``; its cookie is worth nothing from now on."""
    with site.db.transaction() as tx:
        session = store.SESSIONS.find(tx, _id_of_secret(secret))
        decision = rules.decide_signed_in(actor)
        person = store.PEOPLE.find(tx, session.person) if session is not None else None
        subject = person.ref if person is not None else Ref("session", "unknown", "")
        audit.record(tx, site, actor=actor, action="session.sign_out", subject=subject, decision=decision)
        if isinstance(decision, Permitted) and session is not None and session.person == actor.person:
            store.delete_session(tx, session.id)
    decision.value_or_raise()


# -------------------------------------------------------------------------------------------------------- tokens


def create_token(site: Site, actor: Actor, *, label: str, days: int = 90) -> tuple[str, ApiToken]:
    """Return the secret of a new bearer token of the actor's own, shown this once, and what is kept of it."""
    now = site.now()
    secret = "gst_" + secrets.token_urlsafe(SECRET_BYTES)
    days_max = site.parameters.number("token.days_max", site.today())
    expires_at = now + timedelta(days=max(0, min(days, days_max)))
    token = ApiToken(_id_of_secret(secret), actor.person, label.strip()[:100], now, expires_at)
    with site.db.transaction() as tx:
        decision = rules.decide_token(actor, token, days=days, days_max=days_max)
        audit.record(tx, site, actor=actor, action="token.create", subject=token.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.TOKENS.add(tx, token)
    return secret, decision.value_or_raise()


def resolve_token(site: Site, secret: str) -> Actor | None:
    """Return who a bearer token stands for; ``None`` when it is unknown, revoked, expired or its person is frozen."""
    with site.db.reading() as tx:
        token = store.TOKENS.find(tx, _id_of_secret(secret))
        if token is None or rules.has_expired(token, site.now()):
            return None
        return _active_actor_in(tx, token.person)


def list_tokens(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[ApiToken]:
    """Return the actor's own tokens."""
    rules.decide_signed_in(actor).value_or_raise()
    with site.db.reading() as tx:
        return store.TOKENS.page(tx, page, person=actor.person)


def revoke_token(site: Site, actor: Actor, token_id: str) -> None:
    """Revoke one of the actor's own tokens; calls with it are refused from now on."""
    with site.db.transaction() as tx:
        token = store.TOKENS.find(tx, token_id)
        is_own = token is not None and token.person == actor.person
        decision: Decision[Actor] = rules.decide_signed_in(actor) if is_own else _unknown("api_token", token_id)
        subject = token.ref if token is not None else Ref("api_token", token_id[:ID_CHARS_MAX], "")
        audit.record(tx, site, actor=actor, action="token.revoke", subject=subject, decision=decision)
        if isinstance(decision, Permitted):
            store.delete_token(tx, token_id)
    decision.value_or_raise()
