"""Jobs, verifications and synthetic rows: pure rules as tables."""

from dataclasses import replace

import pytest

from gongshu.access.types import Role
from gongshu.base.decisions import Denied, Permitted
from gongshu.base.identifiers import is_credit_code, is_id_card
from gongshu.catalog.types import DataType, Meaning
from gongshu.compute.rules import jobs, synthetic, verification
from gongshu.compute.rules.projections import row_condition, select_list
from gongshu.compute.types import JobStatus, Projection, VerificationDefinition, VerificationField
from gongshu.metering.types import ResultCode
from tests import samples
from tests.governed import PEOPLE, RELATIONS

KEY = VerificationField("key", "join_compare_text", is_required=True, is_key=True)
OTHER = VerificationField("other", "compare_int", is_required=True)
EXTRA = VerificationField("extra", "compare_int2", is_required=False)


def definition(*fields: VerificationField, relation: str = "people") -> VerificationDefinition:
    return VerificationDefinition(relation, fields)


def codes(found: VerificationDefinition) -> list[str]:
    return [reason.code for reason in verification.decide_definition(RELATIONS, found).reasons]


# --------------------------------------------------------------------------------------------------- verification


def test_a_definition_with_one_key_and_something_to_compare_passes_and_learns_its_types() -> None:
    decision = verification.decide_definition(RELATIONS, definition(KEY, OTHER, EXTRA))
    assert isinstance(decision, Permitted)
    assert [field.data_type for field in decision.value.fields] == [DataType.TEXT, DataType.INTEGER, DataType.INTEGER]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ((OTHER,), ["verification-key-count"]),
        ((KEY, replace(KEY, name="key2"), OTHER), ["verification-key-count"]),
        ((replace(KEY, is_required=False), OTHER), ["verification-key-optional"]),
        ((KEY,), ["verification-nothing-compared"]),
        ((KEY, EXTRA), ["verification-nothing-compared"]),
        ((KEY, OTHER, replace(EXTRA, name="other")), ["verification-field-repeated"]),
        ((KEY, replace(OTHER, column="total_int")), ["compare-missing"]),
        ((KEY, replace(OTHER, column="absent")), ["column-unknown"]),
    ],
)
def test_a_definition_is_refused(fields: tuple[VerificationField, ...], wanted: list[str]) -> None:
    assert codes(definition(*fields)) == wanted


def test_a_definition_over_an_unknown_relation_is_refused() -> None:
    assert codes(definition(KEY, OTHER, relation="nobody")) == ["relation-unknown"]


@pytest.mark.parametrize(
    ("data_type", "one", "other"),
    [
        (DataType.TEXT, "示例（一）有限公司", " 示例(一)有限 公司"),
        (DataType.TEXT, "ａｂｃ１２", "ABC12"),
        (DataType.TEXT, "买买提·江", "买买提•江"),
        (DataType.DATE, "2024-01-02", "2024年1月2日"),
        (DataType.DATE, "20240102", "2024/01/02"),
        (DataType.DECIMAL, "1,000.50", "1000.5000"),
        (DataType.DECIMAL, "0.00", "-0"),
        (DataType.INTEGER, "10", "10.0"),
        (DataType.BOOLEAN, "是", "true"),
    ],
)
def test_spellings_of_one_value_are_equal(data_type: DataType, one: str, other: str) -> None:
    assert verification.normalise(data_type, one) == verification.normalise(data_type, other)


@pytest.mark.parametrize(
    ("data_type", "text", "normal"),
    [
        (DataType.DATE, "2024-13-45", "2024-13-45"),
        (DataType.DATE, "soon", "SOON"),
        (DataType.DECIMAL, "many", "MANY"),
        (DataType.DECIMAL, "NaN", "NAN"),
        (DataType.TEXT, " \u3000 ", ""),
    ],
)
def test_what_cannot_be_read_stays_as_text(data_type: DataType, text: str, normal: str) -> None:
    assert verification.normalise(data_type, text) == normal


def test_hashes_differ_by_artifact_position_and_presence() -> None:
    one, other = verification.artifact_key(b"s" * 32, b"1" * 32), verification.artifact_key(b"s" * 32, b"2" * 32)
    hashes = {
        verification.field_hash(key, position, text)
        for key in (one, other)
        for position in (1, 2)
        for text in (None, "", "x")
    }
    assert len(hashes) == 12


def test_a_row_without_a_key_makes_no_record() -> None:
    found = definition(KEY, OTHER)
    assert verification.record_of(found, b"k" * 32, (None, 1)) is None
    assert verification.record_of(found, b"k" * 32, ("  ", 1)) is None


@pytest.mark.parametrize(
    ("records", "given_", "result"),
    [
        ((), (b"a" * 32,), ResultCode.NO_RECORD),
        ((b"a" * 32,), (b"a" * 32,), ResultCode.MATCH),
        ((b"a" * 32,), (b"b" * 32,), ResultCode.MISMATCH),
        ((b"b" * 32, b"a" * 32), (b"a" * 32,), ResultCode.MATCH),
        ((b"a" * 32 + b"x" * 32,), (b"a" * 32, None), ResultCode.MATCH),
        ((b"a" * 32 + b"x" * 32,), (b"a" * 32, b"y" * 32), ResultCode.MISMATCH),
        ((b"a" * 32 + b"y" * 32, b"b" * 32 + b"x" * 32), (b"a" * 32, b"x" * 32), ResultCode.MISMATCH),
    ],
)
def test_one_record_must_agree_with_every_field_given(
    records: tuple[bytes, ...], given_: tuple[bytes | None, ...], result: ResultCode
) -> None:
    assert verification.compare_records(records, given_) is result


def test_an_input_that_is_too_long_is_named() -> None:
    found = definition(KEY, OTHER)
    assert verification.missing_fields(found, {"key": "x" * 1001, "other": "1"}) == ("key",)


@pytest.mark.parametrize(
    "inputs",
    [
        {}, {"key": "1"}, {"other": "1"}, {"key": " ", "other": "1"}, {"key": "1", "other": ""},
        {"key": "x" * 1001, "other": "1"}, {"key": "1", "other": "1", "extra": "x" * 1001},
        {"key": "1", "other": "1", "odd": "1"}, {"key": "1", "other": "1"}, {"key": "1", "other": "1", "extra": " "},
    ],
)  # fmt: skip
def test_inputs_have_hashes_exactly_when_no_field_is_missing(inputs: dict[str, str]) -> None:
    found = definition(KEY, OTHER, EXTRA)
    hashes = verification.asked_hashes(verification.asked_fields(found, b"k" * 32), inputs)
    assert (hashes is None) == bool(verification.missing_fields(found, inputs))


def test_a_record_is_found_by_the_spelling_of_an_input() -> None:
    found = definition(KEY, OTHER, EXTRA)
    typed = verification.decide_definition(RELATIONS, found).value_or_raise()
    made = verification.record_of(typed, b"k" * 32, ("示例 1", 10, None))
    assert made is not None
    fields = verification.asked_fields(typed, b"k" * 32)
    hashes = verification.asked_hashes(fields, {"key": "示例１", "other": "10.0"})
    assert hashes is not None
    assert made[0] == hashes[0]
    assert verification.compare_records((made[1],), hashes[1]) is ResultCode.MATCH
    wrong = verification.asked_hashes(fields, {"key": "示例１", "other": "10", "extra": "0"})
    assert wrong is not None
    assert verification.compare_records((made[1],), wrong[1]) is ResultCode.MISMATCH
    header = verification.header_of(typed, verification.salt_of(b"s" * 32, "digest"))
    assert len(header[1]) == len(made[1])


# ----------------------------------------------------------------------------------------------------------- jobs


@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("action", ["run", "succeed", "fail", "stop"])
def test_every_status_and_action(status: JobStatus, action: str) -> None:
    job = replace(samples.job(), status=status, finished_at=None)
    decision = jobs.decide_job_step(job, action, samples.NOW, "why")
    step = jobs.TRANSITIONS.get((status, action))
    if step is None:
        assert isinstance(decision, Denied)
        assert (
            isinstance(jobs.decide_success(job, (), samples.job().report, samples.NOW), Denied) or action != "succeed"
        )
        return
    assert isinstance(decision, Permitted)
    assert decision.value.status is step[0]
    assert (decision.value.finished_at is not None) is jobs.is_over(decision.value)


def test_what_is_told_of_withheld_groups() -> None:
    def told(groups: int, units: int, *, has_groups: bool = True) -> tuple[bool, int | None]:
        report = jobs.report_of(
            rows=1, groups=groups, units=units, units_min=10, runtime_ms=1, defences=(), negative=False,
            has_groups=has_groups,
        )  # fmt: skip
        return report.some_withheld, report.groups_withheld

    assert told(0, 0, has_groups=False) == (False, 0)
    assert told(0, 0) == told(1, 50) == (True, None)
    assert told(2, 9) == (True, None)
    assert told(2, 10) == (True, 2)


@pytest.mark.parametrize(
    ("members", "of_members", "told"),
    [
        (0, 0, None),
        (10, 19, None),  # a half of nineteen is fewer than ten
        (10, 20, 50),
        (14, 50, 20),
        (16, 50, 40),
        (30, 100, 30),
        (34, 100, 30),
        (36, 100, 40),
        (36, 200, 20),
        (77, 1_000, 8),
        (77, 500, 16),
        (500, 500, 100),
    ],
)
def test_the_share_of_withheld_units_is_told_in_steps_of_enough_units(
    members: int, of_members: int, told: int | None
) -> None:
    assert jobs.share_of(members, of_members, 10) == told
    steps = {jobs.share_of(n, of_members, 10) for n in range(of_members + 1)} - {None}
    alike = [sum(jobs.share_of(n, of_members, 10) == step for n in range(of_members + 1)) for step in steps]
    assert all(many >= 5 for many in alike)  # the first and the last are halves of a step
    assert sum(many < 10 for many in alike) <= 2


def test_the_share_is_told_when_the_number_of_groups_is() -> None:
    def told(groups: int, units: int) -> tuple[int | None, int | None]:
        report = jobs.report_of(
            rows=1, groups=groups, units=units, units_min=10, runtime_ms=1, defences=(), negative=False,
            has_groups=True, members=30, of_members=200,
        )  # fmt: skip
        return report.groups_withheld, report.units_withheld_percent

    assert told(0, 0) == told(1, 50) == told(2, 9) == (None, None)
    assert told(2, 10) == (2, 15)


def test_who_sees_a_job() -> None:
    job = replace(samples.job(), operator=samples.OPERATOR)
    seeing = [samples.actor(samples.DEVELOPER), samples.actor(samples.OPERATOR), samples.actor("x", Role.REVIEWER)]
    assert all(jobs.sees(actor, job) for actor in seeing)
    assert not jobs.sees(samples.actor("x", Role.DEVELOPER), job)


# ---------------------------------------------------------------------------------------------------- projections


def test_a_projection_names_each_form_and_hides_identifiers() -> None:
    projection = Projection(
        "people", PEOPLE.resource, ("total_int",), ("join_compare_text",), ("compare_int",), has_unit=True
    )
    sql = select_list(projection, PEOPLE, "data", key=b"k" * 32, mask_key=b"m" * 32)
    for shown in ('"total_int"', '"key:join_compare_text"', '"raw:compare_int"', '"unit:"'):
        assert f"AS {shown}" in sql
    assert select_list(
        replace(projection, columns=(), keys=(), raws=(), has_unit=False), PEOPLE, "d", key=b"k", mask_key=b"m"
    )


def test_a_row_filter_is_read_by_the_gate() -> None:
    filtered = replace(PEOPLE, policy=replace(PEOPLE.policy, row_filter="no_int > 3 AND no_text IN ('a')"))
    decision = row_condition(filtered, "data")
    assert isinstance(decision, Permitted)
    assert '"data"."no_int"' in decision.value
    for text in ("1; 2", "no_int >", "absent = 1", "count(*) > 3", "no_int IN (SELECT 1 FROM x)"):
        bad = replace(PEOPLE, policy=replace(PEOPLE.policy, row_filter=text))
        assert isinstance(row_condition(bad, "data"), Denied)


# -------------------------------------------------------------------------------------------------- synthetic rows


def sketch(
    name: str, data_type: DataType, meaning: Meaning = Meaning.UNKNOWN, nulls: int = 0, distinct: int = 0
) -> synthetic.ColumnSketch:
    return synthetic.ColumnSketch(name, data_type, meaning, nulls, distinct)


def test_codes_look_valid_and_cannot_be_real() -> None:
    for entity in range(500):
        code, card = synthetic.credit_code(entity), synthetic.id_card(entity)
        assert is_credit_code(code)
        assert code[2:8] == card[:6] == "999999"
        assert is_id_card(card)
    assert len({synthetic.credit_code(entity) for entity in range(500)}) == 500


def test_every_type_and_meaning_makes_a_value() -> None:
    columns = tuple(sketch(kind.value, kind) for kind in DataType) + tuple(
        sketch(m.value, DataType.TEXT, m) for m in Meaning
    )
    rows = synthetic.synthetic_rows(columns, 1, 20)
    assert all(value is not None for row in rows for value in row)
    assert synthetic.synthetic_rows(columns, 1, 20) == rows
    assert synthetic.synthetic_rows(columns, 2, 20) != rows


def test_shares_of_empty_and_distinct_values_are_followed_roughly() -> None:
    rows = synthetic.synthetic_rows(
        (sketch("n", DataType.INTEGER, nulls=50), sketch("k", DataType.TEXT, distinct=100)), 1, 400
    )
    assert 100 < sum(row[0] is None for row in rows) < 300
    assert len({row[1] for row in rows}) == 400
    assert (synthetic.rounded_percent(7, 100), synthetic.rounded_percent(1, 0)) == (5, 0)
