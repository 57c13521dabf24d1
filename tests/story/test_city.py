"""The synthetic city: the same for the same seed, checkable, impossible, and as dirty as real files."""

import csv
from pathlib import Path

import pytest

from examples.city import City, make_city
from examples.city.files import ENTERPRISE_HEADER, PEOPLE_HEADER
from gongshu.access.types import Actor, Role
from gongshu.base.identifiers import is_credit_code, is_id_card, organisation_check_character
from gongshu.base.ids import PartyId, PersonId
from gongshu.catalog import service as catalog
from gongshu.catalog.types import Meaning

ENTERPRISES, PEOPLE = 3000, 6000


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return make_city(tmp_path_factory.mktemp("city"), 7, ENTERPRISES, PEOPLE)


def read(path: Path, columns: int) -> list[list[str]]:
    raw = path.read_bytes().replace(b"\0", b"")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", "replace") if path.name == "enterprises_4.csv" else raw.decode("utf-8", "replace")
    rows = (next(csv.reader([line]), []) for line in text.split("\n"))
    return [row for row in rows if len(row) == columns]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(city, tmp_path):
    again = make_city(tmp_path / "again", 7, ENTERPRISES, PEOPLE)
    other = make_city(tmp_path / "other", 8, ENTERPRISES, PEOPLE)
    for one, same, different in zip(
        city.enterprise_files + city.people_files,
        again.enterprise_files + again.people_files,
        other.enterprise_files + other.people_files,
        strict=True,
    ):
        assert one.read_bytes() == same.read_bytes()
        assert one.read_bytes() != different.read_bytes()


def test_codes_pass_their_check_and_can_belong_to_nobody(city):
    codes = [
        row[1] for path in city.enterprise_files for row in read(path, len(ENTERPRISE_HEADER))[1:] if len(row[1]) == 18
    ]
    assert len(codes) > ENTERPRISES * 0.99
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert is_credit_code(code)
        assert organisation_check_character(code[8:16]) != code[16]


def test_people_have_numbers_of_nobody_and_telephones_that_ring_nowhere(city):
    codes = {row[1] for path in city.enterprise_files for row in read(path, len(ENTERPRISE_HEADER))}
    rows = [row for path in city.people_files for row in read(path, len(PEOPLE_HEADER))[1:] if len(row[1]) == 18]
    assert len(rows) > PEOPLE * 0.99
    assert len({row[1] for row in rows}) == len(rows)
    for row in rows:
        assert is_id_card(row[1])
        assert row[1].startswith("999999")
        assert row[1][6:14] == row[4].replace("-", "")
        assert row[2].startswith("000")
        assert row[6].isdigit()
    assert sum(row[5] in codes for row in rows) > PEOPLE * 0.98


def test_the_files_are_dirty_and_every_line_is_accounted_for(city, sqlite_site):
    supplier = Actor(PersonId("clerk"), PartyId("bureau"), frozenset({Role.SUPPLIER}))
    about = {"title": "t", "summary": "s", "theme": "B0000", "update_cycle": "004", "legal_basis": "b"}
    for name, files, total in (
        ("enterprise", city.enterprise_files, ENTERPRISES),
        ("person", city.people_files, PEOPLE),
    ):
        resource = catalog.create_resource(sqlite_site, supplier, name=name, **about)
        version = catalog.ingest(sqlite_site, supplier, resource.id, files)
        assert version.rows_in == total == version.rows_kept + version.rows_quarantined
        assert version.rows_quarantined
        if name == "enterprise":
            assert [source.encoding for source in version.manifest.sources] == ["utf-8", "utf-8", "utf-8", "gb18030"]
            nulls = {profile.column: profile.null_count for profile in version.profile}
            assert nulls["企业类型"]
            assert nulls["注册资金"]
            (unread,) = [item for item in version.quality if item.rule == "amount-with-unit"]
            assert unread.failing == 0
        else:
            meanings = {p.column: p.meaning for p in version.proposals}
            assert [meanings[name] for name in PEOPLE_HEADER] == [
                Meaning.PERSON_NAME, Meaning.ID_CARD, Meaning.PHONE, Meaning.ADDRESS, Meaning.DATE, Meaning.CREDIT_CODE, Meaning.AMOUNT,
            ]  # fmt: skip
