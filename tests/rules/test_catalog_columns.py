"""Names and types of columns."""

import pytest

from gongshu.base.decisions import Denied, Permitted
from gongshu.catalog.rules.columns import column_names, columns_of, decide_header, is_header, plan_column, plan_columns
from gongshu.catalog.types import ColumnPlan, DataType, DateForm, Limits, TypeCounts

LIMITS = Limits(columns_max=3, column_name_chars_max=5)
DATES = tuple((form, 0) for form in DateForm)


def counts(values: int, **found: object) -> TypeCounts:
    fields = {
        "length_min": 1, "length_max": 9, "integers": 0, "zero_led": 0, "decimals": 0, "scale_max": 0, "digits_max": 3, "dates": DATES,
        "timestamps": 0, "booleans": 0, "amounts": 0,
    }  # fmt: skip
    return TypeCounts(values=values, **(fields | found))


@pytest.mark.parametrize("cells", [("企业名称", "日期"), ("地区", "2019", "2020"), ("",), ("a", "a")])
def test_a_record_of_names_is_a_header(cells):
    assert is_header(cells)


@pytest.mark.parametrize(
    "cell",
    ["13800000000", "2001-02-03", "2001/2/3 10:00", "2001年2月3日", "999999190001010015", " 91350000MA0000000F "],
)
def test_one_value_that_identifies_somebody_shows_that_there_is_no_header(cell):
    assert not is_header(("名称", cell))


@pytest.mark.parametrize(("cells", "names", "changed"), [
    (("a", "b"), ("a", "b"), 0),
    (("a", "A", "a"), ("a", "A_2", "a_3"), 2),
    (("", "x", " "), ("列1", "x", "列3"), 2),
    ((" a\tb\n", 'q"', "\0"), ("a b", "q'", "列3"), 3),
    (("abcdefgh", "abcdeXYZ"), ("abcde", "abcde_2"), 2),
    (("a", "a_2", "a"), ("a", "a_2", "a_3"), 1),
    (("列2", ""), ("列2", "列2_2"), 1),
])  # fmt: skip
def test_each_column_gets_one_name_of_its_own(cells, names, changed):
    assert column_names(cells, LIMITS) == (names, changed)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_a_header_of_too_many_columns_is_refused():
    assert codes(decide_header("f", ("a", "b", "c", "d"), None, LIMITS)) == ["columns-too-many"]
    assert isinstance(decide_header("f", ("a", "b", "c"), None, LIMITS), Permitted)


@pytest.mark.parametrize(
    ("names", "position"), [(("a", "x"), "2"), (("b", "a"), "1"), (("a",), "2"), (("a", "b", "c"), "3")]
)
def test_another_header_than_the_first_files_is_refused_at_its_first_difference(names, position):
    decision = decide_header("f", names, ("a", "b"), LIMITS)
    assert isinstance(decision, Denied)
    assert dict(decision.reasons[0].facts)["position"] == position


@pytest.mark.parametrize(("name", "found", "plan"), [
    ("n", counts(0), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, booleans=5), ColumnPlan("n", DataType.BOOLEAN)),
    ("n", counts(5, booleans=4), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, dates=((DateForm.ISO, 0), (DateForm.SLASHES, 5), (DateForm.CHINESE, 0))), ColumnPlan("n", DataType.DATE, date_form=DateForm.SLASHES)),
    ("n", counts(5, dates=((DateForm.ISO, 3), (DateForm.SLASHES, 2))), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, timestamps=5), ColumnPlan("n", DataType.TIMESTAMP)),
    ("n", counts(5, integers=5), ColumnPlan("n", DataType.INTEGER)),
    ("n", counts(5, integers=4), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, integers=5, zero_led=1), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, integers=5, digits_max=19), ColumnPlan("n", DataType.DECIMAL, digits=38, scale=0)),
    ("n", counts(5, integers=5, length_min=11, length_max=11, digits_max=11), ColumnPlan("n", DataType.TEXT)),
    ("n", counts(5, integers=5, length_min=10, length_max=11, digits_max=11), ColumnPlan("n", DataType.INTEGER)),
    ("行业代码", counts(5, integers=5), ColumnPlan("行业代码", DataType.TEXT)),
    ("user_id", counts(5, integers=5), ColumnPlan("user_id", DataType.TEXT)),
    ("idea", counts(5, integers=5), ColumnPlan("idea", DataType.INTEGER)),
    ("n", counts(5, integers=2, decimals=3, scale_max=2), ColumnPlan("n", DataType.DECIMAL, digits=18, scale=2)),
    ("n", counts(5, decimals=5, digits_max=20, scale_max=4), ColumnPlan("n", DataType.DECIMAL, digits=38, scale=4)),
    ("n", counts(5, decimals=5, digits_max=30, scale_max=9), ColumnPlan("n", DataType.TEXT)),
    ("资金", counts(4, amounts=2), ColumnPlan("资金", DataType.TEXT, amount="资金_数额", currency="资金_币种")),
    ("资金", counts(4, amounts=1), ColumnPlan("资金", DataType.TEXT)),
])  # fmt: skip
def test_a_column_has_another_type_than_text_only_when_all_its_values_have_it(name, found, plan):
    assert plan_column(name, found) == plan


def test_derived_columns_stand_after_their_source_under_names_of_their_own():
    plans = plan_columns(("资金", "资金_数额", "n"), (counts(4, amounts=4), counts(4), counts(4, integers=4)))
    assert [(c.name, c.data_type, c.derived_from) for c in columns_of(plans)] == [
        ("资金", DataType.TEXT, ""), ("资金_数额_2", DataType.DECIMAL, "资金"), ("资金_币种", DataType.TEXT, "资金"),
        ("资金_数额", DataType.TEXT, ""), ("n", DataType.INTEGER, ""),
    ]  # fmt: skip
