"""Worn columns: what keyed masks make of a version is written once, row beside row, and made anew when it was touched."""

import re
from pathlib import Path

import duckdb
import pytest

from gongshu.compute.adapters import folders, projections, worn
from gongshu.policies import service as policies
from gongshu.policies.service import Texts
from gongshu.policies.types import Mask, MaskKind

MANY_ROWS, ROWS = 140_000, 3_000
TEXT = 'CAST("data"."code" AS VARCHAR)'
PSEUDONYM, HASHED = Mask(MaskKind.PSEUDONYM, "aes"), Mask(MaskKind.KEYED_HASH)
SECRET = b"s" * 32


def sources_in(home: Path, rows: int) -> tuple[Path, ...]:
    """Write a version of two files of different size, with NULL, in several groups of rows."""
    folder = home / "data" / "people" / "v1"
    folder.mkdir(parents=True)
    made = "SELECT i, CASE WHEN i % 7 <> 0 THEN lpad(CAST(hash(i) % 99999999 AS VARCHAR), CAST(8 + i % 3 AS INTEGER), '0') END AS code"
    paths = (folder / "part-0001.parquet", folder / "part-0002.parquet")
    for path, span in zip(paths, ("range(20)", f"range(20, {rows})"), strict=True):
        with duckdb.connect() as engine:
            engine.sql(f"{made} FROM {span} AS t(i)").write_parquet(str(path), row_group_size=10_000)
    return paths


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, ...]:
    """Give a small version."""
    return sources_in(tmp_path / "home", ROWS)


def recipe(sources: tuple[Path, ...], secret: bytes = SECRET, condition: str = "") -> projections.Recipe:
    """Show each row with its code and both masked forms of it."""
    worn = (
        projections.Worn("worn:p", TEXT, PSEUDONYM, secret),
        projections.Worn('worn:"h', TEXT, HASHED, secret),
    )
    select = '"data"."i", "data"."code", "data"."worn:p" AS p, "data"."worn:""h" AS h, "data"."file_row_number" AS n'
    shelf = folders.worn_folder(sources[0].parents[3], sources[0])
    return projections.Recipe(sources, "data", select, condition, worn, shelf, has_places=True)


def written(made: projections.Recipe, target: Path) -> list[tuple[object, ...]]:
    """Write a projection, and return its rows."""
    projections.write(made, target)
    with duckdb.connect() as engine:
        return engine.read_parquet(str(target)).fetchall()


def shelf_of(sources: tuple[Path, ...]) -> Path:
    """Return where the worn columns of the version lie."""
    return sources[0].parents[3] / "worn" / "people" / "v1"


@pytest.mark.parametrize("condition", ["", '"data"."i" % 1000 BETWEEN 3 AND 8 AND "data"."code" IS NOT NULL'])
def test_each_row_wears_the_mask_of_its_own_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    monkeypatch.setattr(worn, "BATCHES_PER_FILE", 1)
    sources = sources_in(tmp_path / "home", MANY_ROWS)
    rows = written(recipe(sources, condition=condition), tmp_path / "out.parquet")
    assert all(len(list(folder.glob("*.parquet"))) > 1 for folder in shelf_of(sources).iterdir())
    kept = [i for i in range(MANY_ROWS) if not condition or (3 <= i % 1000 <= 8 and i % 7)]
    assert [row[0] for row in rows] == kept
    codes = Texts.of([str(row[1]) if row[1] is not None else None for row in rows])
    assert [row[2] for row in rows] == policies.wear(PSEUDONYM, SECRET, codes).values()
    assert [row[3] for row in rows] == policies.wear(HASHED, SECRET, codes).values()
    assert [row[4] for row in rows] == [i if i < 20 else i - 20 for i in kept]
    assert all((row[1] is None) == (row[2] is None) == (row[3] is None) for row in rows)


def test_a_column_is_written_once_and_by_its_owner_alone(sources: tuple[Path, ...], tmp_path: Path) -> None:
    first = written(recipe(sources), tmp_path / "first.parquet")
    files = {path: path.stat() for path in shelf_of(sources).rglob("*") if path.is_file()}
    assert {state.st_mode & 0o777 for state in files.values()} == {0o600}
    assert {folder.stat().st_mode & 0o777 for folder in shelf_of(sources).iterdir()} == {0o700}
    assert len([path for path in files if path.name == "seal"]) == 2
    assert written(recipe(sources), tmp_path / "later.parquet") == first
    later = {path: path.stat() for path in shelf_of(sources).rglob("*") if path.is_file()}
    assert {path: (s.st_ino, s.st_mtime_ns) for path, s in later.items()} == {
        path: (s.st_ino, s.st_mtime_ns) for path, s in files.items()
    }


@pytest.mark.parametrize("harm", ["exchange", "shorten", "take away", "unseal", "seal by hand"])
def test_what_was_touched_is_made_anew(sources: tuple[Path, ...], tmp_path: Path, harm: str) -> None:
    expected = written(recipe(sources), tmp_path / "first.parquet")
    one, other = sorted(folder for folder in shelf_of(sources).iterdir() if folder.is_dir())
    file = min(one.glob("*.parquet"))
    if harm == "exchange":
        file.write_bytes(min(other.glob("*.parquet")).read_bytes())
    elif harm == "shorten":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "take away":
        file.unlink()
    elif harm == "unseal":
        (one / "seal").unlink()
    else:
        (one / "seal").write_bytes((other / "seal").read_bytes())
    assert written(recipe(sources), tmp_path / "again.parquet") == expected
    assert len(list(shelf_of(sources).iterdir())) == 2


def test_with_another_key_the_columns_are_others_and_the_old_ones_go(sources: tuple[Path, ...], tmp_path: Path) -> None:
    first = written(recipe(sources), tmp_path / "first.parquet")
    names = {folder.name for folder in shelf_of(sources).iterdir()}
    other = written(recipe(sources, b"t" * 32), tmp_path / "other.parquet")
    assert not {row[3] for row in first if row[3]} & {row[3] for row in other}
    changed = {folder.name for folder in shelf_of(sources).iterdir()}
    assert len(changed) == 2
    assert not names & changed


def test_no_name_tells_of_a_column_or_a_value(sources: tuple[Path, ...], tmp_path: Path) -> None:
    written(recipe(sources), tmp_path / "first.parquet")
    assert all(re.fullmatch(r"[0-9a-f]{24}-[0-9a-f]{12}", folder.name) for folder in shelf_of(sources).iterdir())


def test_no_rows_give_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "data" / "people" / "v1" / "part-0001.parquet"
    path.parent.mkdir(parents=True)
    with duckdb.connect() as engine:
        engine.sql("SELECT 1 AS i, 'a' AS code WHERE false").write_parquet(str(path))
    assert written(recipe((path,)), tmp_path / "out.parquet") == []
    assert list(projections.read(recipe((path,)))) == []
