"""Whatever bytes come in: every physical line is kept or set aside, and what is kept is what Python's csv reads."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gongshu.base import identifiers
from gongshu.catalog.adapters import engine, expressions
from gongshu.catalog.adapters.dialect import Opening, open_source
from gongshu.catalog.adapters.scanner import SourceScan, scan_source
from gongshu.catalog.types import NULL_WORDS, Fault, Limits, SourceFault

SMALL = Limits(block_bytes=48, record_bytes_max=160, record_lines_max=5, field_bytes_max=80)
CLOSE = replace(SMALL, field_bytes_max=-1)  # no block is ever accepted as a whole: every line is looked at
WIDE = Limits(block_bytes=64, record_bytes_max=100_000, record_lines_max=1000, field_bytes_max=100_000)
Rows = list[tuple[str | None, ...]]

each_in_its_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

nasty = st.sampled_from([
    b"a", b"b,c", b",", b";", b"\t", b'"', b'""', b'","', b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\0", b" ", b"\xff", b"\xef\xbb\xbf",
    "市".encode(), "市".encode("gb18030"), b'"x\ny"', b'x,"y"\n', b"1,2\n", b"1,2\n", b'"q""q",2\n', b"N/A,\n", b"z" * 90,
])  # fmt: skip
any_bytes = st.one_of(st.binary(max_size=300), st.lists(nasty, max_size=60).map(b"".join))


def scan(folder: Path, data: bytes, limits: Limits) -> tuple[Opening, SourceScan] | SourceFault:
    """Read ``data`` as a file with a header."""
    for left in folder.glob("read*"):
        left.unlink()
    source = folder / "source.csv"
    source.write_bytes(data)
    opening = open_source(source, limits)
    if isinstance(opening, SourceFault):
        return opening
    found = scan_source(
        source, opening, columns=len(opening.cells), has_header=True, stem=folder / "read", limits=limits
    )
    return found if isinstance(found, SourceFault) else (opening, found)


def read_back(folder: Path, opening: Opening, found: SourceScan) -> Rows:
    """Return what the engine reads in place of the source."""
    names = [f"c{place}" for place in range(len(opening.cells))]
    with engine.open_engine(folder, [found.path], Limits()) as opened:
        return opened.execute(f"FROM {engine._reading(found, names, Limits())}").fetchall()


def set_aside(found: SourceScan) -> list[tuple[int, Fault]]:
    """Return the lines that were set aside with the reason of each."""
    with found.quarantine.open(encoding="utf-8", newline="") as file:
        return [(int(row[1]), Fault(row[2])) for row in csv.reader(file)]


@each_in_its_folder
@given(data=any_bytes)
def test_every_record_is_kept_or_set_aside_and_the_engine_agrees(tmp_path: Path, data: bytes) -> None:
    for limits in (SMALL, CLOSE, WIDE):
        result = scan(tmp_path, b"h,i\n" + data, limits)
        assert not isinstance(result, SourceFault)
        opening, found = result
        aside = set_aside(found)
        rows = read_back(tmp_path, opening, found)
        source = found.source
        assert source.rows_in == source.rows_kept + source.rows_quarantined
        assert len(rows) == source.rows_kept
        assert len(aside) == source.rows_quarantined == sum(found.faults.values())
        lines = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
        numbers = [line for line, _ in aside]
        assert numbers == sorted(set(numbers))
        assert all(2 <= line <= lines + 1 for line in numbers)
        # Each line is one that was set aside or part of exactly one kept record.
        assert source.rows_kept + source.rows_quarantined <= lines
        if b'"' not in data:
            assert source.rows_in == lines


@each_in_its_folder
@given(data=any_bytes)
def test_blocks_taken_as_a_whole_give_what_reading_each_line_gives(tmp_path: Path, data: bytes) -> None:
    seen = []
    for limits in (WIDE, replace(WIDE, field_bytes_max=-1), replace(WIDE, block_bytes=7)):
        result = scan(tmp_path, data, limits)
        if isinstance(result, SourceFault):
            seen.append((result.code, None))
            continue
        opening, found = result
        faults = [f for f in set_aside(found) if f[1] is not Fault.FIELD_TOO_LONG]
        seen.append((faults, None) if limits.field_bytes_max < 0 else (faults, read_back(tmp_path, opening, found)))
    assert seen[0] == seen[2]
    if seen[1][1] is not None:
        assert seen[0] == seen[1]


text = st.text(
    st.one_of(st.sampled_from("ab,;\t\"'\n 市公司é-=+.0"), st.characters(codec="utf-8", exclude_characters="\0\r")),
    max_size=8,
)


@each_in_its_folder
@given(
    rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[text] * n), min_size=1, max_size=12)),
    delimiter=st.sampled_from(",\t;"), line_end=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]), block=st.sampled_from([16, 64, 100_000]),
)  # fmt: skip
def test_clean_records_are_read_as_python_reads_them(
    tmp_path: Path,
    *,
    rows: list[tuple[str, ...]],
    delimiter: str,
    line_end: str,
    quoting: int,
    encoding: str,
    block: int,
) -> None:
    header = tuple(f"列{place}" for place in range(len(rows[0])))
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows([header, *rows])  # type: ignore[arg-type]
    data = written.getvalue().encode(encoding)
    assume(len(header) > 1 or delimiter == ",")
    result = scan(tmp_path, data, replace(WIDE, block_bytes=block))
    assert not isinstance(result, SourceFault)
    opening, found = result
    assert opening.cells == header
    if opening.encoding != encoding.removesuffix("-sig"):
        assume(False)  # a handful of bytes can be both
    expected = [tuple(None if cell in NULL_WORDS else cell for cell in row) for row in rows]
    assert set_aside(found) == []
    assert read_back(tmp_path, opening, found) == expected


good_lines = st.sampled_from(["甲,1,x", "乙,2,y", '丙,"3,5",z', '"丁""丁",4,w', "N/A,,", '戊,"5\n6",v'])
bad_lines = st.sampled_from([
    (b"only", Fault.FIELD_COUNT), (b"a,b,c,d", Fault.FIELD_COUNT), (b'a,"b"c,d', Fault.BROKEN_QUOTE), (b'a"b,c,d', Fault.BROKEN_QUOTE),
    (b"a,\xff\xfe,c", Fault.UNDECODABLE), (b"a,\0,c", Fault.NUL_BYTE), (b"", Fault.EMPTY_LINE), (b"a,b\rc,d", Fault.LONE_CARRIAGE_RETURN),
    (b"a," + b"b" * 200_000 + b",c", Fault.LINE_TOO_LONG),
])  # fmt: skip


@each_in_its_folder
@given(lines=st.lists(st.one_of(good_lines, bad_lines), max_size=30), block=st.sampled_from([16, 512, 100_000]))
def test_each_broken_line_is_named_and_no_good_one_is_lost(tmp_path: Path, lines: list[object], block: int) -> None:
    data, number, expected, kept = "甲,乙,丙\n".encode(), 2, [], ""
    for line in lines:
        if isinstance(line, str):
            data += line.encode() + b"\n"
            kept += line + "\n"
            number += 1 + line.count("\n")
        else:
            raw, fault = line  # type: ignore[misc]
            data += raw + b"\n"
            expected.append((number, fault))
            number += 1
    result = scan(tmp_path, data, replace(WIDE, block_bytes=block))
    assert not isinstance(result, SourceFault)
    opening, found = result
    assert set_aside(found) == expected
    rows = [
        tuple(None if cell in NULL_WORDS else cell for cell in row) for row in csv.reader(io.StringIO(kept, newline=""))
    ]
    assert read_back(tmp_path, opening, found) == rows


@each_in_its_folder
@given(before=st.lists(good_lines, max_size=8), after=st.lists(good_lines, max_size=8))
def test_a_quote_that_nobody_closes_costs_one_line(tmp_path: Path, before: list[str], after: list[str]) -> None:
    kept = "".join(f"{line}\n" for line in (*before, *after))
    data = (
        "甲,乙,丙\n"
        + "".join(f"{line}\n" for line in before)
        + '己,"没有闭合,x\n'
        + "".join(f"{line}\n" for line in after)
    )
    result = scan(tmp_path, data.encode(), WIDE)
    assert not isinstance(result, SourceFault)
    _, found = result
    place = 2 + len(before) + sum(line.count("\n") for line in before)
    assert set_aside(found) == [(place, Fault.UNCLOSED_QUOTE)]
    assert found.source.rows_kept == len(list(csv.reader(io.StringIO(kept, newline=""))))


codes = st.one_of(
    st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=17, max_size=17).map(lambda b: b + identifiers.credit_check_character(b)),
    st.text("0123456789", min_size=17, max_size=17).map(lambda b: b + identifiers.id_card_check_character(b)),
    st.tuples(st.dates(), st.integers(0, 999)).map(lambda t: f"999999{t[0]:%Y%m%d}{t[1]:03d}").filter(lambda b: len(b) == 17)
    .map(lambda b: b + identifiers.id_card_check_character(b)),
    st.text("0123456789Xx", min_size=12, max_size=20),
    st.text("0123456789ABIOSVZX市", min_size=17, max_size=19),
)  # fmt: skip


@settings(max_examples=20)
@given(values=st.lists(codes, min_size=1, max_size=40))
def test_the_engine_checks_codes_as_the_rules_do(values: list[str]) -> None:
    duckdb = pytest.importorskip("duckdb")
    checks = f"{expressions.is_credit_code('v')}, {expressions.is_id_card('v')}, {expressions.is_bank_card('v')}"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT v, {checks} FROM (SELECT unnest($values) AS v)", {"values": values}
        ).fetchall()
    for value, credit, card, bank in rows:
        assert (credit, card, bank) == (
            identifiers.is_credit_code(value), identifiers.is_id_card(value), identifiers.is_bank_card(value)
        ), value  # fmt: skip
