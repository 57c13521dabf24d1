"""Reports: figures of the release only, in Chinese, as PDF and Word, the same bytes each time, one for each buyer."""

import asyncio
import hashlib
import io

import docx
import pypdf
import pytest

from gongshu.base.decisions import Denied
from gongshu.egress import service as egress
from gongshu.egress.types import ReportDefinition, ReportSection
from gongshu.products.types import Definition, ProductKind
from tests.gateways import START, serving
from tests.served import ServedWorld, headers_of, path_of, write_table

TABLE = "SELECT '地区' || i AS 地区, 1000 + i AS 企业数, CAST(i * 2.5 AS DECIMAL(10, 2)) AS 平均资本, '<b>&' || i AS 备注 FROM range(60) t(i)"
REPORT = ReportDefinition(
    "普惠金融季度报告", "2026 年第三季度", "市场监管部门登记数据",
    (
        ReportSection("概况", "共 {{count}} 个地区，企业 {{sum:企业数}} 户，最多 {{max:企业数}}，平均资本 {{mean:平均资本}}。\n首个地区：{{first:地区}}，<i>不是标记</i>。"),
        ReportSection("分地区", "", ("地区", "企业数", "备注"), rows_max=40),
    ),
)  # fmt: skip


@pytest.fixture
def world(home, clock) -> ServedWorld:
    clock.time = START
    file = write_table(home / "releases" / "release-1" / "result.parquet", TABLE)
    made = ServedWorld(home, clock, file=file, kind=ProductKind.REPORT, definition=Definition(report=REPORT), buyers=2)
    made.publish()
    return made


def fetch(world, kind, buyer=0, request_id="r1"):
    async def run():
        async with serving(world) as client:
            return await client.get(f"{path_of('report')}?format={kind}", headers=headers_of(request_id, buyer))

    answer = asyncio.run(run())
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    return answer.content


def test_the_pdf_holds_the_figures_of_the_release_the_source_and_page_numbers(world):
    read = pypdf.PdfReader(io.BytesIO(fetch(world, "pdf")))
    pages = [page.extract_text() for page in read.pages]
    text = "".join(pages).replace("\n", "")
    for wanted in (
        "普惠金融季度报告", "2026 年第三季度", "市场监管部门登记数据", "release-1", "共 60 个地区", "企业 61,770 户", "最多 1,059",
        "平均资本 73.75", "首个地区：地区0", "<i>不是标记</i>", "地区39", "1,039", "<b>&7", "另有 20 行未列出",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "地区40" not in text
    assert len(pages) == 2
    for number, page in enumerate(pages, 1):
        assert "contract-0 · " in page
        assert str(number) in page.splitlines()
    assert read.metadata is not None
    assert read.metadata.title == "普惠金融季度报告"
    assert "gongshu_contract=contract-0" in str(read.metadata.get("/Keywords"))


def test_the_word_file_holds_the_same_and_a_field_for_the_page(world):
    read = docx.Document(io.BytesIO(fetch(world, "docx")))
    text = "\n".join(paragraph.text for paragraph in read.paragraphs)
    assert "共 60 个地区，企业 61,770 户，最多 1,059，平均资本 73.75。" in text
    assert "首个地区：地区0，<i>不是标记</i>。" in text
    rows = [[cell.text for cell in row.cells] for row in read.tables[0].rows]
    assert rows[0] == ["地区", "企业数", "备注"]
    assert (rows[1], len(rows)) == (["地区0", "1,000", "<b>&0"], 41)
    footer = read.sections[0].footer.paragraphs[0]
    assert "contract-0" in footer.text
    assert "PAGE" in footer._p.xml
    assert read.core_properties.identifier == "contract-0"


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_a_report_has_the_same_bytes_each_time_and_others_for_another_buyer(world, kind):
    first = fetch(world, kind)
    for spooled in (world.home / "spool" / "g1").glob(f"*.{kind}"):
        spooled.unlink()
    assert fetch(world, kind, request_id="r2") == first
    assert fetch(world, kind, buyer=1, request_id="r3") != first


@pytest.mark.parametrize(
    ("section", "code"),
    [
        (ReportSection("概况", "{{sum:地区}}"), "report-column-unknown"),
        (ReportSection("概况", "{{sum:没有}}"), "report-column-unknown"),
        (ReportSection("概况", "{{sum}}"), "report-column-unknown"),
        (ReportSection("概况", "{{eval:1+1}}"), "report-placeholder-unknown"),
        (ReportSection("概况", "{{ count "), "report-placeholder-unknown"),
        (ReportSection("概况", "{{self.__class__}}"), "report-placeholder-unknown"),
        (ReportSection("概况", "", ("没有",)), "report-column-unknown"),
        (ReportSection(" ", "x"), "report-incomplete"),
        (ReportSection("概况", "x", ("地区",), rows_max=0), "report-incomplete"),
    ],
)
def test_a_report_that_asks_for_what_is_not_there_is_refused(world, section, code):
    decision = egress.complete_report(world.file, ReportDefinition("标题", "2026", "来源", (section,)))
    assert isinstance(decision, Denied)
    assert [reason.code for reason in decision.reasons] == [code]


def test_a_report_without_title_or_sections_is_refused(world):
    decision = egress.complete_report(world.file, ReportDefinition("", "", "x" * 300, ()))
    assert [reason.code for reason in decision.reasons] == ["report-incomplete"] * 4
