"""What a column seems to speak of, its grade, and the quality report."""

from datetime import UTC, datetime, timedelta

import pytest

from gongshu.catalog.rules import classification, quality
from gongshu.catalog.rules.classification import is_weaker, propose, said_by_name
from gongshu.catalog.types import Column, ColumnCounts, DataType, Dimension, Meaning, Proposal
from gongshu.policies.types import Grade

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def counts(column: str = "c", **found: int) -> ColumnCounts:
    fields = {
        "rows": 1000,
        "values": 1000,
        "distinct": 900,
        "is_distinct_estimated": False,
        "length_min": 1,
        "length_max": 20,
        "sampled": 1000,
    }
    return ColumnCounts(column=column, **(fields | found))


def proposal(name: str = "c", data_type: DataType = DataType.TEXT, derived_from: str = "", **found: int) -> Proposal:
    return propose(Column(name, data_type, derived_from), counts(name, **found))


@pytest.mark.parametrize(("found", "meaning", "grade"), [
    ({"credit_codes": 990}, Meaning.CREDIT_CODE, Grade.DIRECT_IDENTIFIER),
    ({"credit_codes": 499}, Meaning.UNKNOWN, Grade.SENSITIVE),
    ({"id_cards": 500}, Meaning.ID_CARD, Grade.DIRECT_IDENTIFIER),
    ({"phones": 800}, Meaning.PHONE, Grade.DIRECT_IDENTIFIER),
    ({"mailboxes": 800}, Meaning.MAILBOX, Grade.DIRECT_IDENTIFIER),
    ({"bank_cards": 900}, Meaning.BANK_CARD, Grade.DIRECT_IDENTIFIER),
    ({"bank_cards": 899}, Meaning.UNKNOWN, Grade.SENSITIVE),
    ({"person_names": 700}, Meaning.PERSON_NAME, Grade.DIRECT_IDENTIFIER),
    ({"organisation_names": 700}, Meaning.ORGANISATION_NAME, Grade.DIRECT_IDENTIFIER),
    ({"organisation_names": 1000, "distinct": 10}, Meaning.CATEGORY, Grade.QUASI_IDENTIFIER),
    ({"addresses": 700}, Meaning.ADDRESS, Grade.SENSITIVE),
    ({"regions": 700}, Meaning.REGION, Grade.QUASI_IDENTIFIER),
    ({"long_texts": 200}, Meaning.FREE_TEXT, Grade.SENSITIVE),
    ({"distinct": 20}, Meaning.CATEGORY, Grade.QUASI_IDENTIFIER),
    ({"distinct": 201}, Meaning.UNKNOWN, Grade.SENSITIVE),
    ({"distinct": 20, "values": 99}, Meaning.UNKNOWN, Grade.SENSITIVE),
    ({"values": 0, "distinct": 0, "sampled": 0}, Meaning.UNKNOWN, Grade.SENSITIVE),
])  # fmt: skip
def test_values_say_what_a_column_is(found, meaning, grade):
    made = proposal(**found)
    assert (made.meaning, made.grade) == (meaning, grade)
    assert made.reason_zh
    assert made.reason_en


@pytest.mark.parametrize(("name", "found", "meaning", "grade"), [
    ("联系电话", {}, Meaning.PHONE, Grade.DIRECT_IDENTIFIER),
    ("身份证号", {"distinct": 5}, Meaning.ID_CARD, Grade.DIRECT_IDENTIFIER),
    ("法人代表", {"person_names": 1000}, Meaning.PERSON_NAME, Grade.DIRECT_IDENTIFIER),
    ("地区", {"distinct": 60}, Meaning.REGION, Grade.QUASI_IDENTIFIER),
    ("企业类型", {"distinct": 20}, Meaning.CATEGORY, Grade.QUASI_IDENTIFIER),
    ("企业类型", {}, Meaning.UNKNOWN, Grade.SENSITIVE),  # it calls itself a category, but its values are all different
    ("地区", {"person_names": 1000}, Meaning.PERSON_NAME, Grade.DIRECT_IDENTIFIER),
    ("注册资金", {}, Meaning.AMOUNT, Grade.SENSITIVE),
    ("备注", {"addresses": 1000}, Meaning.FREE_TEXT, Grade.SENSITIVE),
])  # fmt: skip
def test_a_name_adds_to_what_values_say_and_never_weakens_it(name, found, meaning, grade):
    made = proposal(name, **found)
    assert (made.meaning, made.grade) == (meaning, grade)


@pytest.mark.parametrize(("data_type", "derived", "found", "meaning"), [
    (DataType.DATE, "", {}, Meaning.DATE),
    (DataType.TIMESTAMP, "", {}, Meaning.DATE),
    (DataType.DECIMAL, "资金", {}, Meaning.AMOUNT),
    (DataType.TEXT, "资金", {"distinct": 5}, Meaning.CURRENCY),
    (DataType.BOOLEAN, "", {"distinct": 2}, Meaning.CATEGORY),
    (DataType.INTEGER, "", {}, Meaning.NUMBER),
    (DataType.DECIMAL, "", {}, Meaning.NUMBER),
])  # fmt: skip
def test_types_say_what_a_column_is(data_type, derived, found, meaning):
    assert proposal("c", data_type, derived, **found).meaning is meaning


@pytest.mark.parametrize("stray", ["id_cards", "phones", "mailboxes"])
def test_one_identifier_of_a_person_among_the_values_makes_a_column_sensitive(stray):
    made = proposal("类别", distinct=10, **{stray: 1})
    assert made.meaning is Meaning.CATEGORY
    assert made.grade is Grade.SENSITIVE
    assert "1" in made.reason_zh


def test_a_stray_identifier_does_not_weaken_a_stricter_grade():
    assert proposal("姓名", person_names=1000, phones=1).grade is Grade.DIRECT_IDENTIFIER


def test_every_meaning_has_a_grade_and_no_proposal_is_open_or_ordinary():
    assert set(classification.GRADES) == set(Meaning)
    assert not {Grade.OPEN, Grade.ORDINARY} & set(classification.GRADES.values())
    assert set(classification.STRICTNESS) == set(Grade)


@pytest.mark.parametrize(("one", "other", "weaker"), [
    (Grade.OPEN, Grade.ORDINARY, True), (Grade.SENSITIVE, Grade.DIRECT_IDENTIFIER, True), (Grade.SENSITIVE, Grade.SENSITIVE, False),
    (Grade.DIRECT_IDENTIFIER, Grade.QUASI_IDENTIFIER, False),
])  # fmt: skip
def test_grades_are_ordered(one, other, weaker):
    assert is_weaker(one, other) is weaker


@pytest.mark.parametrize(
    ("name", "meaning"), [("单位统一社会信用代码", Meaning.CREDIT_CODE), ("月缴费基数", Meaning.AMOUNT), ("x", None)]
)
def test_what_a_name_says(name, meaning):
    assert said_by_name(name) is meaning


def report(counted, proposals, **changed):
    about = {
        "rows_in": 1005, "rows_quarantined": 5, "names_changed": 1, "key": "", "files": 3, "previous": None, "update_cycle": "004", "now": NOW,
    }  # fmt: skip
    columns = tuple(Column(c.column, DataType.TEXT) for c in counted)
    return quality.report(tuple(counted), tuple(proposals), **({"columns": columns} | about | changed))


def item(items, rule, column=""):
    (found,) = [i for i in items if i.rule == rule and i.column == column]
    return found.dimension, found.checked, found.failing


def test_the_report_counts_by_dimension():
    counted = [
        counts("code", credit_codes=990, distinct=995), counts("note", values=600, formulas=2, padded=3), counts("card", id_cards=1000),
        counts("phone", phones=999), counts("mail", mailboxes=1), counts("bank", bank_cards=4), counts("day", implausible=7), counts("sum", unparsed=8),
    ]  # fmt: skip
    meanings = [
        Meaning.CREDIT_CODE, Meaning.FREE_TEXT, Meaning.ID_CARD, Meaning.PHONE, Meaning.MAILBOX, Meaning.BANK_CARD, Meaning.DATE, Meaning.AMOUNT,
    ]  # fmt: skip
    proposals = [Proposal(c.column, m, Grade.SENSITIVE, "", "") for c, m in zip(counted, meanings, strict=True)]
    columns = (*(Column(c.column, DataType.TEXT) for c in counted), Column("sum_数额", DataType.DECIMAL, "sum"))
    items = report(counted, proposals, key="code", columns=columns)
    assert item(items, "line-readable") == (Dimension.NORMATIVITY, 1005, 5)
    assert item(items, "column-name") == (Dimension.NORMATIVITY, 8, 1)
    assert item(items, "file-readable") == (Dimension.ACCESSIBILITY, 3, 0)
    assert item(items, "key-unique", "code") == (Dimension.CONSISTENCY, 1000, 5)
    assert item(items, "value-present", "note") == (Dimension.COMPLETENESS, 1000, 400)
    assert item(items, "no-formula", "note") == (Dimension.NORMATIVITY, 600, 2)
    assert item(items, "no-outer-spaces", "note") == (Dimension.NORMATIVITY, 600, 3)
    assert item(items, "credit-code-check-character", "code") == (Dimension.ACCURACY, 1000, 10)
    assert item(items, "id-number-check-character", "card") == (Dimension.ACCURACY, 1000, 0)
    assert item(items, "phone-form", "phone") == (Dimension.NORMATIVITY, 1000, 1)
    assert item(items, "mailbox-form", "mail") == (Dimension.NORMATIVITY, 1000, 999)
    assert item(items, "bank-card-luhn", "bank") == (Dimension.ACCURACY, 1000, 996)
    assert item(items, "date-plausible", "day") == (Dimension.ACCURACY, 1000, 7)
    assert item(items, "amount-with-unit", "sum") == (Dimension.NORMATIVITY, 1000, 8)
    assert not [i for i in items if i.dimension is Dimension.TIMELINESS]


def test_an_amount_that_is_a_number_already_has_no_unit_to_check():
    items = report([counts("base")], [Proposal("base", Meaning.AMOUNT, Grade.SENSITIVE, "", "")])
    assert not [i for i in items if i.rule == "amount-with-unit"]


@pytest.mark.parametrize(("cycle", "days", "failing"), [("004", 31, 0), ("004", 32, 1), ("002", 2, 1), ("007", 300, 0)])
def test_a_version_later_than_the_promised_cycle_fails_timeliness(cycle, days, failing):
    one = [counts("a")], [Proposal("a", Meaning.UNKNOWN, Grade.SENSITIVE, "", "")]
    items = report(*one, previous=(NOW - timedelta(days=days), ("a", "gone")), update_cycle=cycle)
    assert item(items, "within-update-cycle") == (Dimension.TIMELINESS, 1, failing)
    assert item(items, "same-columns-as-before") == (Dimension.CONSISTENCY, 2, 1)


@pytest.mark.parametrize("cycle", ["008", "009"])
def test_an_irregular_resource_promises_no_time(cycle):
    one = [counts("a")], [Proposal("a", Meaning.UNKNOWN, Grade.SENSITIVE, "", "")]
    assert not [
        i for i in report(*one, previous=(NOW, ("a",)), update_cycle=cycle) if i.dimension is Dimension.TIMELINESS
    ]


@pytest.mark.parametrize(("distinct", "meaning", "key"), [
    (1000, Meaning.CREDIT_CODE, "c"), (900, Meaning.ID_CARD, "c"), (899, Meaning.ID_CARD, ""), (1000, Meaning.PHONE, ""),
])  # fmt: skip
def test_the_key_is_the_identifier_that_hardly_repeats(distinct, meaning, key):
    assert quality.find_key((counts(distinct=distinct),), (Proposal("c", meaning, Grade.SENSITIVE, "", ""),)) == key


def test_a_column_without_values_is_no_key():
    assert (
        quality.find_key((counts(values=0, distinct=0),), (Proposal("c", Meaning.ID_CARD, Grade.SENSITIVE, "", ""),))
        == ""
    )


def test_a_profile_holds_counts_only():
    made = quality.profile_of(
        counts("c", values=950, credit_codes=940), Proposal("c", Meaning.CREDIT_CODE, Grade.SENSITIVE, "", "")
    )
    assert (made.rows, made.null_count, made.distinct_count, made.failing_count) == (1000, 50, 900, 10)
