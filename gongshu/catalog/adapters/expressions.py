"""What is counted and computed about values, as SQL of the engine. ``x`` is always a quoted column.

The arithmetic of check digits is that of ``base.identifiers``; a test compares both on random text. No expression may
raise with a value in its message.
"""

from gongshu.base.identifiers import CREDIT_ALPHABET
from gongshu.catalog.types import NULL_WORDS, ColumnPlan, DataType, DateForm

INTEGER = "-?(0|[1-9][0-9]{0,17})"
DECIMAL = r"-?(0|[1-9][0-9]{0,26})\.[0-9]{1,10}"
ZERO_LED = "0[0-9]+"
DATES = {
    DateForm.ISO: "[12][0-9]{3}-[01][0-9]-[0-3][0-9]",
    DateForm.SLASHES: "[12][0-9]{3}/[01]?[0-9]/[0-3]?[0-9]",
    DateForm.CHINESE: "[12][0-9]{3}年[01]?[0-9]月[0-3]?[0-9]日",
}
TIMESTAMP = r"[12][0-9]{3}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
TRUE_WORDS, FALSE_WORDS = ("true", "True", "TRUE", "是"), ("false", "False", "FALSE", "否")
PHONE = r"(\+?86[- ]?)?1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}"
MAILBOX = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
MAILBOX_BYTES_MAX = 254
FORMULA_BEGINS = "=+-@"
SIGNED_NUMBER = r"[+-][0-9]+([.,][0-9]+)*%?"

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹"
    "熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文欧单葛齐伍祝尤柳宁庄申牛殷耿管卜翟凌温鲁安"
)
PERSON_NAME = f"[{SURNAMES}][\\x{{4E00}}-\\x{{9FFF}}]{{1,3}}"
ORGANISATION_NAME = (
    r".{2,}(公司|厂|店|社|中心|局|委员会|院|校|学|所|部|行|站|会|场|馆|集团|队|园|处|户|吧|坊|城|铺|办|基地|超市|联社)"
    r"([(（].*[)）])?"
)
ADDRESS = (
    r".*(省|市|县|区|州|旗|镇|乡|村|路|街|道|巷|里|社).*"
    r"([0-9０-９一二三四五六七八九十]+(号|栋|幢|室|组|楼|层|米|队)|路|街|道|巷|村|镇|乡|区|口|侧|边|内|旁).*"
)
PROVINCES = (
    "北京|天津|河北|山西|内蒙古|辽宁|吉林|黑龙江|上海|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|广西|海南|重庆|四川|贵州|云南|西藏|陕西"
    "|甘肃|青海|宁夏|新疆|台湾|香港|澳门"
)
REGION = rf"({PROVINCES})(省|市|.{{0,4}}自治区|特别行政区)?|[\x{{4E00}}-\x{{9FFF}}]{{1,8}}(省|市|县|区|州|盟|旗)"
LONG_TEXT_CHARS = 30

AMOUNT_SCALE, AMOUNT_DIGITS = 4, 18
AMOUNT_TYPE = f"DECIMAL({AMOUNT_DIGITS},{AMOUNT_SCALE})"
AMOUNT_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]{1,8})?"
UNITS = (
    ("万亿", 1_000_000_000_000), ("亿", 100_000_000), ("千万", 10_000_000), ("百万", 1_000_000), ("十万", 100_000),
    ("万", 10_000), ("仟", 1_000), ("千", 1_000), ("百", 100),
)  # fmt: skip
CURRENCIES = {
    "CNY": ("", "元", "圆", "人民币", "人民币元", "元人民币", "人民币圆", "RMB", "CNY"),
    "USD": ("美元", "元美元", "美金", "美元元", "USD"),
    "HKD": ("港币", "港元", "元港币", "元港元", "香港元", "港币元", "元香港元", "HKD"),
    "JPY": ("日元", "日圆", "元日元", "JPY"),
    "EUR": ("欧元", "元欧元", "欧元元", "EUR"),
    "GBP": ("英镑", "元英镑", "英镑元", "GBP"),
    "AUD": ("澳元", "澳大利亚元", "元澳大利亚元", "澳大利亚元元", "AUD"),
    "CAD": ("加元", "加拿大元", "元加拿大元", "CAD"),
    "SGD": ("新加坡元", "新元", "元新加坡元", "SGD"),
    "KRW": ("韩元", "韩国元", "韩圆", "元韩元", "KRW"),
    "CHF": ("瑞士法郎", "元瑞士法郎", "CHF"),
    "MOP": ("澳门元", "澳门币", "元澳门元", "MOP"),
    "TWD": ("新台币", "台币", "新台币元", "元台币", "台湾元", "TWD"),
    "NZD": ("新西兰元", "元新西兰元", "NZD"),
    "MYR": ("马来西亚林吉特", "林吉特", "马来西亚元", "MYR"),
    "THB": ("泰铢", "泰国铢", "THB"),
    "SEK": ("瑞典克朗", "SEK"),
    "DEM": ("德国马克", "马克", "DEM"),
    "RUB": ("卢布", "俄罗斯卢布", "RUB"),
}


def identifier(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(literal(word) for word in words)


NULL_LIST = f"[{_words(NULL_WORDS)}]"


def matches(x: str, pattern: str) -> str:
    """Return the condition that all of ``x`` has the form ``pattern``."""
    return f"regexp_full_match({x}, {literal(pattern)})"


def _digit(x: str, place: int, alphabet: str) -> str:
    return f"(instr({literal(alphabet)}, {x}[{place}]) - 1)"


def _if(condition: str, check: str) -> str:
    """Return ``check`` guarded by a cheap ``condition``: the engine evaluates it for few values then."""
    return f"CASE WHEN {condition} THEN {check} ELSE false END"


def is_credit_code(x: str) -> str:
    """Return the condition that ``x`` is a credit code with the right check character (GB 32100, MOD 31)."""
    total = " + ".join(f"{_digit(x, i + 1, CREDIT_ALPHABET)} * {pow(3, i, 31)}" for i in range(17))
    check = f"(31 - ({total}) % 31) % 31 = {_digit(x, 18, CREDIT_ALPHABET)}"
    return _if(f"strlen({x}) = 18", _if(matches(x, "[0-9A-HJ-NPQRTUW-Y]{18}"), check))


def is_id_card(x: str) -> str:
    """Return the condition that ``x`` is an ID number: MOD 11-2 and a date that exists."""
    total = " + ".join(f"{_digit(x, i + 1, '0123456789')} * {pow(2, 17 - i, 11)}" for i in range(17))
    check = f"substr('10X98765432', ({total}) % 11 + 1, 1) = upper({x}[18])"
    day = f"try_strptime(substr({x}, 7, 8), '%Y%m%d') IS NOT NULL AND substr({x}, 7, 4) > '0000'"
    return _if(f"strlen({x}) = 18", _if(matches(x, "[0-9]{10}[01][0-9][0-3][0-9]{4}[0-9Xx]"), f"{check} AND {day}"))


def is_phone(x: str) -> str:
    """Return the condition that ``x`` has the form of a mobile or fixed telephone number."""
    return _if(f"strlen({x}) BETWEEN 10 AND 17", matches(x, PHONE))


def is_mailbox(x: str) -> str:
    """Return the condition that ``x`` has the form of an e-mail address."""
    return _if(f"strlen({x}) <= {MAILBOX_BYTES_MAX}", _if(f"contains({x}, '@')", matches(x, MAILBOX)))


def is_padded(x: str) -> str:
    """Return the condition that ``x`` has a space at an end."""
    return f"(starts_with({x}, ' ') OR ends_with({x}, ' '))"


def is_bank_card(x: str) -> str:
    """Return the condition that ``x`` has 13 to 19 digits and passes the Luhn check."""
    padded = f"lpad({x}, 19, '0')"
    terms = (f"{_digit(padded, 19 - i, '0516273849' if i % 2 else '0123456789')}" for i in range(19))
    check = f"({' + '.join(terms)}) % 10 = 0"
    return _if(f"strlen({x}) BETWEEN 13 AND 19", _if(matches(x, "[0-9]{13,19}"), check))


def is_formula(x: str) -> str:
    """Return the condition that a spreadsheet would take ``x`` for a formula. Signed numbers are none."""
    # Comparing beginnings costs the engine far less than a pattern or a substring.
    begins = " OR ".join(f"({x} >= {literal(c)} AND {x} < {literal(chr(ord(c) + 1))})" for c in FORMULA_BEGINS)
    return _if(begins, f"NOT {matches(x, SIGNED_NUMBER)}")


def has_date_form(x: str, form: DateForm) -> str:
    """Return the condition that ``x`` is a date that exists, written as ``form``."""
    return f"({matches(x, DATES[form])} AND try_strptime({x}, {literal(form)}) IS NOT NULL)"


def has_timestamp_form(x: str) -> str:
    """Return the condition that ``x`` is a timestamp that exists."""
    return f"({matches(x, TIMESTAMP)} AND try_cast({x} AS TIMESTAMP) IS NOT NULL)"


def is_boolean(x: str) -> str:
    """Return the condition that ``x`` is a truth value."""
    return f"{x} IN ({_words(TRUE_WORDS + FALSE_WORDS)})"


_UNIT_WORDS = "|".join(unit for unit, _ in UNITS)
_OPEN, _CLOSE = r"[\s(（\x{3000}]*", r"[\s)）\x{3000}]*"
_AMOUNT_PARTS = rf"^\s*({AMOUNT_NUMBER}){_OPEN}({_UNIT_WORDS})?{_OPEN}([^\s()（）0-9]*){_CLOSE}$"
_CURRENCY_WORDS = "|".join(word for words in CURRENCIES.values() for word in words if word)
_AMOUNT = rf"\s*{AMOUNT_NUMBER}{_OPEN}(({_UNIT_WORDS}){_OPEN}({_CURRENCY_WORDS})?|{_CURRENCY_WORDS}){_CLOSE}"


def is_amount(x: str) -> str:
    """Return the condition that ``x`` is an amount with a unit or a currency: ``10(万美元)``.

    A bare number is none: it could be yuan or ten thousand yuan.
    """
    return matches(x, _AMOUNT)


def amount_parts(x: str) -> str:
    """Return number, unit and currency word of the amount ``x`` as one structure, taken apart once."""
    return f"regexp_extract({x}, {literal(_AMOUNT_PARTS)}, ['number', 'unit', 'word'])"


def currency(parts: str) -> str:
    """Return the ISO 4217 code of an amount's ``parts``; NULL when it is none. A unit without a currency means CNY."""
    named = " ".join(
        f"WHEN {parts}.word IN ({_words(words)}) THEN {literal(code)}" for code, words in CURRENCIES.items()
    )
    return f"CASE WHEN {parts}.number = '' OR {parts}.unit || {parts}.word = '' THEN NULL {named} END"


def amount(parts: str, known_currency: str) -> str:
    """Return an amount in units of its currency: ``1,323.2(万元人民币)`` is 13 232 000; NULL without a currency."""
    factor = " ".join(f"WHEN {literal(unit)} THEN {number}" for unit, number in UNITS)
    number = f"try_cast(replace({parts}.number, ',', '') AS DECIMAL(23,8))"
    product = f"{number} * CAST(CASE {parts}.unit {factor} ELSE 1 END AS DECIMAL(13,0))"
    return f"CASE WHEN {known_currency} IS NOT NULL THEN try_cast({product} AS {AMOUNT_TYPE}) END"


def typed(plan: ColumnPlan) -> str:
    """Return the value of a column as ``plan`` reads it. A value of another form stops the statement, without it."""
    x = identifier(plan.name)
    pattern, value = {
        DataType.TEXT: ("", x),
        DataType.INTEGER: (INTEGER, f"CAST({x} AS BIGINT)"),
        DataType.DECIMAL: (
            rf"-?(0|[1-9][0-9]*)(\.[0-9]{{1,{plan.scale}}})?",
            f"CAST({x} AS DECIMAL({plan.digits},{plan.scale}))",
        ),
        DataType.DATE: (
            DATES.get(plan.date_form or DateForm.ISO, ""),
            f"CAST(strptime({x}, {literal(plan.date_form or '')}) AS DATE)",
        ),
        DataType.TIMESTAMP: (TIMESTAMP, f"CAST({x} AS TIMESTAMP)"),
        DataType.BOOLEAN: ("|".join(TRUE_WORDS + FALSE_WORDS), f"{x} IN ({_words(TRUE_WORDS)})"),
    }[plan.data_type]
    if not pattern:
        return x
    return f"CASE WHEN {x} IS NULL THEN NULL WHEN {matches(x, pattern)} THEN {value} ELSE error('another form') END"
