"""Every step of 26号: from which status, by whom, with what, until when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base import identifiers
from gongshu.base.days import DueDay
from gongshu.base.decisions import Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId, PersonId, RegistrationId, ResourceId
from gongshu.registry import rules
from gongshu.registry.types import (
    MATERIALS,
    CancellationGround,
    Material,
    Registration,
    RegistrationStatus,
    RegistrationTerms,
)
from gongshu.server.wiring import load_calendar, load_parameters

S = RegistrationStatus
NOW = datetime(2026, 3, 16, 1, 0, tzinfo=UTC)
TODAY = date(2026, 3, 16)
CALENDAR = load_calendar()
TERMS = RegistrationTerms(
    resource=ResourceId("r"), version=Ref("resource_version", "v", "d" * 64), registrant=PartyId("bureau"),
    title="企业登记", summary="企业登记信息", materials=tuple(Material(code, "已说明") for code in MATERIALS),
    commitment_signed_by=PersonId("p"), version_number=1,
)  # fmt: skip
BASE = Registration(RegistrationId("reg"), TERMS, S.SUBMITTED, NOW, due=date(2026, 3, 19))
REVIEWER = Actor(PersonId("reviewer"), PartyId("registrar"), frozenset({Role.REGISTRAR}))
DUE = DueDay(date(2026, 4, 1))


def codes(decision):
    return [reason.code for reason in decision.reasons]


def at(status, **changed):
    if status is S.PUBLICITY:
        changed = {"publicity_ends": TODAY + timedelta(days=4)} | changed
    if status is S.CODED:
        changed = {"code": "x", "valid_until": date(2029, 3, 16)} | changed
    return replace(BASE, status=status, **changed)


ACTIONS = {
    "return": lambda r: rules.decide_return(r, ("缺少合法性说明",), is_related=False),
    "accept": lambda r: rules.decide_accept(r, is_related=False, now=NOW, deadline=DUE),
    "refuse": lambda r: rules.decide_refuse(r, "不属于登记范围", is_related=False),
    "resubmit": lambda r: rules.decide_resubmit(r, TERMS, is_deposited=True, now=NOW, deadline=DUE),
    "pass_review": lambda r: rules.decide_pass_review(r, REVIEWER, is_related=False, explanation="补充核查", now=NOW, deadline=DUE),
    "object": lambda r: rules.decide_object(r, REVIEWER, "证据", is_known=True, now=NOW, calendar=CALENDAR),
    "dismiss_objection": lambda r: rules.decide_objection(r, "不成立", upholds=False, is_related=False, now=NOW, calendar=CALENDAR),
    "uphold_objection": lambda r: rules.decide_objection(r, "成立", upholds=True, is_related=False, now=NOW, calendar=CALENDAR),
    "assign_code": lambda r: rules.decide_assign_code(
        replace(r, publicity_ends=TODAY - timedelta(days=1)), "7x", is_related=False, years=3, now=NOW
    ),
    "cancel": lambda r: rules.decide_cancel(r, CancellationGround.LOST, "资源灭失", is_related=False),
    "lapse": lambda r: rules.decide_lapse(replace(r, valid_until=TODAY - timedelta(days=1)), TODAY),
}  # fmt: skip


def test_the_table_below_knows_every_action():
    assert set(ACTIONS) == {action for _, action in rules.TRANSITIONS}


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("action", list(ACTIONS))
def test_each_action_is_possible_from_the_statuses_of_the_table_and_no_others(status, action):
    decision = ACTIONS[action](at(status))
    step = rules.TRANSITIONS.get((status, action))
    if step is None:
        assert "wrong-status" in codes(decision)
    else:
        assert decision.value_or_raise().status is step[0]


BY_REGISTRAR = {
    "return",
    "accept",
    "refuse",
    "pass_review",
    "dismiss_objection",
    "uphold_objection",
    "assign_code",
    "cancel",
}


@pytest.mark.parametrize("action", sorted(BY_REGISTRAR))
def test_a_registrar_of_the_registrants_organisation_is_refused(action):
    status = next(status for status, name in rules.TRANSITIONS if name == action)
    related = {
        "return": lambda r: rules.decide_return(r, ("x",), is_related=True),
        "accept": lambda r: rules.decide_accept(r, is_related=True, now=NOW, deadline=DUE),
        "refuse": lambda r: rules.decide_refuse(r, "x", is_related=True),
        "pass_review": lambda r: rules.decide_pass_review(
            r, REVIEWER, is_related=True, explanation="x", now=NOW, deadline=DUE
        ),
        "dismiss_objection": lambda r: rules.decide_objection(
            r, "x", upholds=False, is_related=True, now=NOW, calendar=CALENDAR
        ),
        "uphold_objection": lambda r: rules.decide_objection(
            r, "x", upholds=True, is_related=True, now=NOW, calendar=CALENDAR
        ),
        "assign_code": lambda r: rules.decide_assign_code(
            replace(r, publicity_ends=date(2026, 3, 1)), "7", is_related=True, years=3, now=NOW
        ),
        "cancel": lambda r: rules.decide_cancel(r, CancellationGround.LOST, "x", is_related=True),
    }
    assert codes(related[action](at(status))) == ["registrar-is-registrant"]


# ---------------------------------------------------------------------------------------------------------- filing


@pytest.mark.parametrize("missing", list(MATERIALS))
@pytest.mark.parametrize("text", [None, "", "  "])
def test_each_of_the_seven_material_groups_is_mandatory(missing, text):
    kept = [Material(code, "已说明") for code in MATERIALS if code != missing]
    given = kept if text is None else [*kept, Material(missing, text)]
    decision = rules.decide_submit(replace(BASE, terms=replace(TERMS, materials=tuple(given))), (), is_deposited=True)
    assert codes(decision) == ["material-missing"]
    assert dict(decision.reasons[0].facts)["code"] == missing


def test_strangers_and_doubles_among_the_materials_are_named():
    materials = (*TERMS.materials, Material("poem", "x"), Material("risk", "再次"))
    decision = rules.decide_submit(replace(BASE, terms=replace(TERMS, materials=materials)), (), is_deposited=True)
    assert codes(decision) == ["material-unknown", "material-unknown"]


def test_public_items_and_the_deposit_come_first():
    terms = replace(TERMS, title=" ", summary="")
    decision = rules.decide_submit(replace(BASE, terms=terms), (), is_deposited=False)
    assert codes(decision) == ["public-item-missing", "public-item-missing", "not-deposited"]
    returned = rules.decide_resubmit(at(S.RETURNED), TERMS, is_deposited=False, now=NOW, deadline=DUE)
    assert codes(returned) == ["not-deposited"]


@pytest.mark.parametrize("status", list(S))
def test_a_resource_is_filed_anew_only_after_the_earlier_case_has_ended(status):
    decision = rules.decide_submit(BASE, [at(status)], is_deposited=True)
    is_free = status in {S.TERMINATED, S.CANCELLED, S.LAPSED}
    assert codes(decision) == ([] if is_free else ["registration-running"])


def test_materials_have_one_order_whatever_order_they_were_given_in():
    assert rules.materials_of(reversed(TERMS.materials)) == TERMS.materials
    assert rules.materials_of([Material("poem", ""), *TERMS.materials])[-1].code == "poem"


# -------------------------------------------------------------------------------------------------------- defects


def test_defects_are_told_once_and_completely():
    first = rules.decide_return(BASE, (" 缺少合法性说明 ", "", "简介过短"), is_related=False).value_or_raise()
    assert (first.status, first.due, first.defects) == (S.RETURNED, None, ("缺少合法性说明", "简介过短"))
    filed = rules.decide_resubmit(first, TERMS, is_deposited=True, now=NOW, deadline=DUE).value_or_raise()
    assert (filed.received_at, filed.due) == (NOW, DUE.day)
    again = rules.decide_return(filed, ("简介过短",), is_related=False)
    assert again.value_or_raise().defects == first.defects
    assert codes(rules.decide_return(filed, ("简介过短", "新问题"), is_related=False)) == ["defects-told-once"]
    assert codes(rules.decide_return(BASE, ("", " "), is_related=False)) == ["defects-missing"]


@pytest.mark.parametrize(
    "decide",
    [
        lambda: rules.decide_refuse(BASE, " ", is_related=False),
        lambda: rules.decide_cancel(at(S.CODED), CancellationGround.BY_LAW, "", is_related=False),
        lambda: rules.decide_objection(at(S.OBJECTED), "", upholds=True, is_related=False, now=NOW, calendar=CALENDAR),
        lambda: rules.decide_objection(at(S.OBJECTED), "", upholds=False, is_related=False, now=NOW, calendar=CALENDAR),
    ],
)
def test_what_goes_against_the_registrant_needs_a_reason(decide):
    assert codes(decide()) == ["registration-reason-missing"]


# --------------------------------------------------------------------------------------------------------- clocks


def test_deadlines_skip_holidays_and_count_make_up_days():
    # 2026: 1 to 7 October off, 10 October (a Saturday) and 20 September (a Sunday) worked.
    parameters = load_parameters()
    assert rules.due(CALENDAR, parameters, "accept", date(2026, 9, 29)) == DueDay(date(2026, 10, 9))
    assert rules.due(CALENDAR, parameters, "publicity", date(2026, 9, 17)) == DueDay(date(2026, 10, 8))
    assert rules.due(CALENDAR, parameters, "review", date(2026, 12, 18)).is_provisional


@pytest.mark.parametrize(
    ("days_late", "explanation", "expected"), [(0, "", []), (1, "", ["overdue-unexplained"]), (1, "核查", [])]
)
def test_a_late_review_explains_itself(days_late, explanation, expected):
    accepted = at(S.ACCEPTED, due=TODAY - timedelta(days=days_late))
    decision = rules.decide_pass_review(
        accepted, REVIEWER, is_related=False, explanation=explanation, now=NOW, deadline=DUE
    )
    assert codes(decision) == expected
    if not expected:
        passed = decision.value_or_raise()
        assert (passed.reviewer, passed.publicity_ends, passed.explanation) == (REVIEWER.person, DUE.day, explanation)


@pytest.mark.parametrize("status", list(S))
def test_only_a_running_step_of_the_registrar_can_be_overdue(status):
    case = replace(BASE, status=status, due=TODAY)
    assert not case.is_overdue(TODAY)
    assert case.is_overdue(TODAY + timedelta(days=1)) is (status in {S.SUBMITTED, S.ACCEPTED})
    assert not replace(case, due=None).is_overdue(TODAY + timedelta(days=1))


# ------------------------------------------------------------------------------------------------------ publicity


@pytest.mark.parametrize(
    ("is_known", "evidence", "ends", "expected"),
    [
        (True, "事实与证据", TODAY, []),
        (False, "事实与证据", TODAY, ["objection-anonymous"]),
        (True, "  ", TODAY, ["evidence-missing"]),
        (True, "事实与证据", TODAY - timedelta(days=1), ["publicity-over"]),
        (False, "", TODAY - timedelta(days=1), ["objection-anonymous", "evidence-missing", "publicity-over"]),
    ],
)
def test_an_objection_needs_name_evidence_and_time(is_known, evidence, ends, expected):
    case = at(S.PUBLICITY, publicity_ends=ends)
    assert (
        codes(rules.decide_object(case, REVIEWER, evidence, is_known=is_known, now=NOW, calendar=CALENDAR)) == expected
    )


def test_a_dismissed_objection_gives_back_exactly_the_days_that_were_left():
    # Monday 16 March; publicity until Friday 20: four working days are left.
    case = at(S.PUBLICITY, publicity_ends=date(2026, 3, 20))
    objected = rules.decide_object(case, REVIEWER, "证据", is_known=True, now=NOW, calendar=CALENDAR).value_or_raise()
    assert (objected.publicity_days_left, objected.due) == (4, None)
    later = NOW + timedelta(days=14)  # Monday 30 March; 6 April is off (清明)
    resumed = rules.decide_objection(
        objected, "不成立", upholds=False, is_related=False, now=later, calendar=CALENDAR
    ).value_or_raise()
    assert (resumed.publicity_ends, resumed.publicity_days_left) == (date(2026, 4, 3), 0)
    assert isinstance(rules.decide_assign_code(resumed, "7", is_related=False, years=3, now=later), Denied)


@pytest.mark.parametrize(("days", "expected"), [(-1, []), (0, ["publicity-running"]), (1, ["publicity-running"])])
def test_a_code_waits_for_the_end_of_the_publicity(days, expected):
    case = at(S.PUBLICITY, publicity_ends=TODAY + timedelta(days=days))
    assert codes(rules.decide_assign_code(case, "7", is_related=False, years=3, now=NOW)) == expected


def test_validity_ends_on_the_same_day_three_years_later_and_is_inclusive():
    case = at(S.PUBLICITY, publicity_ends=date(2026, 3, 13))
    coded = rules.decide_assign_code(case, "7", is_related=False, years=3, now=NOW).value_or_raise()
    assert coded.valid_until == date(2029, 3, 16)
    assert coded.is_valid(date(2029, 3, 16))
    assert not coded.is_valid(date(2029, 3, 17))
    assert not replace(coded, valid_until=None).is_valid(TODAY)
    assert codes(rules.decide_lapse(coded, date(2029, 3, 16))) == ["registration-still-valid"]
    lapsed = rules.decide_lapse(coded, date(2029, 3, 17)).value_or_raise()
    assert (lapsed.status, lapsed.is_valid(TODAY)) == (S.LAPSED, False)


# ----------------------------------------------------------------------------------------------------------- codes


@pytest.mark.parametrize(
    "code",
    [
        "491350000MA0000000F350100000001E", "591350000MA0000000F350112345678Q", "691350000MA0000000F35010000A1B2F",
        "791350000MA0000000F450000000007F", "291350000MA0000000F450000000001Q", "391350000MA0000000F006600000001M",
        "691350000MA0000000F350100000005*", "691350000MA0000000X35010000A1B24", "591350000MA0000000X350112345678F",
    ],
)  # fmt: skip
def test_check_characters_of_the_standards_vectors(code):
    assert identifiers.mod_37_check_character(code[:-1]) == code[-1]
    assert rules.is_code(code)


@pytest.mark.parametrize(
    "code",
    [
        "691350000MA0000000F350100001AB2F", "691350000MA0000000F36010000A1B2F", "", "7", "691350000ma0000000F35010000A1B2F",
        "691350000MA0000000F35010000A1B2F0", "6*1350000MA0000000F35010000A1B2F",
    ],
)  # fmt: skip
def test_wrong_codes_are_not_codes(code):
    assert not rules.is_code(code)


def test_a_trial_code_is_marked_and_passes_its_own_check():
    code = rules.trial_code(credit_code="11450100MA0000003W", region="450100", random_part="A1B2C3")
    assert code.startswith("711450100MA0000003W4501TRA1B2C3")
    assert (len(code), rules.is_code(code), rules.is_trial(code)) == (32, True, True)
    assert not rules.is_trial("791350000MA0000000F450000000007F")


# ------------------------------------------------------------------------------------------------------ visibility


@pytest.mark.parametrize(
    ("party", "role", "status", "expected"),
    [
        ("bureau", Role.SUPPLIER, S.SUBMITTED, True),
        ("other", Role.SUPPLIER, S.CODED, False),
        ("other", Role.REGISTRAR, S.SUBMITTED, True),
        ("other", Role.AUDITOR, S.RETURNED, True),
        ("other", Role.AUTHORISING_BODY, S.SUBMITTED, True),
        ("other", Role.IMPLEMENTING_AGENCY, S.CODED, True),
        ("other", Role.OPERATOR, S.PUBLICITY, False),
        ("other", Role.OPERATOR, S.CODED, True),
        ("public", Role.PUBLIC, S.CODED, False),
        ("bank", Role.CONSUMER, S.PUBLICITY, False),
    ],
)
def test_who_reads_a_whole_case(party, role, status, expected):
    actor = Actor(PersonId("x"), PartyId(party), frozenset({role}))
    assert rules.sees(actor, at(status)) is expected


def test_the_public_sees_four_items():
    items = rules.public_items(BASE, "市场监管局")
    assert (items.registrant, items.kind, items.title, items.summary) == (
        "市场监管局",
        "首次登记",
        "企业登记",
        "企业登记信息",
    )
    notice = rules.publicity_of(at(S.PUBLICITY), "市场监管局", TODAY)
    assert (notice.items, notice.ends) == (items, TODAY + timedelta(days=4))
    record = rules.public_record(at(S.CODED), "市场监管局", TODAY)
    assert (record.items, record.valid_until) == (items, date(2029, 3, 16))
    assert [status for status in S if rules.is_public_now(at(status))] == [S.PUBLICITY, S.OBJECTED]
    assert codes(rules.unknown("x")) == codes(rules.resource_unknown("x")) == ["not-found"]
    assert isinstance(rules.decide_accept(BASE, is_related=False, now=NOW, deadline=DUE), Permitted)
