"""The engine makes the same key file as plain Python does, whatever the keys look like."""

import random
from dataclasses import replace

import duckdb
import pytest

from gongshu.compute.adapters.joint import keys
from gongshu.compute.adapters.projections import Recipe
from gongshu.compute.rules import joint
from tests.rules.test_compute_joint import BOTH

ALPHABET = "AZ09az-_ ~`{　ａＢ·•é企"
RECIPE = Recipe((), "data", '"data"."code" AS "raw:code"', "")


@pytest.fixture
def table(tmp_path):
    """Give what writes texts as a source of a projection."""

    def write(texts):
        path = tmp_path / "source.parquet"
        with duckdb.connect() as engine:
            engine.execute("CREATE TABLE made AS SELECT unnest(CAST(? AS VARCHAR[])) AS code", [texts])
            engine.table("made").write_parquet(str(path))
        return replace(RECIPE, sources=(path,))

    return write


def hashing():
    record = joint.recorder(BOTH, 0)

    def slowly(key):
        made = record(key, None)
        return None if made is None else made[0]

    return keys.Hashing(joint.key_hash_sql(BOTH.nonce, "k"), joint.PLAIN_KEY, slowly)


def lines(path):
    head, *rows = path.read_text().splitlines()
    assert head == "key"
    assert rows == sorted(rows)
    return set(rows)


def test_both_ways_make_the_same_hashes_and_find_every_spelling_again(table, tmp_path):
    draw = random.Random(7)
    texts = ["".join(draw.choices(ALPHABET, k=draw.randrange(5))) for _ in range(3_000)] + [None]
    target, kept = tmp_path / "keys.csv", tmp_path / "kept.parquet"
    count = keys.write_plain_keys(table(texts), "raw:code", hashing(), target, kept, rows_max=10_000, is_padded=False)
    record = joint.recorder(BOTH, 0)
    plain = {made[0].hex() for text in texts if (made := record(text, None)) is not None}
    assert len(lines(target) - plain) == 1  # one random key
    assert plain < lines(target)
    assert count == len(plain)
    chosen = set(draw.sample(sorted(plain), len(plain) // 3))
    matched = tmp_path / "matched.csv"
    matched.write_text("key\n" + "".join(f"{key}\n" for key in chosen))
    parquet, shown = tmp_path / "result.parquet", tmp_path / "result.csv"
    rows = keys.write_matched(kept, matched, 'a "code"', parquet, shown)
    expected = sorted({t for t in texts if (made := record(t, None)) is not None and made[0].hex() in chosen})
    with duckdb.connect() as engine:
        found = engine.read_parquet(str(parquet))
        assert found.columns == ['a "code"']
        assert sorted(row[0] for row in found.fetchall()) == expected
    assert rows == len(expected)


@pytest.mark.parametrize(
    ("rows_max", "is_padded", "expected"), [(50, False, 51), (50, True, 51), (70, True, 71), (250_000, True, 250_001)]
)
def test_padding_brings_a_file_to_its_agreed_size(table, tmp_path, rows_max, is_padded, expected):
    source = table([f"K{number}" for number in range(50)] * 2)
    target = tmp_path / "keys.csv"
    kept = tmp_path / "kept.parquet"
    assert keys.write_plain_keys(
        source, "raw:code", hashing(), target, kept, rows_max=rows_max, is_padded=is_padded
    ) == 50  # fmt: skip
    assert len(lines(target)) == expected
    record = joint.recorder(BOTH, 0)
    by_row = tmp_path / "by_row.csv"
    made = [record(f"K{number}", None) for number in range(50)]
    assert keys.write_keys(made, by_row, has_values=False, rows_max=rows_max, is_padded=is_padded) == 50
    assert len(lines(by_row)) == expected
    assert len(lines(by_row) & lines(target)) == 50


def test_more_keys_than_agreed_are_not_brought(table, tmp_path):
    source = table([f"K{number}" for number in range(51)])
    with pytest.raises(keys.KeysUnfit):
        keys.write_plain_keys(
            source, "raw:code", hashing(), tmp_path / "k", tmp_path / "h", rows_max=50, is_padded=True
        )


def test_what_the_engine_says_of_a_failure_is_not_passed_on(tmp_path):
    source = replace(RECIPE, sources=(tmp_path / "absent.parquet",))
    with pytest.raises(keys.KeysUnfit) as caught:
        keys.write_plain_keys(
            source, "raw:code", hashing(), tmp_path / "k", tmp_path / "h", rows_max=9, is_padded=False
        )
    assert str(caught.value) == ""
    assert caught.value.__cause__ is None
