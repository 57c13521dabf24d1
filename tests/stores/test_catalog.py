"""A resource from its description to verified files, on both stores."""

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.identifiers import credit_check_character
from gongshu.base.ids import PartyId, PersonId, ResourceId
from gongshu.base.paging import FIRST_PAGE, PageRequest
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.catalog.adapters import folders
from gongshu.catalog.types import ColumnGrade, DataType, Dimension, Fault, Meaning, Resource, ResourceVersion
from gongshu.policies.types import ColumnPolicy, Grade, ResourcePolicy, Use

SUPPLIER = Actor(PersonId("clerk"), PartyId("bureau"), frozenset({Role.SUPPLIER}), "经办人")
RIVAL = Actor(PersonId("rival"), PartyId("other-bureau"), frozenset({Role.SUPPLIER}))
OPERATOR = Actor(PersonId("op"), PartyId("operator"), frozenset({Role.OPERATOR}))
AUDITOR = Actor(PersonId("aud"), PartyId("office"), frozenset({Role.AUDITOR}))
CODES = ("91350000MA0000000F", "11450000MA0000001H", "12450000MA0000002H", "11450100MA0000003W")
GOOD = f"""企业名称,统一社会信用代码,注册日期,注册资金,员工数,电话
甲有限公司,{CODES[0]},2001-02-03,"1,323.2000(万元人民币)",5,05911234567
乙有限公司,{CODES[1]},2002-02-03,10(万美元),6,N/A
丙有限公司,{CODES[2]},2003-02-03,N/A,7,05911234568
丙有限公司,{CODES[2]},2003-02-03,5万人民币,8,=1+2
"""
SECRET = "不可外传的内容"


def create(site: Site, name: str = "enterprise") -> Resource:
    return catalog.create_resource(
        site, SUPPLIER, name=name, title="企业登记", summary="登记信息", theme="B0000", update_cycle="004", legal_basis="条例"
    )  # fmt: skip


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows_of(site: Site, version: ResourceVersion, sql: str) -> list[tuple[object, ...]]:
    paths = [str(path) for path in catalog.version_files(site, version)]
    with duckdb.connect() as connection:
        return connection.execute(sql.replace("$data", "read_parquet($paths)"), {"paths": paths}).fetchall()


def refusal(run) -> list[str]:
    with pytest.raises(Refused) as caught:
        run()
    return [reason.code for reason in caught.value.reasons]


def grades_of(version: ResourceVersion) -> tuple[ColumnGrade, ...]:
    return tuple(ColumnGrade(p.column, p.meaning, p.grade) for p in version.proposals)


def last_entry(site: Site):
    return audit.list_entries(site, AUDITOR, FIRST_PAGE).rows[0]


def test_a_file_becomes_a_typed_version_and_every_line_is_accounted_for(site, tmp_path):
    resource = create(site)
    broken = (
        GOOD + f"{SECRET},只有两个\n" + "\n" + '丁,"没有闭合,,,,\n' + f"戊有限公司,{CODES[3]},2004-02-03,3(万),9,\n"
    )
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, broken)])
    assert (version.number, version.rows_in, version.rows_kept, version.rows_quarantined) == (1, 8, 5, 3)
    assert {c.code: c.lines for c in version.quarantine} == {"field-count": 1, "empty-line": 1, "unclosed-quote": 1}
    assert {c.name: c.data_type for c in version.manifest.columns} == {
        "企业名称": DataType.TEXT, "统一社会信用代码": DataType.TEXT, "注册日期": DataType.DATE, "注册资金": DataType.TEXT,
        "注册资金_数额": DataType.DECIMAL, "注册资金_币种": DataType.TEXT, "员工数": DataType.INTEGER, "电话": DataType.TEXT,
    }  # fmt: skip
    amounts = rows_of(site, version, "SELECT 注册资金, 注册资金_数额::VARCHAR, 注册资金_币种 FROM $data")
    assert amounts == [
        ("1,323.2000(万元人民币)", "13232000.0000", "CNY"), ("10(万美元)", "100000.0000", "USD"), (None, None, None),
        ("5万人民币", "50000.0000", "CNY"), ("3(万)", "30000.0000", "CNY"),
    ]  # fmt: skip
    proposals = {p.column: (p.meaning, p.grade) for p in version.proposals}
    assert proposals["统一社会信用代码"] == (Meaning.CREDIT_CODE, Grade.DIRECT_IDENTIFIER)
    assert proposals["企业名称"] == (Meaning.ORGANISATION_NAME, Grade.DIRECT_IDENTIFIER)
    assert proposals["注册日期"] == (Meaning.DATE, Grade.QUASI_IDENTIFIER)
    quality = {(item.dimension, item.rule, item.column): (item.checked, item.failing) for item in version.quality}
    assert quality[Dimension.NORMATIVITY, "line-readable", ""] == (8, 3)
    assert quality[Dimension.COMPLETENESS, "value-present", "注册资金"] == (5, 1)
    assert quality[Dimension.NORMATIVITY, "no-formula", "电话"] == (3, 1)
    assert catalog.get_resource(site, SUPPLIER, resource.id).latest_version == 1
    entry = last_entry(site)
    assert (entry.action, entry.subject, entry.facts["rows_quarantined"]) == ("resource.ingest", version.ref, "3")


def test_values_enter_neither_the_control_database_nor_the_audit_log(site, tmp_path):
    resource = create(site)
    catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD + f"{SECRET},只有两个\n")])
    kept = repr(catalog.list_versions(site, SUPPLIER, resource.id, FIRST_PAGE)) + repr(
        audit.list_entries(site, AUDITOR, FIRST_PAGE)
    )
    for value in (SECRET, CODES[0], "甲有限公司", "05911234567", "1,323"):
        assert value not in kept


def test_what_stood_in_a_quarantined_line_is_for_the_suppliers_own_people(site, tmp_path):
    resource = create(site)
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD + f"{SECRET},只有两个\n\n")])
    lines = catalog.list_quarantine(site, SUPPLIER, resource.id, 1, FIRST_PAGE).rows
    assert [(line.source, line.line, line.code, line.raw) for line in lines] == [
        ("a.csv", 6, Fault.FIELD_COUNT, f"{SECRET},只有两个"), ("a.csv", 7, Fault.EMPTY_LINE, ""),
    ]  # fmt: skip
    first = catalog.list_quarantine(site, SUPPLIER, resource.id, 1, PageRequest(1))
    assert [
        line.line
        for line in catalog.list_quarantine(site, SUPPLIER, resource.id, 1, PageRequest(1, first.next_after)).rows
    ] == [7]
    for stranger in (RIVAL, OPERATOR):
        assert refusal(lambda who=stranger: catalog.list_quarantine(site, who, resource.id, 1, FIRST_PAGE)) == [
            "not-found"
        ]
    catalog.confirm_classification(site, SUPPLIER, resource.id, grades_of(version))
    catalog.set_uses(site, SUPPLIER, resource.id, ResourcePolicy((), ("统一社会信用代码",)), frozenset())
    lines = catalog.list_quarantine(site, OPERATOR, resource.id, 1, FIRST_PAGE).rows
    assert [(line.line, line.reason.en, line.raw) for line in lines] == [
        (6, "The number of fields is not that of the header.", ""), (7, "The line is empty.", ""),
    ]  # fmt: skip


def test_a_second_version_leaves_the_first_as_it_was(site, tmp_path):
    resource = create(site)
    first = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD)])
    before = [path.read_bytes() for path in catalog.version_files(site, first)]
    more = GOOD + f"戊有限公司,{CODES[3]},2004-02-03,3(万),9,\n"
    header = GOOD.split("\n", 1)[0] + "\n"
    both = [
        write(tmp_path, more),
        write(tmp_path, (header + f"己公司,{CODES[3]},2005-01-01,N/A,1,\n").encode("gb18030"), "b.csv"),
    ]
    second = catalog.ingest(site, SUPPLIER, resource.id, both)
    assert (second.number, second.rows_kept) == (2, 6)
    assert [source.encoding for source in second.manifest.sources] == ["utf-8", "gb18030"]
    assert rows_of(site, second, "SELECT 企业名称 FROM $data WHERE 员工数 = 1") == [("己公司",)]
    assert catalog.get_version(site, SUPPLIER, resource.id, 1) == first
    assert [path.read_bytes() for path in catalog.version_files(site, first)] == before
    assert [v.number for v in catalog.list_versions(site, SUPPLIER, resource.id, FIRST_PAGE).rows] == [2, 1]
    with site.db.reading() as tx:
        assert catalog.version_in(tx, resource.id, 2) == second


def test_repeated_keys_are_kept_and_counted(site, tmp_path):
    lines = "".join(
        f"甲公司{n},{CODES[0]}\n" if n < 2 else f"乙公司{n},{code}\n" for n, code in enumerate(valid_codes(20))
    )
    resource = create(site)
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, f"名称,统一社会信用代码\n{lines}")])
    assert version.rows_kept == 20
    (unique,) = [item for item in version.quality if item.rule == "key-unique"]
    assert (unique.column, unique.checked, unique.failing) == ("统一社会信用代码", 20, 1)


def valid_codes(count: int) -> list[str]:
    bodies = [f"91350000MA{number:07d}" for number in range(count)]
    return [body + credit_check_character(body) for body in bodies]


@pytest.mark.parametrize("name", ["part-0001.parquet", "quarantine.parquet", "manifest.json"])
def test_one_changed_byte_is_refused(site, tmp_path, name):
    resource = create(site)
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD + "x\n")])
    path = folders.version_folder(site.home, resource.id, 1) / name
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert refusal(lambda: catalog.version_files(site, version)) == ["data-changed"]
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert catalog.version_files(site, version)
    path.unlink()
    assert refusal(lambda: catalog.version_files(site, version)) == ["data-changed"]


def test_a_folder_left_by_a_crash_is_replaced_by_the_version_that_commits(site, tmp_path):
    resource = create(site)
    orphan = folders.version_folder(site.home, resource.id, 1)
    orphan.mkdir(parents=True)
    (orphan / "part-0001.parquet").write_text("left behind")
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD)])
    assert version.number == 1
    assert rows_of(site, version, "SELECT count(*) FROM $data") == [(4,)]
    assert not list((site.home / "data" / ".staging").iterdir())


def test_what_a_killed_process_left_behind_is_removed_and_what_runs_is_not(sqlite_site, tmp_path):
    place = sqlite_site.home / "data" / ".staging"
    (place / "dead" / "work").mkdir(parents=True)
    (place / "dead.lock").touch()
    resource = create(sqlite_site)
    with folders.staging(sqlite_site.home, "alive") as alive:
        catalog.ingest(sqlite_site, SUPPLIER, resource.id, [write(tmp_path, GOOD)])
        assert sorted(path.name for path in place.iterdir()) == ["alive", "alive.lock"]
        assert (alive / "version").is_dir()
    assert not list(place.iterdir())


def test_two_at_once_become_two_versions(site, tmp_path):
    resource = create(site)
    paths = [
        write(tmp_path, GOOD, "a.csv"),
        write(tmp_path, GOOD + f"戊公司,{CODES[3]},2004-02-03,3(万),9,\n", "b.csv"),
    ]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda path: catalog.ingest(site, SUPPLIER, resource.id, [path]), paths))
    assert sorted(version.number for version in made) == [1, 2]
    for version in made:
        assert rows_of(site, version, "SELECT count(*) FROM $data") == [(version.rows_kept,)]
    assert catalog.get_resource(site, SUPPLIER, resource.id).latest_version == 2


def test_a_supplier_touches_its_own_resources_only_and_the_attempt_is_on_record(site, tmp_path):
    resource = create(site)
    path = write(tmp_path, GOOD)
    version = catalog.ingest(site, SUPPLIER, resource.id, [path])
    policy = ResourcePolicy((), ("统一社会信用代码",))
    attempts = [
        lambda: catalog.ingest(site, RIVAL, resource.id, [path]),
        lambda: catalog.confirm_classification(site, RIVAL, resource.id, grades_of(version)),
        lambda: catalog.set_uses(site, RIVAL, resource.id, policy, frozenset()),
        lambda: catalog.get_resource(site, RIVAL, resource.id),
        lambda: catalog.list_versions(site, RIVAL, resource.id, FIRST_PAGE),
    ]
    for attempt in attempts:
        assert refusal(attempt) == ["not-found"]
    assert catalog.list_resources(site, RIVAL, FIRST_PAGE).rows == ()
    catalog.confirm_classification(site, SUPPLIER, resource.id, grades_of(version))
    catalog.set_uses(site, SUPPLIER, resource.id, policy, frozenset())
    for attempt in attempts[:3]:
        assert refusal(attempt) == ["not-the-supplier"]
        entry = last_entry(site)
        assert (entry.person, entry.outcome, entry.reasons[0].code) == ("rival", "denied", "not-the-supplier")
    assert [r.id for r in catalog.list_resources(site, RIVAL, FIRST_PAGE).rows] == [resource.id]
    assert refusal(lambda: catalog.ingest(site, OPERATOR, resource.id, [path])) == ["permission-missing"]
    assert last_entry(site).reasons[0].code == "permission-missing"


def test_a_name_is_taken_once(site):
    create(site)
    assert refusal(lambda: create(site)) == ["resource-name-taken"]
    assert last_entry(site).outcome == "denied"


@pytest.mark.parametrize("unknown", ["resource-0", "", "x\0y", "资源", "x" * 500])
def test_an_unknown_resource_is_not_found(site, tmp_path, unknown):
    assert refusal(lambda: catalog.get_resource(site, SUPPLIER, ResourceId(unknown))) == ["not-found"]
    assert refusal(lambda: catalog.ingest(site, SUPPLIER, ResourceId(unknown), [write(tmp_path, GOOD)])) == [
        "not-found"
    ]


def test_the_uses_start_from_the_grades_and_a_wider_one_is_confirmed_by_name(site, tmp_path):
    resource = create(site)
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD)])
    assert refusal(
        lambda: catalog.set_uses(site, SUPPLIER, resource.id, ResourcePolicy((), ("统一社会信用代码",)), frozenset())
    ) == ["classification-missing"]
    catalog.confirm_classification(site, SUPPLIER, resource.id, grades_of(version))
    policy = catalog.propose_policy(site, SUPPLIER, resource.id)
    assert policy.unit == ("统一社会信用代码",)
    assert policy.of("统一社会信用代码").uses == {Use.JOIN, Use.COMPARE}
    assert catalog.set_uses(site, SUPPLIER, resource.id, policy, frozenset()).policy == policy
    wide = ResourcePolicy(
        (ColumnPolicy("企业名称", frozenset({Use.REVEAL})), ColumnPolicy("注册日期", frozenset({Use.RANK}))),
        policy.unit,
    )
    with pytest.raises(Refused) as caught:
        catalog.set_uses(site, SUPPLIER, resource.id, wide, frozenset({"企业名称"}))
    (reason,) = caught.value.reasons
    assert reason.code == "use-wider-unconfirmed"
    assert "注册日期" in reason.what.zh
    assert "企业名称" not in reason.what.zh
    assert catalog.get_resource(site, SUPPLIER, resource.id).policy == policy
    done = catalog.set_uses(site, SUPPLIER, resource.id, wide, frozenset({"企业名称", "注册日期"}))
    assert done.policy == wide
    assert last_entry(site).origins == (version.ref,)


def test_a_weaker_grade_needs_a_reason(site, tmp_path):
    resource = create(site)
    version = catalog.ingest(site, SUPPLIER, resource.id, [write(tmp_path, GOOD)])
    grades = list(grades_of(version))
    grades[0] = ColumnGrade("企业名称", Meaning.ORGANISATION_NAME, Grade.OPEN)
    assert refusal(lambda: catalog.confirm_classification(site, SUPPLIER, resource.id, tuple(grades))) == [
        "grade-weaker"
    ]
    grades[0] = ColumnGrade("企业名称", Meaning.ORGANISATION_NAME, Grade.OPEN, "已在公示系统公开")
    assert catalog.confirm_classification(site, SUPPLIER, resource.id, tuple(grades)).grades == tuple(grades)
    assert last_entry(site).facts == {"columns": "8", "changed": "1"}


@pytest.mark.parametrize(("files", "expected"), [
    ([("a.csv", b"")], ["file-empty"]),
    ([("a.csv", b"\n\n \n")], ["file-empty"]),
    ([("a.csv", b"name,code\n")], ["nothing-readable"]),
    ([("a.csv", b"name,code\nx\ny\n")], ["nothing-readable"]),
    ([("a.csv", "名称".encode("utf-16"))], ["encoding-unsupported"]),
    ([("a.csv", b'"name,code\nx,y\n')], ["header-unreadable"]),
    ([("a.csv", b"a,b\n1,2\n"), ("b.csv", b"a,c\n1,2\n"), ("c.csv", b"")], ["headers-differ", "file-empty"]),
    ([("a.csv", b"a,b\n1,2\n"), ("b.csv", b"13800000000,2\n")], ["headers-differ"]),
])  # fmt: skip
def test_a_file_that_gives_nothing_is_refused_by_name_and_on_record(site, tmp_path, files, expected):
    resource = create(site)
    paths = [write(tmp_path, data, name) for name, data in files]
    assert refusal(lambda: catalog.ingest(site, SUPPLIER, resource.id, paths)) == expected
    assert [reason.code for reason in last_entry(site).reasons] == expected
    assert catalog.get_resource(site, SUPPLIER, resource.id).latest_version == 0
    assert not (site.home / "data" / resource.id).exists()


def test_no_file_or_one_that_is_not_there_is_refused(site, tmp_path):
    resource = create(site)
    assert refusal(lambda: catalog.ingest(site, SUPPLIER, resource.id, [])) == ["files-missing"]
    assert refusal(lambda: catalog.ingest(site, SUPPLIER, resource.id, [tmp_path / "none.csv"])) == ["file-unreadable"]


def test_a_value_of_another_form_late_in_the_file_makes_the_whole_column_text(sqlite_site, tmp_path):
    lines = "".join(f"{n},2001-01-01,1.{n % 100:02d},x\n" for n in range(6000))
    resource = create(sqlite_site)
    version = catalog.ingest(
        sqlite_site, SUPPLIER, resource.id, [write(tmp_path, f"数,日,值,字\n{lines}007,很久以前,1.2345,y\n")]
    )
    assert [c.data_type for c in version.manifest.columns] == [
        DataType.TEXT,
        DataType.TEXT,
        DataType.DECIMAL,
        DataType.TEXT,
    ]
    assert rows_of(sqlite_site, version, "SELECT * REPLACE (值::VARCHAR AS 值) FROM $data WHERE 字 = 'y'") == [
        ("007", "很久以前", "1.2345", "y")
    ]
    assert rows_of(sqlite_site, version, "SELECT count(*) FROM $data") == [(6001,)]


def test_a_file_without_a_header_keeps_its_first_line(sqlite_site, tmp_path):
    resource = create(sqlite_site)
    version = catalog.ingest(
        sqlite_site, SUPPLIER, resource.id, [write(tmp_path, f"甲公司,{CODES[0]}\n乙公司,{CODES[1]}\n")]
    )
    assert [c.name for c in version.manifest.columns] == ["列1", "列2"]
    assert rows_of(sqlite_site, version, "SELECT 列1 FROM $data") == [("甲公司",), ("乙公司",)]


def test_text_that_is_not_utf8_far_into_an_ascii_file_is_read_as_gb18030(sqlite_site, tmp_path):
    data = b"a,b\n" + b"1,x\n" * 300_000 + "2,市\n".encode("gb18030")
    resource = create(sqlite_site)
    version = catalog.ingest(sqlite_site, SUPPLIER, resource.id, [write(tmp_path, data)])
    assert (version.rows_kept, version.rows_quarantined, version.manifest.sources[0].encoding) == (
        300_001,
        0,
        "gb18030",
    )
    assert rows_of(sqlite_site, version, "SELECT b FROM $data WHERE a = 2") == [("市",)]


REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "enterprise_registration"


def real_files() -> list[Path]:
    folder = Path(os.environ.get("GONGSHU_REAL_DATA", REAL))
    return sorted(folder.glob("*.csv"))


def test_every_real_registration_is_accounted_for(sqlite_site):
    files = real_files()
    if not files:
        pytest.skip("the real registrations are not there; set GONGSHU_REAL_DATA to their folder")
    expected = []
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            expected += list(csv.reader(file))[1:]
    resource = create(sqlite_site)
    version = catalog.ingest(sqlite_site, SUPPLIER, resource.id, files)
    assert version.rows_in == version.rows_kept + version.rows_quarantined == len(expected) == 18_338
    assert version.rows_quarantined == 0
    found = rows_of(
        sqlite_site,
        version,
        "SELECT * EXCLUDE (注册资金_数额, 注册资金_币种) REPLACE (注册日期::VARCHAR AS 注册日期) FROM $data",
    )
    nulls = {"N/A", "", "NULL", "-", "无"}
    assert sorted(map(repr, found)) == sorted(
        repr(tuple(None if cell in nulls else cell for cell in row)) for row in expected
    )
    (unreadable,) = [item for item in version.quality if item.rule == "amount-with-unit"]
    assert (unreadable.checked, unreadable.failing) == (13_900, 0)
    (codes,) = [item for item in version.quality if item.rule == "credit-code-check-character"]
    assert (codes.checked, codes.failing) == (18_338, 3)
    meanings = {p.column: p.meaning for p in version.proposals}
    assert meanings == {
        "企业名称": Meaning.ORGANISATION_NAME, "统一社会信用代码": Meaning.CREDIT_CODE, "注册日期": Meaning.DATE, "企业类型": Meaning.CATEGORY,
        "法人代表": Meaning.PERSON_NAME, "注册资金": Meaning.AMOUNT, "注册资金_数额": Meaning.AMOUNT, "注册资金_币种": Meaning.CURRENCY,
        "经营范围": Meaning.FREE_TEXT, "所在省份": Meaning.REGION, "地区": Meaning.REGION, "注册地址": Meaning.ADDRESS,
    }  # fmt: skip
