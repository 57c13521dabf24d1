"""Makes the files of the city: about as dirty as real registers are, the same for the same seed."""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from examples.city import words
from gongshu.base.identifiers import (
    CREDIT_ALPHABET,
    credit_check_character,
    id_card_check_character,
    organisation_check_character,
)

ENTERPRISE_HEADER = (
    "企业名称", "统一社会信用代码", "注册日期", "企业类型", "法人代表", "注册资金", "经营范围", "所在省份", "地区", "注册地址",
)  # fmt: skip
PEOPLE_HEADER = ("姓名", "身份证号", "联系电话", "住址", "出生日期", "单位统一社会信用代码", "月缴费基数")

AREA_OF_NOBODY = "999999"
ENTERPRISE_FILES, PEOPLE_FILES = 4, 2
BROKEN_EVERY = 1_500  # lines, about
FIRST_DAY, LAST_DAY = date(1999, 1, 1), date(2025, 12, 31)
FIRST_BIRTH, LAST_BIRTH = date(1958, 1, 1), date(2005, 12, 31)
SCOPE_END_SHARE = 0.4
FOUNDED_SPREAD = 2.2  # the larger, the more enterprises are young
BASES = (4_200, 25_000)  # lowest and highest monthly contribution base, yuan
_WRONG_CHECKS = "0123456789X"


@dataclass(frozen=True)
class City:
    """The files that were made."""

    enterprise_files: tuple[Path, ...]
    people_files: tuple[Path, ...]


def credit_code(draw: Random, taken: set[str]) -> str:
    """Return a fresh code that passes GB 32100 and can belong to nobody: GB 11714 fails inside it."""
    while True:
        number = "MA" + "".join(draw.choices(CREDIT_ALPHABET, k=6))
        right = organisation_check_character(number)
        body = f"91{AREA_OF_NOBODY}{number}{draw.choice(_WRONG_CHECKS.replace(right, ''))}"
        if number not in taken:
            taken.add(number)
            return body + credit_check_character(body)


def id_number(draw: Random, born: date, taken: set[str]) -> str:
    """Return a fresh ID number of the area that nobody comes from."""
    while True:
        body = f"{AREA_OF_NOBODY}{born:%Y%m%d}{draw.randrange(1000):03d}"
        if body not in taken:
            taken.add(body)
            return body + id_card_check_character(body)


def person_name(draw: Random) -> str:
    """Return a name of two or three characters."""
    return draw.choice(words.SURNAMES) + "".join(draw.choices(words.GIVEN, k=draw.choice((1, 2, 2))))


def address(draw: Random, district: str) -> str:
    """Return an address in ``district``."""
    return f"{words.CITY}{district}{draw.choice(words.STREETS)}{draw.randrange(1, 400)}号"


def amount(draw: Random) -> str:
    """Return a registered capital in one of the spellings of real registers."""
    form = draw.choices([f for f, _ in words.AMOUNT_FORMS], [weight for _, weight in words.AMOUNT_FORMS])[0]
    ten_thousands = draw.choice(
        (1, 3, 5, 10, 20, 30, 50, 58, 100, 128, 200, 300, 500, 508, 1000, 1280, 2000, 5000, 12000)
    )
    exact = ten_thousands + draw.randrange(10_000) / 10_000
    return form.format(comma=f"{ten_thousands:,}", comma4=f"{exact:,.4f}", plain=ten_thousands)


def enterprise_row(draw: Random, code: str) -> tuple[str, ...]:
    """Return one registration."""
    district = draw.choices(words.DISTRICTS, words.DISTRICT_WEIGHTS)[0]
    kind, ending, _ = draw.choices(words.KINDS, [weight for *_, weight in words.KINDS])[0]
    trade, activities = draw.choice(words.TRADES)
    scope = "；".join(draw.sample(activities, k=draw.randrange(2, len(activities)))) + "。"
    if draw.random() < SCOPE_END_SHARE:
        scope = scope[:-1] + words.SCOPE_END
    name = f"{words.CITY}{draw.choice(words.WORDS)}{draw.choice(words.WORDS)}{draw.choice(words.WORDS)}{trade}{ending}"
    age = int((LAST_DAY - FIRST_DAY).days * (1 - draw.random() ** (1 / FOUNDED_SPREAD)))
    founded = LAST_DAY - timedelta(days=age)
    representative = "N/A" if draw.random() < 0.006 else person_name(draw)
    place = "N/A" if draw.random() < 0.0005 else address(draw, district)
    return (
        name, code, founded.isoformat(), kind, representative, amount(draw), scope, words.PROVINCE, district, place,
    )  # fmt: skip


def person_row(draw: Random, codes: list[str], taken: set[str]) -> tuple[str, ...]:
    """Return one insured person, employed by an enterprise of the city."""
    born = FIRST_BIRTH + timedelta(days=draw.randrange((LAST_BIRTH - FIRST_BIRTH).days))
    lowest, highest = BASES
    base = min(highest, int(draw.lognormvariate(9, 0.45)))
    return (
        person_name(draw), id_number(draw, born, taken), f"000{draw.randrange(10**8):08d}",
        address(draw, draw.choices(words.DISTRICTS, words.DISTRICT_WEIGHTS)[0]), born.isoformat(), draw.choice(codes),
        str(max(lowest, base)),
    )  # fmt: skip


def break_line(draw: Random, line: bytes) -> bytes:
    """Return ``line`` spoilt in one of the ways of real files."""
    first, rest = line.split(b",", 1)
    return draw.choice((
        first,  # cut off
        line + b",",  # one field too many
        first + b',"' + rest.replace(b'"', b""),  # a quote that nobody closes
        first + b'," "' + rest,  # a quote in the wrong place
        first + b"\xff\xfe," + rest,  # bytes that are no text
        first + b"\0," + rest,
        b"",
    ))  # fmt: skip


def write(draw: Random, path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]], encoding: str) -> Path:
    """Write rows as CSV, about one line in ``BROKEN_EVERY`` broken."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    lines = text.getvalue().encode(encoding).split(b"\n")
    for place in draw.sample(range(1, len(lines) - 1), k=min(len(rows) // 10, max(1, len(rows) // BROKEN_EVERY))):
        lines[place] = break_line(draw, lines[place])
    path.write_bytes(b"\n".join(lines))
    return path


def make_city(folder: Path, seed: int = 1, enterprises: int = 20_000, people: int = 50_000) -> City:
    """Write the files of a city into ``folder``: four of enterprises, the last in GB18030, and two of people.

    The same seed gives the same bytes. About one line in 1 500 is broken on purpose.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw, taken = Random(seed), set[str]()
    codes = [credit_code(draw, taken) for _ in range(enterprises)]
    rows = [enterprise_row(draw, code) for code in codes]
    enterprise_files = tuple(
        write(
            draw, folder / f"enterprises_{index + 1}.csv", ENTERPRISE_HEADER, rows[index::ENTERPRISE_FILES],
            "gb18030" if index == ENTERPRISE_FILES - 1 else "utf-8",
        )
        for index in range(ENTERPRISE_FILES)
    )  # fmt: skip
    ids = set[str]()
    persons = [person_row(draw, codes, ids) for _ in range(people)]
    people_files = tuple(
        write(draw, folder / f"people_{index + 1}.csv", PEOPLE_HEADER, persons[index::PEOPLE_FILES], "utf-8")
        for index in range(PEOPLE_FILES)
    )
    return City(enterprise_files, people_files)
