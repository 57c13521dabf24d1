"""First registration of resources under 26号. Every step records its due day; anybody can verify a code."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.identifiers import MOD_37_ALPHABET
from gongshu.base.ids import PersonId, RegistrationId, ResourceId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.parties import service as parties
from gongshu.registry import rules, store
from gongshu.registry.types import (
    CancellationGround,
    Material,
    Publicity,
    PublicRecord,
    Registration,
    RegistrationStatus,
    RegistrationTerms,
)

ID_CHARS_MAX = 80
Decide = Callable[[Transaction, Registration, bool], Decision[Registration]]
"""Decides on a registration; the flag says whether the actor's organisation is related to the registrant's."""


def _ref(registration_id: str, found: Registration | None) -> Ref:
    """Name a registration in the log even when it is not there."""
    return Ref("registration", registration_id[:ID_CHARS_MAX], "") if found is None else found.ref


UNDEPOSITED = Ref("resource_version", "", "")


def _deposited(tx: Transaction, draft: RegistrationTerms) -> tuple[RegistrationTerms, bool]:
    """Return the terms bound to the version's manifest digest, and whether there is such a version.

    Refused with ``not-found`` when the resource is not the registrant's.
    """
    resource = catalog.resource_in(tx, draft.resource)
    if resource.supplier != draft.registrant:
        raise Refused(rules.resource_unknown(draft.resource).reasons)
    try:
        return replace(draft, version=catalog.version_in(tx, draft.resource, draft.version_number).ref), True
    except Refused:
        return draft, False


def submit(
    site: Site, actor: Actor, *, resource_id: ResourceId, version_number: int, title: str, summary: str,
    materials: Iterable[Material],
) -> Registration:  # fmt: skip
    """File a first registration of a resource version. Filing is the registrant's signed commitment (登记承诺书).

    The version's manifest digest is the deposit (存证, 26号 art.7).
    """
    registration_id = RegistrationId(site.ids.make("registration"))

    draft = RegistrationTerms(
        resource=resource_id, version=UNDEPOSITED, registrant=actor.party, title=title.strip(), summary=summary.strip(),
        materials=rules.materials_of(materials), commitment_signed_by=actor.person, version_number=version_number,
    )  # fmt: skip

    def case(tx: Transaction) -> Decision[Registration]:
        try:
            terms, is_deposited = _deposited(tx, draft)
        except Refused as refused:
            return Denied(refused.reasons)
        deadline = rules.due(site.calendar, site.parameters, "accept", site.today())
        filed = Registration(
            id=registration_id, terms=terms, status=RegistrationStatus.SUBMITTED, received_at=site.now(),
            due=deadline.day, due_is_provisional=deadline.is_provisional,
        )  # fmt: skip
        return rules.decide_submit(filed, store.all_of(tx, resource_id), is_deposited=is_deposited)

    with site.db.transaction() as tx:
        decision = access.guard(actor, Permission.SUPPLY_REGISTRATION_SUBMIT, lambda: case(tx))
        made = decision.value if isinstance(decision, Permitted) else None
        audit.record(
            tx, site, actor=actor, action="registration.submit", subject=_ref(registration_id, made),
            decision=decision, origins=() if made is None else (made.terms.version,),
        )  # fmt: skip
        if made is not None:
            store.REGISTRATIONS.add(tx, made)
    return decision.value_or_raise()


def resubmit(
    site: Site, actor: Actor, registration_id: RegistrationId, *, title: str, summary: str,
    materials: Iterable[Material], version_number: int | None = None,
) -> Registration:  # fmt: skip
    """File again after a return, for the same resource; a new receipt date starts (26号 art.10)."""
    now = site.now()
    with site.db.transaction() as tx:
        before = store.REGISTRATIONS.find(tx, registration_id)
        known = before if before is not None and before.terms.registrant == actor.party else None

        def case() -> Decision[Registration]:
            if known is None:
                return rules.unknown(registration_id)
            number = known.terms.version_number if version_number is None else version_number
            draft = replace(
                known.terms, version=UNDEPOSITED, title=title.strip(), summary=summary.strip(),
                materials=rules.materials_of(materials), commitment_signed_by=actor.person, version_number=number,
            )  # fmt: skip
            terms, is_deposited = _deposited(tx, draft)
            deadline = rules.due(site.calendar, site.parameters, "accept", site.today())
            return rules.decide_resubmit(known, terms, is_deposited=is_deposited, now=now, deadline=deadline)

        decision = access.guard(actor, Permission.SUPPLY_REGISTRATION_SUBMIT, case)
        made = decision.value if isinstance(decision, Permitted) else known
        audit.record(
            tx, site, actor=actor, action="registration.resubmit", subject=_ref(registration_id, made),
            decision=decision, origins=() if made is None else (made.terms.version,),
        )  # fmt: skip
        if isinstance(decision, Permitted) and known is not None:
            store.REGISTRATIONS.save(tx, known, decision.value)
    return decision.value_or_raise()


def _take_step(site: Site, actor: Actor, registration_id: str, action: str, decide: Decide) -> Registration:
    """Let a registrar take one step of a case; recorded in the same transaction."""
    with site.db.transaction() as tx:
        registration = store.REGISTRATIONS.find(tx, registration_id)

        def case() -> Decision[Registration]:
            if registration is None:
                return rules.unknown(registration_id)
            is_related = parties.are_related_in(tx, actor.party, registration.terms.registrant)
            return decide(tx, registration, is_related)

        decision = access.guard(actor, Permission.REGISTER_REGISTRATION_DECIDE, case)
        subject = _ref(registration_id, registration)
        origins = () if registration is None else (registration.terms.version,)
        audit.record(tx, site, actor=actor, action=action, subject=subject, decision=decision, origins=origins)
        if isinstance(decision, Permitted) and registration is not None:
            store.REGISTRATIONS.save(tx, registration, decision.value)
    return decision.value_or_raise()


def return_for_supplement(
    site: Site, actor: Actor, registration_id: RegistrationId, defects: tuple[str, ...]
) -> Registration:
    """Return a case with one complete list of defects; after the supplement nothing new may be found (26号 art.10)."""
    return _take_step(
        site, actor, registration_id, "registration.return",
        lambda _, found, is_related: rules.decide_return(found, tuple(defects), is_related=is_related),
    )  # fmt: skip


def accept(site: Site, actor: Actor, registration_id: RegistrationId) -> Registration:
    """Accept a case: the formal review of 20 working days starts (26号 art.10, 11)."""
    deadline = rules.due(site.calendar, site.parameters, "review", site.today())
    return _take_step(
        site, actor, registration_id, "registration.accept",
        lambda _, found, is_related: rules.decide_accept(
            found, is_related=is_related, now=site.now(), deadline=deadline
        ),
    )  # fmt: skip


def refuse(site: Site, actor: Actor, registration_id: RegistrationId, reason: str) -> Registration:
    """Refuse a case at acceptance or review: it ends, and the registrant is told why."""
    return _take_step(
        site, actor, registration_id, "registration.refuse",
        lambda _, found, is_related: rules.decide_refuse(found, reason, is_related=is_related),
    )  # fmt: skip


def pass_review(site: Site, actor: Actor, registration_id: RegistrationId, explanation: str = "") -> Registration:
    """Pass the formal review: the publicity of 10 working days starts. A late review gives its ``explanation``."""
    deadline = rules.due(site.calendar, site.parameters, "publicity", site.today())
    return _take_step(
        site, actor, registration_id, "registration.pass_review",
        lambda _, found, is_related: rules.decide_pass_review(
            found, actor, is_related=is_related, explanation=explanation, now=site.now(), deadline=deadline
        ),
    )  # fmt: skip


def object_to(site: Site, actor: Actor, registration_id: RegistrationId, evidence: str) -> Registration:
    """Object during the publicity, with real name and evidence; the publicity pauses (26号 art.12)."""
    with site.db.transaction() as tx:
        registration = store.REGISTRATIONS.find(tx, registration_id)

        def case() -> Decision[Registration]:
            # Who may not read the case knows of it only while it is public.
            is_shown = registration is not None and (
                rules.is_public_now(registration) or rules.sees(actor, registration)
            )
            if registration is None or not is_shown:
                return rules.unknown(registration_id)
            return rules.decide_object(
                registration, actor, evidence, is_known=_is_known(tx, actor.person), now=site.now(),
                calendar=site.calendar,
            )  # fmt: skip

        decision = access.guard(actor, Permission.READ_REGISTRATION_VIEW, case)
        subject = _ref(registration_id, registration)
        origins = () if registration is None else (registration.terms.version,)
        audit.record(
            tx, site, actor=actor, action="registration.object", subject=subject, decision=decision, origins=origins
        )
        if isinstance(decision, Permitted) and registration is not None:
            store.REGISTRATIONS.save(tx, registration, decision.value)
    return decision.value_or_raise()


def _is_known(tx: Transaction, person_id: PersonId) -> bool:
    try:
        return parties.person_in(tx, person_id).is_active
    except Refused:
        return False


def decide_objection(
    site: Site, actor: Actor, registration_id: RegistrationId, *, upholds: bool, reason: str
) -> Registration:
    """Decide on an objection: upheld, the case ends; dismissed, the publicity resumes for the days that were left."""
    action = "registration.uphold_objection" if upholds else "registration.dismiss_objection"
    return _take_step(
        site, actor, registration_id, action,
        lambda _, found, is_related: rules.decide_objection(
            found, reason, upholds=upholds, is_related=is_related, now=site.now(), calendar=site.calendar
        ),
    )  # fmt: skip


def assign_code(site: Site, actor: Actor, registration_id: RegistrationId) -> Registration:
    """Give a trial code after an unchallenged publicity has ended; valid for three years (26号 art.13, 15)."""
    years = site.parameters.number("registration.validity.years", site.today())
    return _take_step(
        site, actor, registration_id, "registration.assign_code",
        lambda tx, found, is_related: rules.decide_assign_code(
            found, _fresh_code(tx, found), is_related=is_related, years=years, now=site.now()
        ),
    )  # fmt: skip


def _fresh_code(tx: Transaction, registration: Registration) -> str:
    registrant = parties.party_in(tx, registration.terms.registrant)
    while True:
        drawn = "".join(secrets.choice(MOD_37_ALPHABET[:-1]) for _ in range(rules.TRIAL_RANDOM_CHARS))
        code = rules.trial_code(credit_code=registrant.credit_code, region=registrant.region, random_part=drawn)
        if store.find_by_code(tx, code) is None:
            return code


def cancel(
    site: Site, actor: Actor, registration_id: RegistrationId, *, ground: CancellationGround, reason: str
) -> Registration:
    """Cancel a coded registration; grants over the resource permit nothing from then on (26号 art.9(四))."""
    return _take_step(
        site, actor, registration_id, "registration.cancel",
        lambda _, found, is_related: rules.decide_cancel(found, ground, reason, is_related=is_related),
    )  # fmt: skip


def lapse_expired(site: Site) -> tuple[Registration, ...]:
    """Let registrations lapse whose last day has passed; for the daily deadline run (26号 art.15)."""
    lapsed = []
    with site.db.transaction() as tx:
        for registration in store.REGISTRATIONS.all(tx, status=RegistrationStatus.CODED):
            decision = rules.decide_lapse(registration, site.today())
            if not isinstance(decision, Permitted):
                continue
            audit.record(
                tx, site, actor=SYSTEM, action="registration.lapse", subject=registration.ref, decision=decision,
                origins=(registration.terms.version,),
            )  # fmt: skip
            store.REGISTRATIONS.save(tx, registration, decision.value)
            lapsed.append(decision.value)
    return tuple(lapsed)


# --------------------------------------------------------------------------------------------------------- reading


def registration_in(tx: Transaction, registration_id: RegistrationId) -> Registration:
    """Return a registration inside the caller's transaction; refused with ``not-found``."""
    return store.REGISTRATIONS.get(tx, registration_id)


def coded_for_in(tx: Transaction, resource_id: ResourceId, today: date) -> Registration | None:
    """Return the registration of a resource whose code counts on ``today``, or ``None``."""
    return store.find_coded(tx, resource_id, today)


def get_registration(site: Site, actor: Actor, registration_id: RegistrationId) -> Registration:
    """Return a case that the actor may read."""
    access.require(actor, Permission.READ_REGISTRATION_VIEW)
    with site.db.reading() as tx:
        found = store.REGISTRATIONS.find(tx, registration_id)
    if found is None or not rules.sees(actor, found):
        return rules.unknown(registration_id).value_or_raise()
    return found


def list_registrations(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Registration]:
    """Return cases that the actor may read, newest first; ``is_overdue`` of each says whether its step is late."""
    access.require(actor, Permission.READ_REGISTRATION_VIEW)
    with site.db.reading() as tx:
        return page_where(lambda ask: store.REGISTRATIONS.page(tx, ask), lambda made: rules.sees(actor, made), page)


def list_publicity(site: Site, page: PageRequest = FIRST_PAGE) -> Page[Publicity]:
    """Return the cases in publicity, for anybody: the four public items and the last day."""
    today = site.today()
    with site.db.reading() as tx:
        found = store.REGISTRATIONS.page(tx, page, status=RegistrationStatus.PUBLICITY)
        return Page(
            tuple(rules.publicity_of(made, _registrant(tx, made), today) for made in found.rows), found.next_after
        )


def find_public(site: Site, code: str) -> PublicRecord | None:
    """Verify a code, for anybody: the four public items, or ``None`` when no valid registration has it."""
    given = code.strip().upper()
    if not rules.is_code(given):
        return None
    with site.db.reading() as tx:
        found = store.find_by_code(tx, given)
        if found is None or not found.is_valid(site.today()):
            return None
        return rules.public_record(found, _registrant(tx, found), site.today())


def _registrant(tx: Transaction, registration: Registration) -> str:
    return parties.party_in(tx, registration.terms.registrant).name
