"""Decisions of 26号 on a first registration: accept, formal review, publicity, code; and its end. Pure.

Clocks count working days; a deadline that reaches into a year whose holidays are not announced is provisional.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

from gongshu.access.types import Actor, Role
from gongshu.base.days import DueDay, WorkingCalendar, add_years, local_day
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Kind, Reason, decide, decide_step, rule
from gongshu.base.identifiers import mod_37_check_character, passes_mod_37
from gongshu.base.parameters import Parameters
from gongshu.registry.types import (
    MATERIALS,
    CancellationGround,
    Material,
    PublicItems,
    Publicity,
    PublicRecord,
    Registration,
    RegistrationStatus,
    RegistrationTerms,
)

S = RegistrationStatus
SUPPLIER, REGISTRAR, ANYBODY, PLATFORM = Role.SUPPLIER.value, Role.REGISTRAR.value, "anybody signed in", "platform"

TRANSITIONS: dict[tuple[RegistrationStatus, str], tuple[RegistrationStatus, str]] = {
    (S.SUBMITTED, "return"): (S.RETURNED, REGISTRAR),
    (S.SUBMITTED, "accept"): (S.ACCEPTED, REGISTRAR),
    (S.SUBMITTED, "refuse"): (S.TERMINATED, REGISTRAR),
    (S.RETURNED, "resubmit"): (S.SUBMITTED, SUPPLIER),
    (S.ACCEPTED, "pass_review"): (S.PUBLICITY, REGISTRAR),
    (S.ACCEPTED, "refuse"): (S.TERMINATED, REGISTRAR),
    (S.PUBLICITY, "object"): (S.OBJECTED, ANYBODY),
    (S.OBJECTED, "dismiss_objection"): (S.PUBLICITY, REGISTRAR),
    (S.OBJECTED, "uphold_objection"): (S.TERMINATED, REGISTRAR),
    (S.PUBLICITY, "assign_code"): (S.CODED, REGISTRAR),
    (S.CODED, "cancel"): (S.CANCELLED, REGISTRAR),
    (S.CODED, "lapse"): (S.LAPSED, PLATFORM),
}
ENDED = frozenset({S.TERMINATED, S.CANCELLED, S.LAPSED})
"""Statuses after which the same resource may be filed anew."""

CODE_CHARS = 32
RESOURCE_TYPE = "7"
TRIAL_MARK = "TR"
TRIAL_RANDOM_CHARS = 6
KIND_SHOWN = "首次登记"

MATERIAL_MISSING = rule(
    "material-missing", Kind.INVALID, zh="缺少登记材料 {code}（{title_zh}）。", en="The material {code} ({title_en}) is missing.",
    fix_zh="请补充 {code}。", fix_en="Add {code}.", law="26号 art.8",
)  # fmt: skip
MATERIAL_UNKNOWN = rule(
    "material-unknown", Kind.INVALID, zh="材料 {code} 不在清单内，或出现两次。",
    en="The material {code} is not on the list, or stands twice.",
    fix_zh="清单：{possible}。", fix_en="The list: {possible}.", law="26号 art.8",
)  # fmt: skip
PUBLIC_ITEM_MISSING = rule(
    "public-item-missing", Kind.INVALID, zh="公示事项 {field} 为空。", en="The public item {field} is empty.",
    fix_zh="请填写登记数据名称和数据内容简介。", fix_en="Fill in the title and the summary.", law="26号 art.12",
)  # fmt: skip
NOT_DEPOSITED = rule(
    "not-deposited", Kind.INVALID, zh="数据资源 {resource} 没有版本 {number}，未存证。",
    en="The resource {resource} has no version {number}, so nothing is deposited.",
    fix_zh="请先汇聚该版本数据，形成摘要存证，再申请登记。",
    fix_en="Ingest the version first; its digest is the deposit.", law="26号 art.7",
)  # fmt: skip
REGISTRATION_RUNNING = rule(
    "registration-running", Kind.CONFLICT, zh="该资源已有登记 {registration}（{status}）。",
    en="The resource has the registration {registration} ({status}) already.",
    fix_zh="请在原登记上办理。", fix_en="Continue with that one.", law="26号 art.9(一)",
)  # fmt: skip
DEFECTS_MISSING = rule(
    "defects-missing", Kind.INVALID, zh="退回补正须一次性告知全部问题。", en="A return names all defects at once; the list is empty.",
    fix_zh="请逐条写明需要补正的内容。", fix_en="List what is to be supplemented.", law="26号 art.10",
)  # fmt: skip
DEFECTS_TOLD_ONCE = rule(
    "defects-told-once", Kind.CONFLICT, zh="补正内容应一次性告知，不得再次提出新的问题：{defect}。",
    en="Defects are told once and completely; this one is new: {defect}.",
    fix_zh="只可就上次告知而未补正的问题再次退回，否则应予受理或说明理由不予受理。",
    fix_en="Return only for defects told before and not remedied; else accept, or refuse with a reason.", law="26号 art.10",
)  # fmt: skip
REGISTRAR_IS_REGISTRANT = rule(
    "registrar-is-registrant", Kind.FORBIDDEN, zh="办理人来自登记主体 {registrant} 自身或其关联单位。",
    en="The registrar's person belongs to the registrant {registrant} or an organisation related to it.",
    fix_zh="请由与登记主体无关联的登记机构人员办理。", fix_en="Have an unrelated registrar handle it.", law="26号 art.3, 11",
)  # fmt: skip
OVERDUE_UNEXPLAINED = rule(
    "overdue-unexplained", Kind.INVALID, zh="形式审核已于 {due} 到期，尚未说明理由。",
    en="The formal review was due on {due} and nobody has explained the delay.",
    fix_zh="请填写逾期理由，一并告知登记主体。", fix_en="Give the explanation; the registrant will see it.", law="26号 art.11",
)  # fmt: skip
REASON_MISSING = rule(
    "registration-reason-missing", Kind.INVALID, zh="没有写明理由。", en="The reason is missing.",
    fix_zh="请写明理由，告知登记主体。", fix_en="Give the reason; the registrant will see it.", law="26号 art.10, 11",
)  # fmt: skip
OBJECTION_ANONYMOUS = rule(
    "objection-anonymous", Kind.UNAUTHENTICATED, zh="异议须实名提出。", en="An objection needs a real name.",
    fix_zh="请登录后提出。", fix_en="Sign in and object again.", law="26号 art.12",
)  # fmt: skip
EVIDENCE_MISSING = rule(
    "evidence-missing", Kind.INVALID, zh="异议没有附证据。", en="The objection has no evidence.",
    fix_zh="请写明事实和证据。", fix_en="State the facts and the evidence.", law="26号 art.12",
)  # fmt: skip
PUBLICITY_RUNNING = rule(
    "publicity-running", Kind.CONFLICT, zh="公示至 {ends} 尚未结束，不能赋码。",
    en="The publicity runs until {ends}; no code before it has ended.",
    fix_zh="请在 {ends} 之后赋码。", fix_en="Assign the code after {ends}.", law="26号 art.12, 13",
)  # fmt: skip
PUBLICITY_OVER = rule(
    "publicity-over", Kind.CONFLICT, zh="公示已于 {ends} 结束。", en="The publicity ended on {ends}.",
    fix_zh="请通过更正登记途径提出。", fix_en="Ask for a correction instead.", law="26号 art.9(三), 12",
)  # fmt: skip
STILL_VALID = rule(
    "registration-still-valid", Kind.CONFLICT, zh="登记有效至 {until}。", en="The registration is valid until {until}.",
    fix_zh="到期后才会注销。", fix_en="It lapses after that day.", law="26号 art.15",
)  # fmt: skip
NAMED_TEXT_CHARS_MAX = 200


def unknown(registration_id: str) -> Denied:
    """The answer about a registration that is not there, or that the asker may not know of."""
    return Denied((NOT_FOUND.because(kind="registration", id=registration_id),))


def resource_unknown(resource_id: str) -> Denied:
    """The answer about a resource that is not the asker's to register."""
    return Denied((NOT_FOUND.because(kind="resource", id=resource_id),))


# ------------------------------------------------------------------------------------------------------------ code


def is_code(code: str) -> bool:
    """Whether ``code`` has 32 characters of the alphabet and a check character that fits."""
    return len(code) == CODE_CHARS and passes_mod_37(code)


def trial_code(*, credit_code: str, region: str, random_part: str) -> str:
    """Return a trial code in the style of NDI-TR-2025-04: type 7, subject 18, region 4, ``TR`` and 6 characters, check.

    The national code (26号 art.13) comes from the national platform; ``TR`` shows that this one does not.
    """
    body = RESOURCE_TYPE + credit_code + region[:4] + TRIAL_MARK + random_part
    return body + mod_37_check_character(body)


def is_trial(code: str) -> bool:
    """Whether a code was made here and not by the national platform."""
    return code[23:25] == TRIAL_MARK


# ----------------------------------------------------------------------------------------------------------- steps


def due(calendar: WorkingCalendar, parameters: Parameters, key: str, event: date) -> DueDay:
    """Return the last day of the deadline ``registration.<key>.working_days`` that starts with ``event``."""
    return calendar.due(event, parameters.number(f"registration.{key}.working_days", event))


def terms_faults(terms: RegistrationTerms) -> list[Reason]:
    """Return what is missing of the seven material groups and the public items (26号 art.8, 12)."""
    texts = {material.code: material.text.strip() for material in terms.materials}
    codes = [material.code for material in terms.materials]
    strangers = sorted({code for code in codes if code not in MATERIALS or codes.count(code) > 1})
    possible = ", ".join(MATERIALS)
    reasons = [
        MATERIAL_MISSING.because(code=code, title_zh=title.zh, title_en=title.en)
        for code, title in MATERIALS.items()
        if not texts.get(code)
    ]
    reasons += [MATERIAL_UNKNOWN.because(code=code[:20], possible=possible) for code in strangers]
    public = (("title", terms.title), ("summary", terms.summary))
    return reasons + [PUBLIC_ITEM_MISSING.because(field=name) for name, text in public if not text.strip()]


def decide_submit(
    registration: Registration, earlier: Iterable[Registration], *, is_deposited: bool
) -> Decision[Registration]:
    """A resource is filed once at a time, with all materials, for a version whose digest is deposited."""
    terms = registration.terms
    reasons = terms_faults(terms)
    if not is_deposited:
        reasons.append(NOT_DEPOSITED.because(resource=terms.resource, number=terms.version_number))
    reasons += [
        REGISTRATION_RUNNING.because(registration=other.id, status=other.status)
        for other in earlier
        if other.status not in ENDED
    ]
    return decide(registration, *reasons)


def _step(registration: Registration, action: str) -> tuple[Reason, ...]:
    return decide_step("registration", TRANSITIONS, registration.status, action).reasons


def _reviewer_faults(registration: Registration, *, is_related: bool) -> list[Reason]:
    if not is_related:
        return []
    return [REGISTRAR_IS_REGISTRANT.because(registrant=registration.terms.registrant)]


def decide_return(registration: Registration, defects: tuple[str, ...], *, is_related: bool) -> Decision[Registration]:
    """All defects are told at once; after a supplement nothing new may be found (26号 art.10)."""
    told = tuple(defect.strip() for defect in defects if defect.strip())
    reasons = [*_step(registration, "return"), *_reviewer_faults(registration, is_related=is_related)]
    if not told:
        reasons.append(DEFECTS_MISSING.because())
    if registration.defects:
        fresh = [defect for defect in told if defect not in registration.defects]
        reasons += [DEFECTS_TOLD_ONCE.because(defect=defect[:NAMED_TEXT_CHARS_MAX]) for defect in fresh]
    returned = replace(
        registration, status=S.RETURNED, defects=registration.defects or told, due=None, due_is_provisional=False
    )
    return decide(returned, *reasons)


def decide_resubmit(
    registration: Registration, terms: RegistrationTerms, *, is_deposited: bool, now: datetime, deadline: DueDay
) -> Decision[Registration]:
    """A supplement starts a new receipt date (26号 art.10)."""
    reasons = [*_step(registration, "resubmit"), *terms_faults(terms)]
    if not is_deposited:
        reasons.append(NOT_DEPOSITED.because(resource=terms.resource, number=terms.version_number))
    filed = replace(
        registration, terms=terms, status=S.SUBMITTED, received_at=now, due=deadline.day,
        due_is_provisional=deadline.is_provisional,
    )  # fmt: skip
    return decide(filed, *reasons)


def decide_accept(
    registration: Registration, *, is_related: bool, now: datetime, deadline: DueDay
) -> Decision[Registration]:
    """Acceptance starts the formal review (26号 art.10, 11)."""
    accepted = replace(
        registration, status=S.ACCEPTED, accepted_at=now, due=deadline.day, due_is_provisional=deadline.is_provisional
    )
    return decide(accepted, *_step(registration, "accept"), *_reviewer_faults(registration, is_related=is_related))


def decide_refuse(registration: Registration, reason: str, *, is_related: bool) -> Decision[Registration]:
    """Not accepted, or not passed: the case ends, with the reason told (26号 art.10, 11)."""
    reasons = [*_step(registration, "refuse"), *_reviewer_faults(registration, is_related=is_related)]
    if not reason.strip():
        reasons.append(REASON_MISSING.because())
    return decide(_ended(registration, S.TERMINATED, reason), *reasons)


def _ended(registration: Registration, status: RegistrationStatus, reason: str) -> Registration:
    return replace(registration, status=status, due=None, due_is_provisional=False, end_reason=reason.strip())


def decide_pass_review(
    registration: Registration, actor: Actor, *, is_related: bool, explanation: str, now: datetime, deadline: DueDay
) -> Decision[Registration]:
    """A passed review starts the publicity; a late one explains itself first (26号 art.11, 12)."""
    reasons = [*_step(registration, "pass_review"), *_reviewer_faults(registration, is_related=is_related)]
    if registration.is_overdue(local_day(now)) and not explanation.strip():
        reasons.append(OVERDUE_UNEXPLAINED.because(due=registration.due))
    passed = replace(
        registration, status=S.PUBLICITY, reviewed_at=now, reviewer=actor.person, explanation=explanation.strip(),
        publicity_ends=deadline.day, due=deadline.day, due_is_provisional=deadline.is_provisional,
    )  # fmt: skip
    return decide(passed, *reasons)


def decide_object(
    registration: Registration, actor: Actor, evidence: str, *, is_known: bool, now: datetime, calendar: WorkingCalendar
) -> Decision[Registration]:
    """Anybody with a name and evidence may object while the publicity runs; the clock stops (26号 art.12)."""
    today = local_day(now)
    reasons = list(_step(registration, "object"))
    if not is_known:
        reasons.append(OBJECTION_ANONYMOUS.because())
    if not evidence.strip():
        reasons.append(EVIDENCE_MISSING.because())
    ends = registration.publicity_ends
    if registration.status is S.PUBLICITY and ends is not None and today > ends:
        reasons.append(PUBLICITY_OVER.because(ends=ends))
    objected = replace(
        registration, status=S.OBJECTED, objection=evidence.strip(), objector=actor.person, objected_at=now, due=None,
        due_is_provisional=False, publicity_days_left=_working_days_between(calendar, today, ends or today),
    )  # fmt: skip
    return decide(objected, *reasons)


def _working_days_between(calendar: WorkingCalendar, after: date, until: date) -> int:
    """Return the working days after ``after`` up to and including ``until``."""
    days = (after + timedelta(days=n) for n in range(1, (until - after).days + 1))
    return sum(calendar.is_working_day(day) for day in days)


def decide_objection(
    registration: Registration,
    reason: str,
    *,
    upholds: bool,
    is_related: bool,
    now: datetime,
    calendar: WorkingCalendar,
) -> Decision[Registration]:
    """An upheld objection ends the case; a dismissed one lets the publicity run for the days that were left."""
    action = "uphold_objection" if upholds else "dismiss_objection"
    reasons = [*_step(registration, action), *_reviewer_faults(registration, is_related=is_related)]
    if not reason.strip():
        reasons.append(REASON_MISSING.because())
    if upholds:
        return decide(_ended(registration, S.TERMINATED, reason), *reasons)
    deadline = calendar.due(local_day(now), registration.publicity_days_left)
    resumed = replace(
        registration, status=S.PUBLICITY, publicity_ends=deadline.day, due=deadline.day,
        due_is_provisional=deadline.is_provisional, publicity_days_left=0,
    )  # fmt: skip
    return decide(resumed, *reasons)


def decide_assign_code(
    registration: Registration, code: str, *, is_related: bool, years: int, now: datetime
) -> Decision[Registration]:
    """A code follows an unchallenged publicity that has ended; it is valid for ``years`` (26号 art.13, 15)."""
    today = local_day(now)
    reasons = [*_step(registration, "assign_code"), *_reviewer_faults(registration, is_related=is_related)]
    ends = registration.publicity_ends
    if registration.status is S.PUBLICITY and ends is not None and today <= ends:
        reasons.append(PUBLICITY_RUNNING.because(ends=ends))
    coded = replace(
        registration, status=S.CODED, code=code, coded_at=now, valid_until=add_years(today, years), due=None,
        due_is_provisional=False,
    )  # fmt: skip
    return decide(coded, *reasons)


def decide_cancel(
    registration: Registration, ground: CancellationGround, reason: str, *, is_related: bool
) -> Decision[Registration]:
    """A coded registration is cancelled on one of four grounds, with the reason told (26号 art.9(四))."""
    reasons = [*_step(registration, "cancel"), *_reviewer_faults(registration, is_related=is_related)]
    if not reason.strip():
        reasons.append(REASON_MISSING.because())
    return decide(_ended(registration, S.CANCELLED, f"{ground.value}: {reason.strip()}"), *reasons)


def decide_lapse(registration: Registration, today: date) -> Decision[Registration]:
    """A registration that was not renewed lapses on the day after its last (26号 art.15)."""
    reasons = list(_step(registration, "lapse"))
    if registration.is_valid(today):
        reasons.append(STILL_VALID.because(until=registration.valid_until))
    return decide(_ended(registration, S.LAPSED, "not renewed"), *reasons)


# ------------------------------------------------------------------------------------------------------ visibility

SEES_ALL = frozenset({Role.REGISTRAR, Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY})


def sees(actor: Actor, registration: Registration) -> bool:
    """Whether ``actor`` may read the whole case: its registrant, registrars, those who oversee; operators once coded."""
    if actor.party == registration.terms.registrant or actor.roles & SEES_ALL:
        return True
    return Role.OPERATOR in actor.roles and registration.status is S.CODED


def is_public_now(registration: Registration) -> bool:
    """Whether the case itself is on public display."""
    return registration.status in {S.PUBLICITY, S.OBJECTED}


def public_items(registration: Registration, registrant_name: str) -> PublicItems:
    """Return the four items that the public sees."""
    terms = registration.terms
    return PublicItems(registrant=registrant_name, kind=KIND_SHOWN, title=terms.title, summary=terms.summary)


def publicity_of(registration: Registration, registrant_name: str, today: date) -> Publicity:
    """Return the public notice of a case in publicity."""
    items = public_items(registration, registrant_name)
    return Publicity(registration.id, items, registration.publicity_ends or today)


def public_record(registration: Registration, registrant_name: str, today: date) -> PublicRecord:
    """Return what anybody learns of a coded registration."""
    items = public_items(registration, registrant_name)
    return PublicRecord(registration.code, items, registration.valid_until or today, is_trial(registration.code))


def materials_of(given: Iterable[Material]) -> tuple[Material, ...]:
    """Return materials in the order of the list, so that one filing has one digest; strangers stand last."""
    order = {code: place for place, code in enumerate(MATERIALS)}
    return tuple(sorted(given, key=lambda material: order.get(material.code, len(order))))
