"""Who may do what with a resource, and when its files, grades and uses are in order."""

import re
from collections.abc import Mapping
from dataclasses import replace

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Decision, Kind, Reason, Rule, decide, rule
from gongshu.base.ids import PartyId
from gongshu.catalog.rules.classification import is_weaker
from gongshu.catalog.rules.quality import UPDATE_CYCLES
from gongshu.catalog.types import ColumnGrade, Limits, Meaning, Proposal, Resource, ResourceVersion, SourceFault
from gongshu.policies import service as policies
from gongshu.policies.types import Grade, ResourcePolicy, Use

RESOURCE_NAME_MALFORMED = rule(
    "resource-name-malformed", Kind.INVALID,
    zh="资源英文名不符合要求：须以小写字母开头，仅含小写字母、数字、下划线，不超过 {chars_max} 个字符。",
    en="The name must begin with a lower-case letter and have only those, digits and underscores, at most {chars_max} characters.",
    fix_zh="例如 enterprise_registration；它将用于受控 SQL。",
    fix_en="For example enterprise_registration; governed SQL uses it.",
)  # fmt: skip
RESOURCE_NAME_TAKEN = rule(
    "resource-name-taken", Kind.CONFLICT, zh="资源英文名 {name} 已被使用。", en="The name {name} is taken.",
    fix_zh="请换一个名称。", fix_en="Choose another one.",
)  # fmt: skip
RESOURCE_ITEM_MISSING = rule(
    "resource-item-missing", Kind.INVALID, zh="缺少必填项：{items}。", en="Mandatory items are missing: {items}.",
    fix_zh="请补充后提交。", fix_en="Fill them in.", law="26号 art.7",
)  # fmt: skip
RESOURCE_ITEM_TOO_LONG = rule(
    "resource-item-too-long", Kind.INVALID, zh="内容过长：{items}（上限 {chars_max} 个字符）。",
    en="Too long: {items} (limit: {chars_max} characters).",
    fix_zh="请精简。", fix_en="Shorten it.",
)  # fmt: skip
UPDATE_CYCLE_UNKNOWN = rule(
    "update-cycle-unknown", Kind.INVALID, zh="更新周期代码不在代码表内。", en="The update cycle is not a code of the table.",
    fix_zh="可用代码：{codes}（001 实时、002 每日、003 每周、004 每月、005 每季度、006 每半年、007 每年、"
    "008 不定期、009 历史存量）。",
    fix_en="Codes: {codes} (001 real time, 002 daily, 003 weekly, 004 monthly, 005 quarterly, 006 half-yearly, "
    "007 yearly, 008 irregular, 009 historical).",
    law="NDI-TR-2025-06",
)  # fmt: skip
NOT_THE_SUPPLIER = rule(
    "not-the-supplier", Kind.FORBIDDEN, zh="只有供数单位本单位人员可以办理此事。", en="Only the supplier's own people may do this.",
    fix_zh="请由供数单位的经办人办理。", fix_en="Ask a handling person of the supplier.", law="27号 art.5",
)  # fmt: skip

FILES_MISSING = rule(
    "files-missing", Kind.INVALID, zh="没有提交文件。", en="No file was given.", fix_zh="请至少选择一个 CSV 文件。",
    fix_en="Choose at least one CSV file.",
)  # fmt: skip
FILES_TOO_MANY = rule(
    "files-too-many", Kind.LIMIT_EXCEEDED, zh="一次提交了 {files} 个文件，上限 {files_max} 个。",
    en="{files} files at once; the limit is {files_max}.",
    fix_zh="请合并文件后提交。", fix_en="Combine them.",
)  # fmt: skip
FILES_TOO_LARGE = rule(
    "files-too-large", Kind.LIMIT_EXCEEDED, zh="上传的文件共超过 {bytes_max} 字节。",
    en="The files have more than {bytes_max} bytes together.", fix_zh="请拆分成几个资源，或去掉历史数据。",
    fix_en="Divide them into several resources, or leave out history.",
)  # fmt: skip
FILE_NAMES_REPEAT = rule(
    "file-names-repeat", Kind.INVALID, zh="有文件同名：{files}。", en="Files share a name: {files}.",
    fix_zh="请改名，使每个文件可以区分。", fix_en="Rename them so that lines can be told apart.",
)  # fmt: skip
FILE_EMPTY = rule(
    "file-empty", Kind.INVALID, zh="文件“{file}”是空的。", en="The file {file} is empty.", fix_zh="请检查导出是否完整。",
    fix_en="Check whether its export was complete.",
)  # fmt: skip
FILE_UNREADABLE = rule(
    "file-unreadable", Kind.INVALID, zh="文件“{file}”打不开。", en="The file {file} cannot be opened.",
    fix_zh="请检查文件是否存在、是否有读取权限。", fix_en="Check that it exists and may be read.",
)  # fmt: skip
HEADER_UNREADABLE = rule(
    "header-unreadable", Kind.INVALID, zh="文件“{file}”的第一条记录无法读取（引号、编码错误或过长）。",
    en="The first record of {file} cannot be read: its quotes, encoding or length.",
    fix_zh="请检查文件开头；应为逗号、制表符或分号分隔的 CSV。",
    fix_en="Look at its beginning; it must be CSV with commas, tabs or semicolons.",
)  # fmt: skip
ENCODING_UNSUPPORTED = rule(
    "encoding-unsupported", Kind.INVALID, zh="文件“{file}”是 UTF-16 编码。", en="The file {file} is written in UTF-16.",
    fix_zh="请另存为 UTF-8 或 GB18030。",
    fix_en="Save it as UTF-8 or GB18030.",
)  # fmt: skip
LINES_UNREADABLE = rule(
    "lines-unreadable", Kind.LIMIT_EXCEEDED, zh="文件“{file}”无法读取的行超过 {number} 行。",
    en="More than {number} lines of {file} cannot be read.",
    fix_zh="请检查编码、分隔符和列数后重新导出。",
    fix_en="Check its encoding, delimiter and columns, and export it again.",
)  # fmt: skip
NOTHING_READABLE = rule(
    "nothing-readable", Kind.INVALID, zh="没有一行可以读取：共 {rows_in} 行，全部隔离（{codes}）。",
    en="Not one record can be read: {rows_in} in, all set aside ({codes}).",
    fix_zh="请检查表头、编码和分隔符。没有生成新版本。",
    fix_en="Check header, encoding and delimiter. No version was made.",
)  # fmt: skip
ENGINE_DISAGREES = rule(
    "engine-disagrees", Kind.INTERNAL, zh="两次读取的行数不一致，没有生成新版本。",
    en="Two readings count different rows; no version was made.",
    fix_zh="请确认文件在导入期间未被改动后重试；若再次出现，请告知平台管理员。",
    fix_en="Make sure the files do not change during ingestion and try again; else tell the platform administrator.",
)  # fmt: skip
SOURCE_FAULTS: dict[str, Rule] = {
    found.code: found
    for found in (FILE_EMPTY, FILE_UNREADABLE, HEADER_UNREADABLE, ENCODING_UNSUPPORTED, LINES_UNREADABLE)
}

VERSION_MISSING = rule(
    "version-missing", Kind.CONFLICT, zh="该资源还没有数据版本。", en="The resource has no version yet.",
    fix_zh="请先导入数据。", fix_en="Ingest its files first.",
)  # fmt: skip
GRADES_INCOMPLETE = rule(
    "grades-incomplete", Kind.INVALID, zh="以下列没有分级：{columns}。", en="These columns have no grade: {columns}.",
    fix_zh="请对最新版本的每一列确认分级。", fix_en="Confirm a grade for every column of the latest version.", law="GB/T 43697-2024",
)  # fmt: skip
COLUMN_UNKNOWN = rule(
    "columns-unknown", Kind.INVALID, zh="最新版本没有这些列，或同一列写了两次：{columns}。",
    en="The latest version has no such columns, or one is named twice: {columns}.",
    fix_zh="请核对列名。", fix_en="Check the names.",
)  # fmt: skip
GRADE_WEAKER = rule(
    "grade-weaker", Kind.INVALID, zh="以下列的分级低于系统建议，且未说明理由：{columns}。",
    en="These grades are weaker than proposed, without a reason: {columns}.",
    fix_zh="请填写调整理由，或采用建议的分级。",
    fix_en="Give the reason for each, or take the proposed grade.", law="GB/T 43697-2024 就高从严",
)  # fmt: skip
CLASSIFICATION_MISSING = rule(
    "classification-missing", Kind.CONFLICT, zh="最新版本的列尚未全部确认分级：{columns}。",
    en="The classification of these columns is not confirmed: {columns}.",
    fix_zh="请先确认分类分级。",
    fix_en="Confirm the classification first.", law="27号 art.5",
)  # fmt: skip
USE_WIDER_UNCONFIRMED = rule(
    "use-wider-unconfirmed", Kind.INVALID, zh="以下列的用途宽于其级别的默认用途，未逐列确认：{columns}。",
    en="These columns allow more than their grade does by default, unconfirmed: {columns}.",
    fix_zh="请逐列确认，或收窄到默认用途。", fix_en="Confirm each of them by name, or narrow it to the default.",
)  # fmt: skip
UNIT_MISSING = rule(
    "privacy-unit-missing", Kind.INVALID, zh="没有指明保护对象（个人或企业）的标识列。",
    en="No column identifies the person or enterprise to protect.",
    fix_zh="请指明，例如统一社会信用代码列。", fix_en="Name it, for example the column of the credit code.",
)  # fmt: skip
ROW_FILTER_TOO_LONG = rule(
    "row-filter-too-long", Kind.INVALID, zh="行筛选条件过长（上限 {chars_max} 个字符）。",
    en="The row filter is too long (limit: {chars_max} characters).",
    fix_zh="请精简。", fix_en="Shorten it.",
)  # fmt: skip
DATA_CHANGED = rule(
    "data-changed", Kind.CONFLICT, zh="数据版本 {version} 的文件与清单摘要不符：{files}。",
    en="Files of the version {version} are not what its manifest says: {files}.",
    fix_zh="该版本停止使用；请从备份恢复原文件，并查明原因。",
    fix_en="The version cannot be used; restore the files from a backup and find out who changed them.",
)  # fmt: skip

NAME_CHARS_MAX = 63
TITLE_CHARS_MAX = 200
TEXT_CHARS_MAX = 2000
ROW_FILTER_CHARS_MAX = 2000
UNIT_MEANINGS = (Meaning.CREDIT_CODE, Meaning.ID_CARD)
"""What identifies the enterprise or person of a row."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _listed(names: list[str]) -> str:
    return "、".join(names)


def knows_of(actor: Actor, resource: Resource) -> bool:
    """Whether the actor's organisation may know that ``resource`` exists.

    Its supplier always; auditors always; everybody else once its classification is confirmed and its uses are set.
    """
    return resource.supplier == actor.party or Role.AUDITOR in actor.roles or resource.policy is not None


def of_supplier(actor: Actor, supplier: PartyId) -> Reason | None:
    """Return the reason against somebody who is not of the supplier."""
    return None if actor.party == supplier else NOT_THE_SUPPLIER.because()


def decide_create(resource: Resource, *, is_name_taken: bool) -> Decision[Resource]:
    """Accept the description of a new resource."""
    texts = {
        "title": resource.title, "summary": resource.summary, "theme": resource.theme,
        "update_cycle": resource.update_cycle, "legal_basis": resource.legal_basis,
    }  # fmt: skip
    missing = [name for name, text in texts.items() if not text.strip()]
    long = [
        n for n, t in texts.items() if len(t) > (TEXT_CHARS_MAX if n in {"summary", "legal_basis"} else TITLE_CHARS_MAX)
    ]
    is_well_formed = _NAME.fullmatch(resource.name) and len(resource.name) <= NAME_CHARS_MAX
    return decide(
        resource,
        None if is_well_formed else RESOURCE_NAME_MALFORMED.because(chars_max=NAME_CHARS_MAX),
        RESOURCE_NAME_TAKEN.because(name=resource.name) if is_name_taken and is_well_formed else None,
        RESOURCE_ITEM_MISSING.because(items=_listed(missing)) if missing else None,
        RESOURCE_ITEM_TOO_LONG.because(items=_listed(long), chars_max=TEXT_CHARS_MAX) if long else None,
        None if "update_cycle" in missing or resource.update_cycle in UPDATE_CYCLES
        else UPDATE_CYCLE_UNKNOWN.because(codes=_listed(list(UPDATE_CYCLES))),
    )  # fmt: skip


def decide_ingest(actor: Actor, resource: Resource, file_names: tuple[str, ...], limits: Limits) -> Decision[Resource]:
    """Accept files of the supplier's own people, not too many, each with a name of its own."""
    repeated = sorted({name for name in file_names if file_names.count(name) > 1})
    return decide(
        resource,
        of_supplier(actor, resource.supplier),
        None if file_names else FILES_MISSING.because(),
        FILES_TOO_MANY.because(files=len(file_names), files_max=limits.files_max)
        if len(file_names) > limits.files_max else None,
        FILE_NAMES_REPEAT.because(files=_listed(repeated)) if repeated else None,
    )  # fmt: skip


def reason_of(fault: SourceFault) -> Reason:
    """Return why a source file cannot be taken."""
    found = SOURCE_FAULTS[fault.code]
    return found.because(file=fault.file, number=fault.number)


def nothing_readable(rows_in: int, codes: tuple[str, ...]) -> Reason:
    """Return the reason against a version without rows."""
    return NOTHING_READABLE.because(rows_in=rows_in, codes=", ".join(sorted(codes)) or "—")


def decide_grades(
    actor: Actor, resource: Resource, version: ResourceVersion | None, grades: tuple[ColumnGrade, ...],
    defaults: Mapping[Grade, frozenset[Use]],
) -> Decision[Resource]:  # fmt: skip
    """Confirm the grade of every column; a weaker one than proposed needs a reason.

    Uses set before are narrowed to the defaults of columns whose grade is now stricter: they were not confirmed for
    that grade.
    """
    if version is None:
        return decide(resource, of_supplier(actor, resource.supplier), VERSION_MISSING.because())
    names = [column.name for column in version.manifest.columns]
    given = [grade.column for grade in grades]
    missing = [name for name in names if name not in given]
    unknown = sorted({name for name in given if name not in names or given.count(name) > 1})
    proposed: dict[str, Proposal] = {proposal.column: proposal for proposal in version.proposals}
    weaker = [
        g.column for g in grades
        if g.column in proposed and is_weaker(g.grade, proposed[g.column].grade) and not g.changed_reason.strip()
    ]  # fmt: skip
    long = [g.column for g in grades if len(g.changed_reason) > TEXT_CHARS_MAX]
    return decide(
        replace(resource, grades=grades, policy=_narrowed(resource, grades, defaults)),
        of_supplier(actor, resource.supplier),
        GRADES_INCOMPLETE.because(columns=_listed(missing)) if missing else None,
        COLUMN_UNKNOWN.because(columns=_listed(unknown)) if unknown else None,
        GRADE_WEAKER.because(columns=_listed(weaker)) if weaker else None,
        RESOURCE_ITEM_TOO_LONG.because(items=_listed(long), chars_max=TEXT_CHARS_MAX) if long else None,
    )


def _narrowed(
    resource: Resource, grades: tuple[ColumnGrade, ...], defaults: Mapping[Grade, frozenset[Use]]
) -> ResourcePolicy | None:
    if resource.policy is None:
        return None
    before = {grade.column: grade.grade for grade in resource.grades}
    stricter = {g.column: g.grade for g in grades if g.column not in before or is_weaker(before[g.column], g.grade)}
    columns = tuple(
        replace(c, uses=c.uses & defaults[stricter[c.column]]) if c.column in stricter else c
        for c in resource.policy.columns
    )
    return replace(resource.policy, columns=columns)


def ungraded(resource: Resource, version: ResourceVersion) -> list[str]:
    """Return the columns of ``version`` whose grade is not confirmed."""
    graded = {grade.column for grade in resource.grades}
    return [column.name for column in version.manifest.columns if column.name not in graded]


def mask_faults(policy: ResourcePolicy, version: ResourceVersion) -> list[Reason | None]:
    """Return what is wrong with the masks of ``policy``: a kind that does not fit the type, a parameter that is none."""
    types = {column.name: column.data_type.value for column in version.manifest.columns}
    return [
        policies.mask_fault(c.column, types[c.column], c.mask)
        for c in policy.columns
        if c.mask is not None and c.column in types
    ]


def decide_uses(
    actor: Actor,
    resource: Resource,
    version: ResourceVersion | None,
    policy: ResourcePolicy,
    unconfirmed: tuple[str, ...],
) -> Decision[Resource]:
    """Set the uses of a classified resource. ``unconfirmed``: wider than their default and not confirmed by name."""
    if version is None:
        return decide(resource, of_supplier(actor, resource.supplier), VERSION_MISSING.because())
    names = {column.name for column in version.manifest.columns}
    given = [column.column for column in policy.columns]
    unknown = sorted({n for n in (*given, *policy.unit) if n not in names} | {n for n in given if given.count(n) > 1})
    missing = ungraded(resource, version)
    return decide(
        replace(resource, policy=policy),
        of_supplier(actor, resource.supplier),
        CLASSIFICATION_MISSING.because(columns=_listed(missing)) if missing else None,
        COLUMN_UNKNOWN.because(columns=_listed(unknown)) if unknown else None,
        None if policy.unit else UNIT_MISSING.because(),
        USE_WIDER_UNCONFIRMED.because(columns=_listed(sorted(unconfirmed))) if unconfirmed else None,
        *mask_faults(policy, version),
        ROW_FILTER_TOO_LONG.because(chars_max=ROW_FILTER_CHARS_MAX) if len(policy.row_filter) > ROW_FILTER_CHARS_MAX else None,
    )  # fmt: skip
