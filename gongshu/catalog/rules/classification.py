"""Proposals of meaning and grade: what a column seems to speak of, and the strictest grade that follows.

A proposal is careful: one value that passes an identifier's check is enough to keep a column from an open grade, and
what is not recognised is sensitive. The provider confirms or changes it.
"""

import re

from gongshu.catalog.types import Column, ColumnCounts, DataType, Meaning, Proposal
from gongshu.policies.types import Grade

GRADES: dict[Meaning, Grade] = {
    Meaning.CREDIT_CODE: Grade.DIRECT_IDENTIFIER,
    Meaning.ID_CARD: Grade.DIRECT_IDENTIFIER,
    Meaning.PHONE: Grade.DIRECT_IDENTIFIER,
    Meaning.BANK_CARD: Grade.DIRECT_IDENTIFIER,
    Meaning.MAILBOX: Grade.DIRECT_IDENTIFIER,
    Meaning.PERSON_NAME: Grade.DIRECT_IDENTIFIER,
    Meaning.ORGANISATION_NAME: Grade.DIRECT_IDENTIFIER,
    Meaning.ADDRESS: Grade.SENSITIVE,
    Meaning.AMOUNT: Grade.SENSITIVE,
    Meaning.NUMBER: Grade.SENSITIVE,
    Meaning.FREE_TEXT: Grade.SENSITIVE,
    Meaning.UNKNOWN: Grade.SENSITIVE,
    Meaning.DATE: Grade.QUASI_IDENTIFIER,
    Meaning.REGION: Grade.QUASI_IDENTIFIER,
    Meaning.CATEGORY: Grade.QUASI_IDENTIFIER,
    Meaning.CURRENCY: Grade.QUASI_IDENTIFIER,
}

STRICTNESS = (Grade.OPEN, Grade.ORDINARY, Grade.QUASI_IDENTIFIER, Grade.SENSITIVE, Grade.DIRECT_IDENTIFIER)
"""From the weakest to the strictest."""

IDENTIFIER_SHARE = 0.5
LUHN_SHARE = 0.9  # one random number in ten passes the Luhn check
NAME_SHARE = 0.6
TEXT_SHARE = 0.2
CATEGORY_VALUES_MAX = 200
CATEGORY_REPEATS_MIN = 5  # rows per value, on average

NAMES_SAY: tuple[tuple[Meaning, re.Pattern[str]], ...] = tuple(
    (meaning, re.compile(words, re.IGNORECASE))
    for meaning, words in (
        (Meaning.CREDIT_CODE, r"信用代码|credit_?code"),
        (Meaning.ID_CARD, r"身份证|证件号|公民身份|id_?card"),
        (Meaning.BANK_CARD, r"银行卡|银行账|卡号|bank_?(card|account)"),
        (Meaning.PHONE, r"电话|手机|联系方式|phone|mobile"),
        (Meaning.MAILBOX, r"邮箱|邮件|e_?mail"),
        (Meaning.ADDRESS, r"地址|住址|住所|address"),
        (Meaning.ORGANISATION_NAME, r"(企业|单位|机构|公司|组织|店铺|商户|项目)名|company|organi[sz]ation"),
        (Meaning.PERSON_NAME, r"姓名|法人代表|法定代表人|负责人|联系人|经办人|投资人|person|^name$"),
        (Meaning.DATE, r"日期|时间|出生|date|birth"),
        (Meaning.CURRENCY, r"币种|currency"),
        (Meaning.AMOUNT, r"资金|资本|金额|数额|基数|工资|余额|收入|税额|amount|salary"),
        (Meaning.REGION, r"省份|所在省|城市|地区|区县|行政区|region|province|city"),
        (Meaning.FREE_TEXT, r"范围|备注|说明|简介|描述|内容|remark|note"),
        (Meaning.CATEGORY, r"类型|类别|性别|状态|民族|行业|种类|type|category|status"),
    )
)

_ZH = {
    Meaning.CREDIT_CODE: "统一社会信用代码", Meaning.ID_CARD: "公民身份号码", Meaning.PHONE: "电话号码", Meaning.BANK_CARD: "银行卡号",
    Meaning.MAILBOX: "电子邮箱", Meaning.PERSON_NAME: "人名", Meaning.ORGANISATION_NAME: "机构名称", Meaning.ADDRESS: "地址",
    Meaning.REGION: "行政区划", Meaning.DATE: "日期", Meaning.AMOUNT: "金额", Meaning.CURRENCY: "币种", Meaning.CATEGORY: "类别",
    Meaning.NUMBER: "数值", Meaning.FREE_TEXT: "长文本", Meaning.UNKNOWN: "未识别",
}  # fmt: skip
_CHECKS = {
    Meaning.CREDIT_CODE: ("校验码正确（GB 32100，MOD 31）", "have the right check character (GB 32100, MOD 31)"),
    Meaning.ID_CARD: (
        "校验码和日期正确（GB 11643，MOD 11-2）",
        "have the right check character and a real date (GB 11643, MOD 11-2)",
    ),
    Meaning.PHONE: ("符合手机或固定电话号码格式", "have the form of a telephone number"),
    Meaning.BANK_CARD: ("通过 Luhn 校验", "pass the Luhn check"),
    Meaning.MAILBOX: ("符合电子邮箱格式", "have the form of an e-mail address"),
}


def is_weaker(grade: Grade, than: Grade) -> bool:
    """Whether ``grade`` protects less than ``than``."""
    return STRICTNESS.index(grade) < STRICTNESS.index(than)


def _checked(counts: ColumnCounts) -> tuple[tuple[Meaning, int, float], ...]:
    return (
        (Meaning.CREDIT_CODE, counts.credit_codes, IDENTIFIER_SHARE),
        (Meaning.ID_CARD, counts.id_cards, IDENTIFIER_SHARE),
        (Meaning.PHONE, counts.phones, IDENTIFIER_SHARE),
        (Meaning.MAILBOX, counts.mailboxes, IDENTIFIER_SHARE),
        (Meaning.BANK_CARD, counts.bank_cards, LUHN_SHARE),
    )


def _patterned(counts: ColumnCounts) -> tuple[tuple[Meaning, int, float], ...]:
    return (
        (Meaning.PERSON_NAME, counts.person_names, NAME_SHARE),
        (Meaning.REGION, counts.regions, NAME_SHARE),
        (Meaning.ORGANISATION_NAME, counts.organisation_names, NAME_SHARE),
        (Meaning.ADDRESS, counts.addresses, NAME_SHARE),
        (Meaning.FREE_TEXT, counts.long_texts, TEXT_SHARE),
    )


def said_by_name(column: str) -> Meaning | None:
    """Return what the name of a column says about its values, if it says anything."""
    return next((meaning for meaning, words in NAMES_SAY if words.search(column)), None)


def _propose(column: str, meaning: Meaning, zh: str, en: str) -> Proposal:
    return Proposal(column, meaning, GRADES[meaning], f"{_ZH[meaning]}：{zh}", f"{meaning}: {en}")


def _by_values(column: Column, counts: ColumnCounts) -> Proposal | None:
    for meaning, found, share in _checked(counts):
        if counts.values and found >= share * counts.values:
            zh, en = _CHECKS[meaning]
            return _propose(
                column.name,
                meaning,
                f"{counts.values} 个值中有 {found} 个{zh}。",
                f"{found} of {counts.values} values {en}.",
            )
    return None


def _by_type(column: Column) -> Proposal | None:
    if column.derived_from:
        meaning = Meaning.AMOUNT if column.data_type is DataType.DECIMAL else Meaning.CURRENCY
        return _propose(
            column.name,
            meaning,
            f"由列“{column.derived_from}”解析得到。",
            f"parsed from the column {column.derived_from}.",
        )
    if column.data_type in {DataType.DATE, DataType.TIMESTAMP}:
        return _propose(column.name, Meaning.DATE, "所有非空值都是日期。", "every value is a date.")
    return None


def _repeats(counts: ColumnCounts) -> bool:
    """Whether the values are few and come again and again."""
    is_few = 0 < counts.distinct <= CATEGORY_VALUES_MAX
    return is_few and counts.values >= CATEGORY_REPEATS_MIN * counts.distinct


def _by_pattern(column: Column, counts: ColumnCounts) -> Proposal | None:
    for meaning, found, share in _patterned(counts):
        if meaning is Meaning.ORGANISATION_NAME and _repeats(counts):
            continue  # 有限责任公司 is a kind of organisation, not the name of one
        if counts.sampled and found >= share * counts.sampled:
            zh = f"抽查 {counts.sampled} 个值，{found} 个符合其特征。"
            return _propose(column.name, meaning, zh, f"{found} of {counts.sampled} values looked at have its pattern.")
    return None


def _by_size(column: Column, counts: ColumnCounts) -> Proposal:
    if column.data_type is DataType.BOOLEAN or _repeats(counts):
        zh, en = (
            f"{counts.values} 个值只有 {counts.distinct} 种。",
            f"{counts.values} values, only {counts.distinct} different ones.",
        )
        return _propose(column.name, Meaning.CATEGORY, zh, en)
    if column.data_type in {DataType.INTEGER, DataType.DECIMAL}:
        return _propose(column.name, Meaning.NUMBER, "所有非空值都是数。", "every value is a number.")
    return _propose(
        column.name,
        Meaning.UNKNOWN,
        "名称和取值均未识别，从严定级。",
        "neither name nor values were recognised; graded strictly.",
    )


def _stricter(one: Proposal, other: Proposal) -> Proposal:
    return one if not is_weaker(one.grade, other.grade) else other


def _with_stray_identifiers(proposal: Proposal, counts: ColumnCounts) -> Proposal:
    """Raise the grade of a column in which some values are identifiers of people, whatever the others are."""
    stray = max(counts.id_cards, counts.phones, counts.mailboxes)
    if not stray or not is_weaker(proposal.grade, Grade.SENSITIVE):
        return proposal
    return Proposal(
        proposal.column, proposal.meaning, Grade.SENSITIVE,
        f"{proposal.reason_zh}其中 {stray} 个值像个人标识，从严定级。",
        f"{proposal.reason_en} {stray} values look like identifiers of people: graded strictly.",
    )  # fmt: skip


def propose(column: Column, counts: ColumnCounts) -> Proposal:
    """Return the proposed meaning and grade of a column with the reason, in counts."""
    by_values = _by_values(column, counts) or _by_type(column)
    said = said_by_name(column.name)
    if by_values is not None:
        return _with_stray_identifiers(by_values, counts)
    seen = _by_pattern(column, counts) or _by_size(column, counts)
    if said is not None and seen.meaning is not said:
        named = _propose(column.name, said, f"列名“{column.name}”。", f"the column is called {column.name}.")
        seen = _stricter(named, seen)
    return _with_stray_identifiers(seen, counts)
