"""What stands in a report: text of the operator, and figures of the released table only. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from gongshu.base.decisions import Decision, Kind, Reason, decide, rule
from gongshu.base.ids import ContractId
from gongshu.egress.types import CopyMark, Report, ReportDefinition, ReportPart, ReportTable

PLACEHOLDER = re.compile(r"\{\{\s*([a-z]+)\s*(?::\s*([^{}]*?)\s*)?\}\}")
OF_NUMBERS = frozenset({"sum", "min", "max", "mean"})
OF_ANY = frozenset({"first", "last"})
TITLE_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, SECTIONS_MAX, ROWS_MAX, COLUMNS_MAX = 200, 20_000, 50, 2_000, 12
NOTHING = "—"
MARK_DIGITS = 16

REPORT_INCOMPLETE = rule(
    "report-incomplete", Kind.INVALID, zh="报告缺少或超出限制：{what}。", en="The report lacks, or has too much of: {what}.",
    fix_zh="请填写标题、时期、来源和至少一个章节。", fix_en="Give a title, a period, a source, and at least one section.",
)  # fmt: skip
REPORT_COLUMN_UNKNOWN = rule(
    "report-column-unknown", Kind.INVALID, zh="章节“{section}”用到的列 {column} 不在已出域的表中，或不是数字。",
    en="The section {section} uses the column {column}, which the released table has not, or which holds no numbers.",
    fix_zh="可选：{known}。", fix_en="Choose one of: {known}.",
)  # fmt: skip
REPORT_PLACEHOLDER_UNKNOWN = rule(
    "report-placeholder-unknown", Kind.INVALID, zh="章节“{section}”中的占位符 {placeholder} 无法识别。",
    en="The placeholder {placeholder} in the section {section} is not known.",
    fix_zh="可用：{{{{count}}}}、{{{{sum:列}}}}、min、max、mean、first、last。",
    fix_en="Use {{{{count}}}}, {{{{sum:column}}}}, min, max, mean, first or last.",
)  # fmt: skip
REPORT_EXTRA_MISSING = rule(
    "report-extra-missing", Kind.UNAVAILABLE, zh="本平台没有安装 gongshu[report]。", en="gongshu[report] is not installed here.",
    fix_zh="请平台管理员安装后重试。", fix_en="Let the administrator install it.",
)  # fmt: skip


def decide_report(definition: ReportDefinition, columns: Mapping[str, bool]) -> Decision[ReportDefinition]:
    """Permit a report whose columns are there. ``columns``: those of the table, and whether they hold numbers."""
    reasons = [
        REPORT_INCOMPLETE.because(what=name)
        for name, text in (("title", definition.title), ("period", definition.period), ("source", definition.source))
        if not 0 < len(text.strip()) <= TITLE_CHARACTERS_MAX
    ]
    if not 0 < len(definition.sections) <= SECTIONS_MAX:
        reasons.append(REPORT_INCOMPLETE.because(what="sections"))
    known = ", ".join(columns)
    for section in definition.sections[:SECTIONS_MAX]:
        name = section.heading[:40] or NOTHING
        if not section.heading.strip() or len(section.heading) > TITLE_CHARACTERS_MAX:
            reasons.append(REPORT_INCOMPLETE.because(what="heading"))
        if len(section.text) > TEXT_CHARACTERS_MAX or len(section.columns) > COLUMNS_MAX:
            reasons.append(REPORT_INCOMPLETE.because(what=name))
        if not 0 < section.rows_max <= ROWS_MAX:
            reasons.append(REPORT_INCOMPLETE.because(what=f"rows 1-{ROWS_MAX}"))
        reasons += [
            REPORT_COLUMN_UNKNOWN.because(section=name, column=column[:80], known=known)
            for column in section.columns
            if column not in columns
        ]
        reasons += _text_reasons(name, section.text, columns)
    return decide(definition, *reasons)


def _text_reasons(section: str, text: str, columns: Mapping[str, bool]) -> list[Reason]:
    reasons = []
    for function, column in PLACEHOLDER.findall(text):
        if function == "count" and not column:
            continue
        if function not in OF_NUMBERS | OF_ANY:
            reasons.append(REPORT_PLACEHOLDER_UNKNOWN.because(section=section, placeholder=function[:40]))
        elif column not in columns or (function in OF_NUMBERS and not columns[column]):
            known = ", ".join(columns)
            reasons.append(REPORT_COLUMN_UNKNOWN.because(section=section, column=column[:80] or NOTHING, known=known))
    if "{{" in PLACEHOLDER.sub("", text):
        reasons.append(REPORT_PLACEHOLDER_UNKNOWN.because(section=section, placeholder="{{"))
    return reasons


def compose(
    definition: ReportDefinition, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, mark: CopyMark,
    release_id: str, contract: ContractId,
) -> Report:  # fmt: skip
    """Return the report of one buyer: figures filled in, and a footer that names the contract."""
    places = {name: place for place, name in enumerate(columns)}
    parts = []
    for section in definition.sections:
        text = PLACEHOLDER.sub(lambda found: _figure(found[1], found[2] or "", places, rows), section.text)
        wanted = [places[name] for name in section.columns]
        shown = tuple(tuple(cell_text(row[place]) for place in wanted) for row in rows[: section.rows_max])
        table = ReportTable(section.columns, shown, max(0, len(rows) - section.rows_max)) if wanted else None
        parts.append(ReportPart(section.heading, text, table))
    said = dict(mark.describes)
    facts = (
        ("时期 Period", definition.period), ("来源 Source", definition.source), ("出域 Release", release_id),
        ("摘要 SHA-256", said.get("gongshu_source", "")),
    )  # fmt: skip
    footer = f"{contract} · {said.get('gongshu_signature', '')[:MARK_DIGITS]}"
    return Report(definition.title, facts, tuple(parts), footer, mark)


def _figure(function: str, column: str, places: Mapping[str, int], rows: Sequence[Sequence[Any]]) -> str:
    if function == "count":
        return cell_text(len(rows))
    values = [row[places[column]] for row in rows if row[places[column]] is not None]
    if not values:
        return NOTHING
    if function in OF_ANY:
        return cell_text(values[0] if function == "first" else values[-1])
    numbers = [Decimal(str(value)) for value in values]
    totals = {"sum": sum(numbers), "min": min(numbers), "max": max(numbers), "mean": sum(numbers) / len(numbers)}
    return cell_text(round(Decimal(totals[function]), 2) if function == "mean" else totals[function])


def cell_text(value: Any) -> str:
    """Return a cell as it is printed: numbers with separators, days without a time."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "是 yes" if value else "否 no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, Decimal)):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
