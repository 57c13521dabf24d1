"""Names and types of columns, from a header and from counts."""

import re
import unicodedata

from gongshu.base.decisions import Denied, Kind, Permitted, Reason, decide, rule
from gongshu.base.identifiers import is_credit_code, is_id_card
from gongshu.catalog.types import Column, ColumnPlan, DataType, Limits, TypeCounts

COLUMNS_TOO_MANY = rule(
    "columns-too-many", Kind.LIMIT_EXCEEDED,
    zh="文件“{file}”有 {columns} 列，超过上限 {columns_max} 列。",
    en="The file {file} has {columns} columns; the limit is {columns_max}.",
    fix_zh="请拆分为多个资源，或检查分隔符是否正确。",
    fix_en="Split it into several resources, or check its delimiter.",
)  # fmt: skip
HEADERS_DIFFER = rule(
    "headers-differ", Kind.INVALID,
    zh="文件“{file}”的表头与第一个文件不同（第 {position} 列起）。",
    en="The header of {file} differs from the first file's, from column {position} on.",
    fix_zh="同一版本的文件须列名、列序一致；请统一表头，或作为另一资源导入。",
    fix_en="Files of one version have the same columns in the same order; correct the header or make another resource.",
)  # fmt: skip

AMOUNT_SUFFIX, CURRENCY_SUFFIX = "_数额", "_币种"
AMOUNT_SHARE_MIN = 0.5
CODE_DIGITS_MIN = 11  # eleven digits and more, all of one length: a number that names something, not a quantity
INTEGER_DIGITS_MAX = 18
DECIMAL_DIGITS = 18
DECIMAL_DIGITS_MAX = 38
_CODE_NAMES = re.compile(
    r"代码|编码|编号|号码|证号|账号|卡号|电话|手机|邮编|邮政编码|(?:^|_)(?:code|id|no|phone|zip)(?:_|$)", re.IGNORECASE
)
_LOOKS_LIKE_VALUE = re.compile(r"1[3-9]\d{9}|[12]\d{3}[-/年]\d{1,2}[-/月]\d{1,2}日?(?:[ T][\d:.]+)?")


def is_header(cells: tuple[str, ...]) -> bool:
    """Whether the first record names columns. A telephone number, date, ID number or credit code in it says no.

    Taking data for a header would put values into the control database, so one such cell is enough.
    """
    values = (cell.strip() for cell in cells)
    return not any(_LOOKS_LIKE_VALUE.fullmatch(v) or is_id_card(v) or is_credit_code(v) for v in values)


def _printable(cell: str) -> str:
    spaced = "".join(" " if unicodedata.category(character).startswith(("C", "Z")) else character for character in cell)
    return " ".join(spaced.replace('"', "'").split())


def column_names(cells: tuple[str, ...], limits: Limits) -> tuple[tuple[str, ...], int]:
    """Return one name per cell of a header, and how many had to be changed.

    White space and control characters are tidied, long names cut; an empty name becomes ``列3``, a second ``name``
    becomes ``name_2`` (names are told apart without regard to capitals, as SQL does).
    """
    names: list[str] = []
    taken: set[str] = set()
    for place, cell in enumerate(cells, start=1):
        wanted = _printable(cell)[: limits.column_name_chars_max] or f"列{place}"
        name, copy = wanted, 1
        while name.casefold() in taken:
            copy += 1
            name = f"{wanted}_{copy}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names), sum(name != cell for name, cell in zip(names, cells, strict=True))


def decide_header(
    file: str, names: tuple[str, ...], first: tuple[str, ...] | None, limits: Limits
) -> Permitted[tuple[str, ...]] | Denied:
    """Accept the columns of a file: not too many, and those of the version's first file."""
    reasons: list[Reason] = []
    if len(names) > limits.columns_max:
        reasons.append(COLUMNS_TOO_MANY.because(file=file, columns=len(names), columns_max=limits.columns_max))
    if first is not None and names != first:
        same = next(
            (i for i, (a, b) in enumerate(zip(names, first, strict=False)) if a != b), min(len(names), len(first))
        )
        reasons.append(HEADERS_DIFFER.because(file=file, position=same + 1))
    return decide(names, *reasons)


def _number_plan(name: str, counts: TypeCounts) -> ColumnPlan | None:
    is_code = counts.length_min == counts.length_max and counts.length_max >= CODE_DIGITS_MIN
    if counts.zero_led or is_code or _CODE_NAMES.search(name):
        return None
    if counts.integers == counts.values and counts.digits_max <= INTEGER_DIGITS_MAX:
        return ColumnPlan(name, DataType.INTEGER)
    if counts.integers + counts.decimals != counts.values:
        return None
    needed = counts.digits_max + counts.scale_max
    if needed > DECIMAL_DIGITS_MAX:
        return None
    digits = DECIMAL_DIGITS if needed <= DECIMAL_DIGITS else DECIMAL_DIGITS_MAX
    return ColumnPlan(name, DataType.DECIMAL, digits=digits, scale=counts.scale_max)


def plan_column(name: str, counts: TypeCounts) -> ColumnPlan:
    """Return how a column is read: another type than text only when every value that is not null has its form.

    Codes, telephone and ID numbers and digits that begin with zero stay text. Amounts with a unit stay text too and
    give two columns more.
    """
    if counts.values == 0:
        return ColumnPlan(name, DataType.TEXT)
    if counts.booleans == counts.values:
        return ColumnPlan(name, DataType.BOOLEAN)
    for form, found in counts.dates:
        if found == counts.values:
            return ColumnPlan(name, DataType.DATE, date_form=form)
    if counts.timestamps == counts.values:
        return ColumnPlan(name, DataType.TIMESTAMP)
    number = _number_plan(name, counts)
    if number is not None:
        return number
    if counts.amounts >= AMOUNT_SHARE_MIN * counts.values:
        return ColumnPlan(name, DataType.TEXT, amount=name + AMOUNT_SUFFIX, currency=name + CURRENCY_SUFFIX)
    return ColumnPlan(name, DataType.TEXT)


def _free(name: str, taken: set[str]) -> str:
    wanted, copy = name, 1
    while name.casefold() in taken:
        copy += 1
        name = f"{wanted}_{copy}"
    taken.add(name.casefold())
    return name


def plan_columns(names: tuple[str, ...], counts: tuple[TypeCounts, ...]) -> tuple[ColumnPlan, ...]:
    """Return how every column is read. Derived names that the header already has get a number."""
    taken = {name.casefold() for name in names}
    plans = []
    for name, counted in zip(names, counts, strict=True):
        plan = plan_column(name, counted)
        if plan.amount:
            plan = ColumnPlan(
                name, plan.data_type, amount=_free(plan.amount, taken), currency=_free(plan.currency, taken)
            )
        plans.append(plan)
    return tuple(plans)


def columns_of(plans: tuple[ColumnPlan, ...]) -> tuple[Column, ...]:
    """Return the columns that the version will have, each derived one right after its source."""
    columns: list[Column] = []
    for plan in plans:
        columns.append(Column(plan.name, plan.data_type))
        if plan.amount:
            columns.append(Column(plan.amount, DataType.DECIMAL, derived_from=plan.name))
            columns.append(Column(plan.currency, DataType.TEXT, derived_from=plan.name))
    return tuple(columns)
