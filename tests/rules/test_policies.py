"""The algebra of uses, masks as SQL, and the decision on one use under a contract."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gongshu.base.days import Period
from gongshu.policies import service as policies
from gongshu.policies.rules import usage
from gongshu.policies.types import (
    ColumnPolicy,
    Grade,
    Hours,
    Mask,
    MaskKind,
    ResourcePolicy,
    Thresholds,
    UsagePolicy,
    UsageRequest,
    Use,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = UsagePolicy(("credit",), Period(START, START + timedelta(days=10)), 100, 20, 5)
FITTING = UsageRequest("credit", calls_so_far=99, calls_today=19, calls_this_second=4)

uses = st.frozensets(st.sampled_from(Use))
masks = st.none() | st.sampled_from([Mask(MaskKind.NAME), Mask(MaskKind.BAND, "10"), Mask(MaskKind.MONTH)])
columns = st.dictionaries(st.sampled_from("abc"), st.tuples(uses, masks)).map(
    lambda found: tuple(ColumnPolicy(name, *given) for name, given in found.items())
)
resource_policies = st.builds(
    ResourcePolicy, columns, st.just(("a",)), st.sampled_from(["", "a = 1", "b = 2 OR c = 3"])
)


def test_defaults_by_grade_are_those_of_the_specification() -> None:
    assert {grade: policies.default_uses(grade) for grade in Grade} == {
        Grade.DIRECT_IDENTIFIER: {Use.JOIN, Use.COMPARE},
        Grade.SENSITIVE: {Use.TOTAL, Use.COMPARE},
        Grade.QUASI_IDENTIFIER: {Use.GROUP, Use.FILTER, Use.TOTAL},
        Grade.ORDINARY: {Use.GROUP, Use.FILTER, Use.TOTAL, Use.RANK},
        Grade.OPEN: set(Use),
    }
    made = policies.default_policy({"code": Grade.DIRECT_IDENTIFIER, "city": Grade.OPEN}, ("code",))
    assert made.unit == ("code",)
    assert made.of("city").uses == set(Use)
    assert made.of("unlisted").uses == frozenset()


def test_reveal_implies_group_total_rank_and_nothing_else() -> None:
    assert policies.closed(frozenset({Use.REVEAL})) == {Use.REVEAL, Use.GROUP, Use.TOTAL, Use.RANK}
    assert policies.closed(frozenset({Use.FILTER})) == {Use.FILTER}
    assert policies.combine([frozenset({Use.REVEAL}), frozenset({Use.GROUP, Use.FILTER})]) == {Use.GROUP}
    assert policies.combine([]) == set(Use)


@given(resource_policies, resource_policies)
def test_narrowing_is_never_wider_than_either_side(outer: ResourcePolicy, inner: ResourcePolicy) -> None:
    made = policies.narrow(outer, inner)
    assert policies.excess(outer, made) == ()
    assert policies.excess(inner, made) == ()
    assert policies.is_no_wider(outer, made)
    for column in made.columns:
        wanted = outer.of(column.column).mask or inner.of(column.column).mask
        assert column.mask == wanted
    assert all(part in made.row_filter for part in (outer.row_filter, inner.row_filter))


@given(resource_policies)
def test_narrowing_by_itself_changes_nothing_that_matters(policy: ResourcePolicy) -> None:
    made = policies.narrow(policy, policy)
    assert policies.excess(made, policy) == ()
    assert made.row_filter == policy.row_filter
    assert policies.narrow(made, made) == made


@given(resource_policies, resource_policies, resource_policies)
def test_narrowing_step_by_step_stays_within_every_step(
    a: ResourcePolicy, b: ResourcePolicy, c: ResourcePolicy
) -> None:
    made = policies.narrow(policies.narrow(a, b), c)
    assert all(policies.excess(step, made) == () for step in (a, b, c))


def test_two_masks_that_differ_show_nothing() -> None:
    outer = ResourcePolicy((ColumnPolicy("a", frozenset(Use), Mask(MaskKind.NAME)),), ())
    inner = ResourcePolicy((ColumnPolicy("a", frozenset(Use), Mask(MaskKind.PHONE)),), ())
    assert policies.narrow(outer, inner).of("a").uses == {Use.JOIN, Use.COMPARE}


def test_a_dropped_mask_another_unit_or_a_dropped_filter_is_wider() -> None:
    masked = ResourcePolicy((ColumnPolicy("a", frozenset({Use.GROUP}), Mask(MaskKind.NAME)),), ("a",), "b = 1")
    bare = (ColumnPolicy("a", frozenset({Use.GROUP})),)
    assert policies.is_no_wider(masked, masked)
    assert not policies.is_no_wider(masked, replace(masked, columns=bare))
    assert not policies.is_no_wider(masked, replace(masked, unit=()))
    assert not policies.is_no_wider(masked, replace(masked, row_filter=""))
    assert policies.is_no_wider(masked, replace(masked, row_filter="(b = 1) AND (c = 2)"))
    assert not policies.is_no_wider(masked, replace(masked, columns=(ColumnPolicy("b", frozenset({Use.GROUP})),)))


def test_uses_beyond_the_default_are_named() -> None:
    policy = ResourcePolicy(
        (
            ColumnPolicy("code", frozenset({Use.JOIN, Use.FILTER})),
            ColumnPolicy("year", frozenset({Use.GROUP})),
            ColumnPolicy("odd", frozenset({Use.TOTAL})),
        ),
        (),
    )
    grades = {"code": Grade.DIRECT_IDENTIFIER, "year": Grade.ORDINARY}
    assert policies.wider_than_default(policy, grades) == (("code", {Use.FILTER}), ("odd", {Use.TOTAL}))


def test_the_strictest_thresholds_satisfy_all() -> None:
    assert policies.strictest([Thresholds(10, 5, 2, 90), Thresholds(5, 10, 3, 80)]) == Thresholds(10, 10, 3, 80)


# ---------------------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize(
    ("kind", "parameter", "value", "shown"),
    [
        (MaskKind.NAME, "", "张三丰", "张**"),
        (MaskKind.NAME, "", "张", "张*"),
        (MaskKind.ID_CARD, "", "999999199001011234", "999999********1234"),
        (MaskKind.PHONE, "", "10012345678", "100****5678"),
        (MaskKind.PHONE, "", "12345", "*****"),
        (MaskKind.BANK_CARD, "", "0000001234567890", "************7890"),
        (MaskKind.MAILBOX, "", "someone@example.invalid", "s***@example.invalid"),
        (MaskKind.MAILBOX, "", "nothing", None),
        (MaskKind.ADDRESS_DISTRICT, "", "示例省示例市甲区示例路1号", "示例省示例市甲区"),
        (MaskKind.ADDRESS_DISTRICT, "", "somewhere", None),
        (MaskKind.MONTH, "", date(2026, 5, 17), date(2026, 5, 1)),
        (MaskKind.BAND, "100", 250, 200),
        (MaskKind.BAND, "", -5, -10),
        (MaskKind.NAME, "", None, None),
    ],
)
def test_a_mask_shows(kind: MaskKind, parameter: str, value: object, shown: object) -> None:
    sql = f"SELECT {policies.mask_sql(Mask(kind, parameter), 'v')} FROM (SELECT ? AS v)"
    with duckdb.connect() as engine:
        found = engine.execute(sql, [value]).fetchone()
    assert found is not None
    assert found[0] == shown


def test_the_keyed_hash_of_keys_and_units_is_hmac_sha_256() -> None:
    key = b"k" * 32
    with duckdb.connect() as engine:
        found = engine.execute(f"SELECT {policies.keyed_hash_sql('v', key)} FROM (SELECT '示例' AS v)").fetchone()
    assert found == (hmac.new(key, "示例".encode(), hashlib.sha256).hexdigest(),)
    with pytest.raises(ValueError, match="key"):
        policies.keyed_hash_sql("v", b"")


def test_a_mask_is_written_or_worn_and_nothing_else() -> None:
    texts = policies.Texts.of(["13800000000"])
    with pytest.raises(ValueError, match="key"):
        policies.mask_sql(Mask(MaskKind.KEYED_HASH), "v")
    with pytest.raises(ValueError, match="positive"):
        policies.mask_sql(Mask(MaskKind.BAND, "0"), "v")
    for mask in (Mask(MaskKind.PHONE), Mask(MaskKind.PSEUDONYM, "des")):
        with pytest.raises(ValueError, match="no key, or has no such parameter"):
            policies.wear(mask, b"k" * 32, texts)
    assert len({policies.wear(Mask(MaskKind.PSEUDONYM, c), b"k" * 32, texts).values()[0] for c in ("aes", "sm4")}) == 2


# -------------------------------------------------------------------------------------------------- usage policies


def test_a_use_within_every_limit_is_permitted() -> None:
    assert policies.decide_usage(POLICY, FITTING, START).reasons == ()


@pytest.mark.parametrize(
    ("request_", "now", "code"),
    [
        (structs.replace(FITTING, purpose="marketing"), START, "purpose-not-agreed"),
        (FITTING, START - timedelta(seconds=1), "contract-not-yet"),
        (FITTING, START + timedelta(days=10), "contract-expired"),
        (structs.replace(FITTING, calls_so_far=100), START, "calls-used-up"),
        (structs.replace(FITTING, calls_today=20), START, "calls-used-up-today"),
        (structs.replace(FITTING, calls_this_second=5), START, "too-many-per-second"),
    ],
)
def test_a_use_beyond_one_limit_is_refused_with_its_code(request_: UsageRequest, now: datetime, code: str) -> None:
    assert [reason.code for reason in policies.decide_usage(POLICY, request_, now).reasons] == [code]


@given(
    st.builds(
        UsageRequest, st.sampled_from(["credit", "marketing"]), *(st.integers(0, limit + 1) for limit in (100, 20, 5)),
        st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1),
    ),
    st.timedeltas(timedelta(days=-1), timedelta(days=11)),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_quick_way_permits_only_what_nothing_speaks_against(request_, ahead, is_signed_only, has_hours):
    policy = replace(POLICY, is_signed_only=is_signed_only, hours=(Hours(0, 720),) if has_hours else ())
    now = START + ahead
    found = [reason for reason in usage.usage_reasons(policy, request_, now) if reason is not None]
    assert not (usage.is_plainly_permitted(policy, request_, now) and found)
    if not has_hours:
        assert usage.is_plainly_permitted(policy, request_, now) == (not found)


def test_every_broken_limit_is_named() -> None:
    beyond = UsageRequest("marketing", 100, 20, 5)
    assert len(policies.decide_usage(POLICY, beyond, START + timedelta(days=11)).reasons) == 5
