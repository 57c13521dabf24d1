"""Writes a report as PDF or Word: the same report gives the same bytes. Needs the extra ``gongshu[report]``.

PDF names one of the fonts that every reader has for Chinese (STSong-Light, Adobe-GB1) and embeds none. See
docs/decisions/0019-files-for-buyers.md.
"""

import importlib.util
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import duckdb

from gongshu.egress.adapters.copies import READERS
from gongshu.egress.types import Report, ReportFormat, ReportTable

ROWS_MAX = 100_000
FONT = "STSong-Light"
MADE_AT = datetime(2000, 1, 1)  # noqa: DTZ001 - stands where a format wants a time of making; it has no zone there
ZIP_DATE = (2000, 1, 1, 0, 0, 0)
NUMBER_KINDS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "DOUBLE", "FLOAT", "UBIGINT")
MARGIN, FONT_SIZE, TABLE_FONT_SIZE, LINE = 56, 10.5, 8.5, 16


def is_installed() -> bool:
    """Whether the libraries of both formats are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("reportlab", "docx"))


def read_columns(path: Path) -> dict[str, bool]:
    """Return the columns of a released table, and whether they hold numbers."""
    with duckdb.connect(":memory:") as engine:
        relation = engine.sql(f"SELECT * FROM {READERS[path.suffix]}($path) LIMIT 0", params={"path": str(path)})  # noqa: S608
        kinds = (str(kind) for kind in relation.types)
        return {name: kind.startswith(NUMBER_KINDS) for name, kind in zip(relation.columns, kinds, strict=True)}


def read_rows(path: Path) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return columns and rows of a released table, of at most ``ROWS_MAX`` rows."""
    with duckdb.connect(":memory:") as engine:
        relation = engine.sql(
            f"SELECT * FROM {READERS[path.suffix]}($path) LIMIT {ROWS_MAX:d}",  # noqa: S608
            params={"path": str(path)},
        )
        return tuple(relation.columns), relation.fetchall()


def write_report(report: Report, target: Path, kind: ReportFormat) -> None:
    """Write a report to ``target``."""
    if kind is ReportFormat.PDF:
        _write_pdf(report, target)
    else:
        _write_word(report, target)


# -------------------------------------------------------------------------------------------------------------- PDF


def _write_pdf(report: Report, target: Path) -> None:
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 - an extra
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
    from reportlab.pdfbase.pdfmetrics import registerFont  # noqa: PLC0415
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer  # noqa: PLC0415

    registerFont(UnicodeCIDFont(FONT))
    body = ParagraphStyle("body", fontName=FONT, fontSize=FONT_SIZE, leading=LINE, wordWrap="CJK", spaceAfter=6)
    heading = ParagraphStyle("heading", parent=body, fontSize=13, leading=20, spaceBefore=12)
    title = ParagraphStyle("title", parent=body, fontSize=18, leading=28, spaceAfter=12)
    story: list[Any] = [Paragraph(_text(report.title), title)]
    story += [Paragraph(f"{_text(name)}: {_text(value)}", body) for name, value in report.facts]
    for part in report.parts:
        story.append(Paragraph(_text(part.heading), heading))
        story += [Paragraph(_text(line), body) for line in part.text.splitlines() if line.strip()]
        if part.table is not None:
            story += [_pdf_table(part.table, A4[0] - 2 * MARGIN), Spacer(1, 4)]
            story += [Paragraph(_text(note), body) for note in _left_out(part.table)]

    def footer(canvas: Any, document: Any) -> None:
        canvas.setFont(FONT, 8)
        canvas.drawString(MARGIN, 30, report.footer)
        canvas.drawRightString(A4[0] - MARGIN, 30, f"{document.page}")

    with target.open("wb") as file:
        document = SimpleDocTemplate(
            file, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
            title=report.title, author="gongshu", invariant=1, keywords=" ".join(f"{n}={v}" for n, v in report.mark.describes),
        )  # fmt: skip
        document.build(story, onFirstPage=footer, onLaterPages=footer)


def _text(text: str) -> str:
    """Return text as the paragraph's little markup reads it: as itself."""
    return escape(text)


def _left_out(table: ReportTable) -> list[str]:
    return [f"（另有 {table.left_out:,} 行未列出 {table.left_out:,} more rows）"] if table.left_out else []


def _pdf_table(table: ReportTable, width: float) -> Any:
    from reportlab.lib import colors  # noqa: PLC0415
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415
    from reportlab.platypus import LongTable, Paragraph  # noqa: PLC0415

    cell = ParagraphStyle("cell", fontName=FONT, fontSize=TABLE_FONT_SIZE, leading=12, wordWrap="CJK")
    rows = [[Paragraph(_text(text), cell) for text in row] for row in (table.columns, *table.rows)]
    made = LongTable(rows, colWidths=[width / len(table.columns)] * len(table.columns), repeatRows=1)
    made.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return made


# ------------------------------------------------------------------------------------------------------------- Word


def _write_word(report: Report, target: Path) -> None:
    import docx  # noqa: PLC0415 - an extra
    from docx.oxml.ns import qn  # noqa: PLC0415

    made = docx.Document()
    normal = made.styles["Normal"]
    normal.font.name = "SimSun"
    normal.element.rPr.rFonts.set(qn("w:eastAsia"), "SimSun")
    properties = made.core_properties
    properties.title, properties.author, properties.created, properties.modified = (
        report.title,
        "gongshu",
        MADE_AT,
        MADE_AT,
    )
    properties.identifier = dict(report.mark.describes).get("gongshu_contract", "")
    properties.keywords = " ".join(f"{name}={value}" for name, value in report.mark.describes)[:255]
    made.add_heading(report.title, level=0)
    for name, value in report.facts:
        made.add_paragraph(f"{name}: {value}")
    for part in report.parts:
        made.add_heading(part.heading, level=1)
        for line in part.text.splitlines():
            made.add_paragraph(line)
        if part.table is not None:
            _word_table(made, part.table)
            for note in _left_out(part.table):
                made.add_paragraph(note)
    footer = made.sections[0].footer.paragraphs[0]
    footer.add_run(f"{report.footer} · ")
    _page_number(footer.add_run())
    draft = target.with_name(f"{target.name}.parts")
    made.save(str(draft))
    _repack(draft, target)
    draft.unlink()


def _word_table(made: Any, table: ReportTable) -> None:
    grid = made.add_table(rows=1, cols=len(table.columns), style="Table Grid")
    for place, name in enumerate(table.columns):
        grid.rows[0].cells[place].text = name
    for row in table.rows:
        cells = grid.add_row().cells
        for place, text in enumerate(row):
            cells[place].text = text


def _page_number(run: Any) -> None:
    """Put the field of the page's number into a run."""
    from docx.oxml import OxmlElement  # noqa: PLC0415
    from docx.oxml.ns import qn  # noqa: PLC0415

    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)  # noqa: SLF001 - the library has no other way to a field


def _repack(source: Path, target: Path) -> None:
    """Write the package anew with one date for all parts: the real one would change the bytes."""
    with zipfile.ZipFile(source) as packed, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name in packed.namelist():
            part = zipfile.ZipInfo(name, ZIP_DATE)
            part.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(part, packed.read(name))
