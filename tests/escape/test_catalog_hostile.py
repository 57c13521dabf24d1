"""Hostile files: a clear error or a quarantine, memory bounded, nothing lost, nothing executed, no value in a message."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Refused
from gongshu.base.ids import PartyId, PersonId, ResourceId
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.catalog.adapters import engine, expressions
from gongshu.catalog.types import Column, DataType, Limits, ResourceVersion

SUPPLIER = Actor(PersonId("clerk"), PartyId("bureau"), frozenset({Role.SUPPLIER}))
PEAK_BYTES_MAX = 768 * 1024 * 1024
LINE_BYTES = 1024**3


@pytest.fixture
def resource(sqlite_site: Site) -> ResourceId:
    return catalog.create_resource(
        sqlite_site, SUPPLIER, name="hostile", title="t", summary="s", theme="A0000", update_cycle="009", legal_basis="b"
    ).id  # fmt: skip


@pytest.fixture
def ingest(sqlite_site: Site, resource: ResourceId, tmp_path: Path):
    def run(data: bytes, limits: Limits | None = None) -> ResourceVersion:
        path = tmp_path / "hostile.csv"
        path.write_bytes(data)
        return catalog.ingest(sqlite_site, SUPPLIER, resource, [path], limits=limits)

    return run


def rows_of(site: Site, version: ResourceVersion) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(
            "FROM read_parquet($paths)", {"paths": [str(p) for p in catalog.version_files(site, version)]}
        ).fetchall()


def refusal(run) -> list[str]:
    with pytest.raises(Refused) as caught:
        run()
    return [reason.code for reason in caught.value.reasons]


def test_ten_thousand_columns_are_refused_by_number(ingest):
    data = b",".join(b"c%d" % n for n in range(10_000)) + b"\n" + b",".join([b"1"] * 10_000) + b"\n"
    assert refusal(lambda: ingest(data)) == ["columns-too-many"]


def test_many_columns_within_the_limit_are_read(sqlite_site, ingest):
    columns = 90  # more than the engine is asked about at once
    version = ingest(
        b",".join(b"c%d" % n for n in range(columns)) + b"\n" + b",".join(b"%d" % n for n in range(columns)) + b"\n"
    )
    assert rows_of(sqlite_site, version) == [tuple(range(columns))]
    assert [profile.column for profile in version.profile] == [f"c{n}" for n in range(columns)]


def test_mixed_encodings_and_nul_bytes_cost_their_lines_only(sqlite_site, ingest):
    good = "甲,市\n".encode() * 50
    version = ingest(
        "名,地\n".encode() + good + "乙,市\n".encode("gb18030") + good + b"a\0b,c\n" + good + b"\xff,\xfe\n"
    )
    assert (version.rows_in, version.rows_kept) == (153, 150)
    assert {c.code: c.lines for c in version.quarantine} == {"undecodable": 2, "nul-byte": 1}
    assert set(rows_of(sqlite_site, version)) == {("甲", "市")}


def test_formulas_are_plain_text_and_counted(sqlite_site, ingest):
    cells = ["=cmd|' /C calc'!A0", "+SUM(1)", "-x", "@import", "-5", "+86 591", "正常"]
    version = ingest(("n,值\n" + "".join(f'{n},"{cell}"\n' for n, cell in enumerate(cells))).encode())
    assert [row[1] for row in sorted(rows_of(sqlite_site, version))] == cells
    (formulas,) = [item for item in version.quality if item.rule == "no-formula"]
    assert (formulas.checked, formulas.failing) == (7, 5)


def test_empty_and_repeated_names_get_names_of_their_own_and_are_counted(sqlite_site, ingest):
    version = ingest(b"a,,A,a b,\n1,2,3,4,5\n")
    assert [c.name for c in version.manifest.columns] == ["a", "列2", "A_2", "a b", "列5"]
    (names,) = [item for item in version.quality if item.rule == "column-name"]
    assert (names.checked, names.failing) == (5, 3)
    assert rows_of(sqlite_site, version) == [(1, 2, 3, 4, 5)]


@pytest.mark.parametrize("name", [
    'x"; DROP TABLE t; --', "x' OR 1=1 --", "a\\", '{"k"}', "$1", "?", "select", "\u202e", "名" * 500, "filename", "file_row_number", "columns(*)", "COLUMNS('x')",
])  # fmt: skip
def test_a_hostile_column_name_is_a_name_and_nothing_else(sqlite_site, ingest, name):
    quoted = '"' + name.replace('"', '""') + '"'
    version = ingest(f"{quoted},金额\n1,10(万美元)\n2,20(万)\n".encode())
    assert version.rows_kept == 2
    assert sorted(row[0] for row in rows_of(sqlite_site, version)) == [1, 2]


def test_a_hostile_file_name_is_a_name_and_nothing_else(sqlite_site, resource, tmp_path):
    for number, name in enumerate(
        ["a'; DROP TABLE x; --.csv", 'b".csv', "c\n.csv", "*.csv", "d\udcff.csv", "é市{x}.csv"]
    ):
        path = tmp_path / name
        path.write_bytes(b"a,b\n1,2\nbroken\n")
        version = catalog.ingest(sqlite_site, SUPPLIER, resource, [path])
        assert (version.number, version.rows_kept, version.rows_quarantined) == (number + 1, 1, 1)


def test_a_wrong_file_is_given_up_after_a_named_number_of_lines(ingest):
    assert refusal(lambda: ingest(b"a,b\n" + b"x\n" * 11 + b"1,2\n", Limits(quarantine_lines_max=10))) == [
        "lines-unreadable"
    ]


def test_a_field_longer_than_a_field_may_be_is_set_aside(sqlite_site, ingest):
    limits = Limits(field_bytes_max=1000, record_bytes_max=3000)
    version = ingest(
        b"a,b\n1," + b"x" * 1001 + b'\n2,"' + b"y" * 999 + b'"\n3,' + b"z" * 1000 + b"\n4," + b"w" * 4000 + b"\n",
        limits,
    )
    assert {c.code: c.lines for c in version.quarantine} == {"field-too-long": 2, "line-too-long": 1}
    assert [row[0] for row in rows_of(sqlite_site, version)] == [3]


def test_the_engine_reaches_neither_other_files_nor_the_network(tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "work").mkdir()
    with pytest.raises(engine.EngineFault), engine.open_engine(tmp_path / "work", [], Limits()) as opened:
        opened.execute(f"FROM read_csv('{tmp_path / 'secret.csv'}')")
    for statement in (
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "ATTACH '/tmp/x.db'",
        "SET memory_limit = '1TB'",
    ):
        with pytest.raises(engine.EngineFault), engine.open_engine(tmp_path / "work", [], Limits()) as opened:
            opened.execute(statement)


def test_an_error_of_the_engine_says_nothing(tmp_path):
    (tmp_path / "work").mkdir()
    with pytest.raises(engine.EngineFault) as caught, engine.open_engine(tmp_path / "work", [], Limits()) as opened:
        opened.execute("SELECT CAST('秘密' AS INTEGER)")
    assert caught.value.args == ()
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("text", "amount", "currency"), [
    ("1,323.2000(万元人民币)", "13232000.0000", "CNY"), ("10(万美元)", "100000.0000", "USD"), ("200万人民币", "2000000.0000", "CNY"),
    ("1000万元", "10000000.0000", "CNY"), ("340(万)", "3400000.0000", "CNY"), ("5万人民币", "50000.0000", "CNY"), ("9((万港币))", "90000.0000", "HKD"),
    ("9(万人民币元)", "90000.0000", "CNY"), ("9.5(万元美元)", "95000.0000", "USD"), ("9(万香港元)", "90000.0000", "HKD"), ("9万日元", "90000.0000", "JPY"),
    ("3（万新加坡元）", "30000.0000", "SGD"), (" 3 万 ", "30000.0000", "CNY"), ("1.5亿元", "150000000.0000", "CNY"), ("3元", "3.0000", "CNY"),
    ("12", None, None), ("1,32万", None, None), ("万", None, None), ("-5万", None, None), ("5万贝壳", None, None), ("5万(约)", None, None),
    ("99999999999999999999万", None, "CNY"), ("", None, None), ("5万\n元", "50000.0000", "CNY"),
])  # fmt: skip
def test_amounts_are_read_in_every_spelling_of_the_registers_and_in_no_other(text, amount, currency):
    with duckdb.connect() as connection:
        parts = f"(SELECT {expressions.amount_parts('x')} AS p FROM (SELECT $text AS x))"
        named = f"(SELECT p, {expressions.currency('p')} AS c FROM {parts})"
        row = connection.execute(
            f"SELECT CAST({expressions.amount('p', 'c')} AS VARCHAR), c FROM {named}", {"text": text}
        ).fetchone()
    assert row == (amount, currency)


def test_what_counts_as_an_amount_is_what_can_be_read():
    units = ["", "(万)", "(万元人民币)", "万美元", "元", "亿元", "万贝壳", "人民币"]
    with duckdb.connect() as connection:
        for text in [f"{number}{unit}" for number in ("5", "1,000", "1.25", "x") for unit in units]:
            parts = f"(SELECT x, {expressions.amount_parts('x')} AS p FROM (SELECT $text AS x))"
            is_amount, code = connection.execute(
                f"SELECT {expressions.is_amount('x')}, {expressions.currency('p')} FROM {parts}", {"text": text}
            ).fetchone()
            assert is_amount == (code is not None), text


def test_dates_and_numbers_in_other_spellings_stay_text(sqlite_site, ingest):
    version = ingest("a,b,c,d\n2001-02-30,1e5,１２,inf\n2001-02-28,2,3,4\n".encode())
    assert [c.data_type for c in version.manifest.columns] == [DataType.TEXT] * 4
    assert version.manifest.columns[0] == Column("a", DataType.TEXT)
    assert rows_of(sqlite_site, version) == [("2001-02-30", "1e5", "１２", "inf"), ("2001-02-28", "2", "3", "4")]


MEASURE = """
import json, resource, sys
from pathlib import Path
from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Refused
from gongshu.base.tables import METADATA
from gongshu.catalog import service as catalog
from gongshu.server.wiring import make_site
home, *files = map(Path, sys.argv[1:])
site = make_site(home)
METADATA.create_all(site.db.engine)
clerk = Actor("clerk", "bureau", frozenset({Role.SUPPLIER}))
made = catalog.create_resource(site, clerk, name="long", title="t", summary="s", theme="A0000", update_cycle="009", legal_basis="b")
found = []
for file in files:
    try:
        version = catalog.ingest(site, clerk, made.id, [file])
        found.append([version.rows_in, version.rows_kept, {c.code: c.lines for c in version.quarantine}])
    except Refused as refused:
        found.append([reason.code for reason in refused.reasons])
print(json.dumps([found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def test_a_line_of_one_gigabyte_is_set_aside_in_bounded_memory(tmp_path):
    within, alone, quoted = (tmp_path / name for name in ("within.csv", "alone.csv", "quoted.csv"))
    for path, before, after in (
        (within, b"a,b\n1,2\n", b"\n3,4\n"),
        (alone, b"", b"\n3,4\n"),
        (quoted, b'a,b\n1,2\n5,"', b'"\n3,4\n'),
    ):
        with path.open("wb") as file:  # a hole in the file: a gigabyte that takes no room
            file.write(before)
            file.seek(LINE_BYTES, 1)
            file.write(after)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "home"), str(within), str(alone), str(quoted)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, peak = json.loads(done.stdout)
    assert found[0] == [3, 2, {"line-too-long": 1}]
    assert found[1] == ["header-unreadable"]
    assert found[2] == [3, 2, {"line-too-long": 1}]
    assert peak < PEAK_BYTES_MAX
