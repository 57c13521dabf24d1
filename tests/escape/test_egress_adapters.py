"""The modules that touch rows on their way out: what they find, what they copy, what they never hand on."""

import hashlib
from datetime import date
from pathlib import Path

import duckdb
import lmdb
import pytest

from gongshu.compute.types import OutputFile
from gongshu.egress.adapters import files, hashes, tables
from gongshu.egress.types import HashesMeasure


@pytest.fixture
def table(tmp_path: Path):
    """Give a function that writes a query's rows to a Parquet file."""

    def write(query: str, name: str = "table.parquet") -> Path:
        path = tmp_path / name
        with duckdb.connect() as engine:
            engine.sql(query).write_parquet(str(path))
        return path

    return write


# ---------------------------------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("91350000MA0000000F", {"credit_code"}), ("公司91350000MA0000000F有限", {"credit_code"}),
        ("91350000ma0000000f", {"credit_code"}), ("91350000MA0000000X", set()), ("A91350000MA0000000F", set()),
        ("999999190001010015", {"id_card"}), ("99999919000101004x", {"id_card"}), ("身份证：999999190001010015。", {"id_card"}),
        ("999999190001010016", set()), ("999999200102290008", set()), ("9999991900010100151", set()),
        ("13800138000", {"phone"}), ("电话 13800138000，", {"phone"}), ("138001380001", set()), ("12800138000", set()),
        ("a.b@example.cn", {"mailbox"}), ("@example", set()), ("福建省", set()), ("", set()),
        ("91350000MA0000000F 13800138000", {"credit_code", "phone"}),
    ],
)  # fmt: skip
def test_identifiers_are_known_by_their_check_digits(cell, expected):
    assert tables.identifiers_in(cell) == expected


# --------------------------------------------------------------------------------------------------------- tables


def test_a_table_is_measured_by_column(table):
    path = table(
        "SELECT * FROM (VALUES ('福建', '=1+1', 3, 2.5, DATE '2026-01-01', '13800138000'), ('山东', '-1', 0, 0.0, NULL, NULL),"
        " ('广西', '-cmd', 40, 11, NULL, NULL)) t(region, note, n, share, day, \"odd \"\"name\")"
    )
    measured = tables.measure_table(path, 10)
    columns = {column.name: column for column in measured.columns}
    assert measured.rows == 3
    assert (columns["n"].is_whole, columns["n"].below_min, columns["n"].zeros) == (True, 1, 1)
    assert (columns["share"].is_whole, columns["share"].is_number) == (False, True)
    assert columns["note"].formulas == 2, "a negative number is no formula"
    assert columns['odd "name'].identifiers == {"phone": 1}
    assert columns["day"].formulas == columns["region"].formulas == 0


def test_a_csv_file_is_measured_too(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("region,n\n福建,12\n", "utf-8")
    assert [column.name for column in tables.measure_table(path, 10).columns] == ["region", "n"]


def test_what_is_no_table_has_no_measure(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"not a table")
    assert tables.measure_table(path, 10) is None


SOURCE = (
    "SELECT 'c' || i AS code, 'r' || (i % 2) AS region, i AS capital, DATE '2020-01-01' + CAST(i AS INTEGER) AS day"
    " FROM range(100) t(i)"
)


@pytest.mark.parametrize(
    ("query", "shown", "columns_min", "expected"),
    [
        # The very rows, in another order, renamed, with types that are called otherwise.
        ("SELECT CAST(capital AS DOUBLE) AS x, code AS y, region AS z FROM source ORDER BY code DESC LIMIT 30",
         {"x": "capital", "y": "code", "z": "region"}, 3, 30),
        # One column is made up; the others still give the rows away.
        ("SELECT code AS y, capital AS x, day AS d, 'zzz' AS z FROM source LIMIT 30",
         {"x": "capital", "y": "code", "z": "region", "d": "day"}, 3, 30),
        # Groups of many rows are no copy of any of them.
        ("SELECT region AS z FROM source GROUP BY region", {"z": "region"}, 1, 0),
        ("SELECT region AS z, sum(capital) AS x FROM source GROUP BY region", {"x": "capital", "z": "region"}, 2, 0),
        ("SELECT code AS y FROM source LIMIT 7", {"y": "code"}, 1, 7),
        ("SELECT code AS y FROM source LIMIT 7", {"y": "code"}, 2, 0),
        ("SELECT 1 AS n", {}, 1, 0),
    ],
)  # fmt: skip
def test_rows_of_the_source_are_recognised(table, query, shown, columns_min, expected):
    source = table(SOURCE, "source.parquet")
    path = table(query.replace("source", f"read_parquet('{source}')"))
    found = tables.count_matching(path, shown, (source,), columns_min=columns_min, rows_below=10)
    assert found == expected


def test_without_sources_nothing_matches(table):
    assert tables.count_matching(table("SELECT 1 AS n"), {"n": "n"}, (), columns_min=1, rows_below=10) == 0


def test_a_preview_is_paged_and_shows_every_value_as_text(table):
    path = table("SELECT i AS n, DATE '2026-01-01' AS day, NULL AS nothing FROM range(5) t(i)")
    first = tables.preview(path, limit=2, offset=0)
    assert (first.columns, first.total, first.next_after) == (("n", "day", "nothing"), 5, "2")
    assert first.rows[0] == ("0", str(date(2026, 1, 1)), None)
    assert tables.preview(path, limit=2, offset=4).next_after == ""


# --------------------------------------------------------------------------------------------------------- hashes


def digest(text: str, size: int = 32) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


@pytest.fixture
def artifact(tmp_path: Path):
    """Give a function that writes an artifact of 200 records of two hashes, some of them replaced."""

    def write(**changed: tuple[bytes, bytes]) -> Path:
        records = {
            str(n): (digest(f"k{n}", 31) + b"\0", digest(f"a{n}") + digest(f"b{n}")) for n in range(200)
        } | changed
        path = tmp_path / "hashes.lmdb"
        with lmdb.open(str(path), subdir=False, map_size=1 << 22) as environment, environment.begin(write=True) as tx:
            tx.put(bytes(32), digest("salt") * 2)
            for key, value in records.values():
                tx.put(key, value)
        return path

    return write


def test_an_artifact_of_hashes_is_clean(artifact):
    assert hashes.measure_hashes(artifact(), 2) == HashesMeasure(201, 0, 0)


@pytest.mark.parametrize("ordinal", [b"\0", b"\1"])
def test_a_readable_key_is_no_hash(artifact, ordinal):
    readable = b"91350000MA0000000F".ljust(31, b"\0") + ordinal
    assert hashes.measure_hashes(artifact(**{"7": (readable, digest("a") * 2)}), 2).odd_keys == 1


@pytest.mark.parametrize(
    "value", [digest("a") + "某某公司".encode().ljust(32, b"\0"), digest("a"), digest("a") * 3, b"x" * 64, bytes(64)]
)
def test_a_readable_or_longer_record_is_no_hash(artifact, value):
    assert hashes.measure_hashes(artifact(**{"7": (digest("k", 31) + b"\0", value)}), 2).odd_values == 1


def test_a_short_key_is_no_hash(artifact):
    assert hashes.measure_hashes(artifact(**{"7": (b"k", digest("a") * 2)}), 2).odd_keys == 1


def test_what_is_no_artifact_has_no_measure(tmp_path):
    path = tmp_path / "hashes.lmdb"
    path.write_bytes(b"junk" * 5000)
    assert hashes.measure_hashes(path, 2) is None


# ---------------------------------------------------------------------------------------------------------- files


def declared(folder: Path, *names: str) -> tuple[OutputFile, ...]:
    return tuple(OutputFile(name, files.sha256_of(folder / name), (folder / name).stat().st_size, 1) for name in names)


@pytest.fixture
def quarantine(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"a" * 3_000_000)
    (folder / "b.json").write_bytes(b"{}")
    return folder


def test_a_release_is_byte_for_byte_what_was_reviewed(quarantine, tmp_path):
    given = declared(quarantine, "a.parquet", "b.json")
    target = tmp_path / "releases" / "release-1"
    assert files.copy_out(quarantine, target, given) == ""
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        path.name: path.read_bytes() for path in quarantine.iterdir()
    }
    assert files.digests(target, given) == {file.name: file.sha256 for file in given}
    assert [path.name for path in target.parent.iterdir()] == ["release-1"]


def test_one_changed_byte_leaves_no_release_behind(quarantine, tmp_path):
    given = declared(quarantine, "a.parquet", "b.json")
    (quarantine / "b.json").write_bytes(b"{ ")
    target = tmp_path / "releases" / "release-1"
    assert files.copy_out(quarantine, target, given) == "b.json"
    assert list(target.parent.iterdir()) == []


def test_a_link_is_neither_hashed_nor_copied(quarantine, tmp_path):
    given = declared(quarantine, "b.json")
    elsewhere = tmp_path / "secret"
    elsewhere.write_bytes(b"{}")  # the same bytes, somewhere else
    (quarantine / "b.json").unlink()
    (quarantine / "b.json").symlink_to(elsewhere)
    assert files.digests(quarantine, given) == {}
    assert files.copy_out(quarantine, tmp_path / "releases" / "r", given) == "b.json"
    assert "b.json" in files.strays(quarantine, given)


def test_a_name_that_leads_elsewhere_has_no_digest(quarantine):
    assert files.digests(quarantine, (OutputFile("../secret", "a", 1, 1),)) == {}


def test_what_a_job_did_not_declare_is_a_stray(quarantine):
    given = declared(quarantine, "a.parquet")
    (quarantine / "folder").mkdir()
    assert files.strays(quarantine, given) == ("b.json", "folder")
    assert files.strays(quarantine / "missing", given) == ()


def test_a_half_finished_copy_of_an_earlier_run_is_replaced(quarantine, tmp_path):
    given = declared(quarantine, "b.json")
    draft = tmp_path / "releases" / ".release-1.draft"
    draft.mkdir(parents=True)
    (draft / "b.json").write_bytes(b"half")
    assert files.copy_out(quarantine, tmp_path / "releases" / "release-1", given) == ""
    assert not draft.exists()
