"""Which columns a Python program is given, what it may write, and when it is refused before it runs.

A program is arbitrary code: no rule can follow a value through it. So it gets a column only if anything may be computed
of it anyway, and whatever it writes waits for two people (docs/decisions/0009).
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from gongshu.access.types import Actor
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, rule
from gongshu.base.digest import Ref, sha256_hex
from gongshu.compute.rules.jobs import OVERSIGHT, SYNTHETIC_LIMITS
from gongshu.compute.types import (
    Job,
    JobKind,
    JobLimits,
    JobPlan,
    JobReport,
    ModelMeasure,
    Program,
    ProgramInput,
    ProgramLimits,
    Projection,
    Relation,
)
from gongshu.policies.types import Thresholds, Use

COMPUTABLE = frozenset({Use.FILTER, Use.GROUP, Use.TOTAL})
"""What a program does with a column that it holds: conditions of every kind, grouping, sums. All three are needed."""

PRINTED = "printed.txt"
OUTPUT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\.(parquet|csv|txt|onnx)", re.ASCII)
DAY = timedelta(hours=24)
SPECIFICATION = "docs/decisions/0009-python-jobs.md"

PROGRAM_UNREADABLE = rule(
    "program-unreadable", Kind.INVALID, zh="程序第 {line} 行附近有语法错误，或者程序超过 {limit} 个字符。",
    en="The program cannot be read near line {line}, or is longer than {limit} characters.",
    fix_zh="请在合成数据上试运行后再提交。", fix_en="Try it on synthetic rows first.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_INPUT_MISSING = rule(
    "program-input-missing", Kind.INVALID, zh="作业没有申报要读取的资源和列，或同一资源、同一列申报了两次（{relation}）。",
    en="The job declares no relation and columns to read, or one of them twice ({relation}).",
    fix_zh="请逐项写明资源和列，例如 enterprise: 地区, 注册资本。",
    fix_en="Name each relation and its columns once, for example enterprise: region, capital.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_RELATION_UNKNOWN = rule(
    "program-relation-unknown", Kind.INVALID, zh="权益中没有名为 {relation} 的资源。", en="The entitlement has no relation {relation}.",
    fix_zh="可用的资源：{known}。", fix_en="Relations of the entitlement: {known}.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_COLUMN_UNKNOWN = rule(
    "program-column-unknown", Kind.INVALID, zh="资源 {relation} 中没有名为 {column} 的列。",
    en="The relation {relation} has no column {column}.",
    fix_zh="可用的列：{known}。", fix_en="Columns there: {known}.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_COLUMN_CLOSED = rule(
    "program-column-closed", Kind.FORBIDDEN,
    zh="列 {relation}.{column} 不能交给程序：程序可以对它做任何计算，而它只有用途“{uses}”，缺少“{missing}”。",
    en="The program is not given {relation}.{column}: a program may do anything with it; it has the uses {uses} and lacks {missing}.",
    fix_zh="请从申报中去掉该列；或请供数单位增加缺少的用途；或改用受控查询。",
    fix_en="Leave the column out, ask the supplier for the uses it lacks, or say it in governed SQL.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_RELATION_UNLINKED = rule(
    "program-relation-unlinked", Kind.FORBIDDEN,
    zh="程序读取不止一个资源，而资源 {relation} 没有申报任何可关联的列：程序可能用其他列把两者对应起来。",
    en="The program reads several relations and declares no column of {relation} that may be joined on: it could link by others.",
    fix_zh="请同时申报该资源的一个可关联列（以假名提供），或者每个作业只读一个资源。",
    fix_en="Declare a column of it with the use join (it comes as a pseudonym), or read one relation per job.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_OUTPUT_INVALID = rule(
    "program-output-invalid", Kind.INVALID, zh="输出文件 {output} 不能申报（最多 {limit} 个，文件名不重复）。",
    en="The output {output} cannot be declared (at most {limit}, each name once).",
    fix_zh="文件名只用小写字母、数字、- 和 _，以 .parquet、.csv、.txt 或 .onnx 结尾；printed.txt 由平台使用。",
    fix_en="Use lower-case letters, digits, - and _, ending in .parquet, .csv, .txt or .onnx; printed.txt is the platform's.",
    law=SPECIFICATION,
)  # fmt: skip
PROGRAM_JOBS_USED_UP = rule(
    "program-jobs-used-up", Kind.LIMIT_EXCEEDED, zh="该权益 24 小时内已提交 {limit} 个 Python 作业。",
    en="{limit} Python jobs were submitted under this entitlement within 24 hours.",
    fix_zh="请先在合成数据上调试，稍后再提交。", fix_en="Debug on synthetic rows and submit later.", law=SPECIFICATION,
)  # fmt: skip
PROGRAM_NO_NAMESPACES = rule(
    "program-no-namespaces", Kind.UNAVAILABLE, zh="本机不能创建用户命名空间，Python 作业不予运行。",
    en="This machine cannot make user namespaces; Python jobs do not run on it.",
    fix_zh="请平台管理员安装 bubblewrap 并允许非特权用户命名空间；受控查询不受影响。",
    fix_en="Let the administrator install bubblewrap and allow unprivileged user namespaces; governed SQL still runs.",
    law="docs/explanation/sandbox.md",
)  # fmt: skip
PROGRAM_IMAGE_MISSING = rule(
    "program-image-missing", Kind.UNAVAILABLE, zh="Python 作业的运行环境没有安装。", en="The environment of Python jobs is not installed.",
    fix_zh="请平台管理员运行 make setup-job。", fix_en="Let the administrator run make setup-job.", law="docs/explanation/sandbox.md",
)  # fmt: skip


def decide_program(
    relations: tuple[Relation, ...], code: str, inputs: tuple[ProgramInput, ...], outputs: tuple[str, ...],
    limits: ProgramLimits,
) -> Decision[tuple[Projection, ...]]:  # fmt: skip
    """Return what the program is given of each relation, or every reason against it."""
    known = {relation.name: relation for relation in relations}
    reasons = [*_code_faults(code, limits), *_output_faults(outputs, limits)]
    names = [one.relation for one in inputs]
    reasons += [PROGRAM_INPUT_MISSING.because(relation="—")] if not inputs else []
    reasons += [PROGRAM_INPUT_MISSING.because(relation=name) for name in sorted(set(names)) if names.count(name) > 1]
    found = []
    for one in inputs:
        relation = known.get(one.relation)
        if relation is None:
            there = ", ".join(known) or "—"
            reasons.append(PROGRAM_RELATION_UNKNOWN.because(relation=one.relation, known=there))
            continue
        reasons += _column_faults(relation, one.columns)
        if len(inputs) > 1 and not any(Use.JOIN in relation.policy.of(name).uses for name in one.columns):
            reasons.append(PROGRAM_RELATION_UNLINKED.because(relation=relation.name))
        found.append(_projection(relation, one.columns))
    return Denied(tuple(reasons)) if reasons else Permitted(tuple(found))


def _code_faults(code: str, limits: ProgramLimits) -> Iterator[Reason]:
    line = 0
    if code.strip() and len(code) <= limits.code_characters_max:
        try:
            ast.parse(code)
        except SyntaxError as error:
            line = error.lineno or 1
        except (ValueError, RecursionError, MemoryError):
            line = 1
        else:
            return
    yield PROGRAM_UNREADABLE.because(line=line, limit=limits.code_characters_max)


def _output_faults(outputs: tuple[str, ...], limits: ProgramLimits) -> Iterator[Reason]:
    for name in sorted(set(outputs)):
        if OUTPUT_NAME.fullmatch(name) is None or name == PRINTED or outputs.count(name) > 1:
            yield PROGRAM_OUTPUT_INVALID.because(output=name[:80], limit=limits.outputs_max)
    if len(outputs) > limits.outputs_max:
        yield PROGRAM_OUTPUT_INVALID.because(output=f"× {len(outputs)}", limit=limits.outputs_max)


def is_given(uses: frozenset[Use]) -> bool:
    """Whether a program may hold the values of a column with these uses: shown to anyone, or computed of in every way."""
    return Use.REVEAL in uses or uses >= COMPUTABLE


def column_form(uses: frozenset[Use]) -> str:
    """Return in which form a program gets a column with these uses: ``value``, ``pseudonym``, or ``""`` for not at all."""
    return "value" if is_given(uses) else "pseudonym" if Use.JOIN in uses else ""


def _column_faults(relation: Relation, columns: tuple[str, ...]) -> Iterator[Reason]:
    there = [column.name for column in relation.columns]
    if not columns:
        yield PROGRAM_INPUT_MISSING.because(relation=relation.name)
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            yield PROGRAM_INPUT_MISSING.because(relation=f"{relation.name}.{name}")
        if name not in there:
            yield PROGRAM_COLUMN_UNKNOWN.because(relation=relation.name, column=name, known=", ".join(there))
            continue
        uses = relation.policy.of(name).uses
        if not column_form(uses):
            yield PROGRAM_COLUMN_CLOSED.because(
                relation=relation.name, column=name, uses=", ".join(sorted(uses)) or "—",
                missing=", ".join(sorted(COMPUTABLE - uses)),
            )  # fmt: skip


def _projection(relation: Relation, columns: tuple[str, ...]) -> Projection:
    """Return the projection: values (masked) where they may be held, else pseudonyms that hold within one job."""
    given = tuple(name for name in columns if is_given(relation.policy.of(name).uses))
    others = tuple(name for name in columns if name not in given)
    return Projection(relation.name, relation.resource, given, pseudonyms=others)


def plan_program(  # noqa: PLR0917 - what is frozen
    entitlement: Ref,
    code: str,
    program: Program,
    inputs: tuple[Ref, ...],
    thresholds: Thresholds,
    limits: ProgramLimits,
) -> JobPlan:
    """Freeze a permitted program: code, inputs and environment by digest."""
    return JobPlan(
        JobKind.PYTHON, entitlement, code, sha256_hex(code.encode()), inputs, None, None, thresholds,
        job_limits(limits), program=program,
    )  # fmt: skip


def job_limits(limits: ProgramLimits) -> JobLimits:
    """Return what a Python job may use."""
    return JobLimits(
        limits.memory_bytes_max, limits.runtime_seconds_max, limits.output_rows_max, limits.output_bytes_max
    )


def trial_limits(limits: ProgramLimits) -> JobLimits:
    """Return what a trial on synthetic rows may use: somebody waits for it."""
    full, short = job_limits(limits), SYNTHETIC_LIMITS
    return JobLimits(
        min(full.memory_bytes_max, short.memory_bytes_max), min(full.runtime_seconds_max, short.runtime_seconds_max),
        min(full.output_rows_max, short.output_rows_max), min(full.output_bytes_max, short.output_bytes_max),
    )  # fmt: skip


def count_recent(jobs: tuple[Job, ...], now: datetime) -> int:
    """Return how many of ``jobs`` are Python jobs of the last 24 hours."""
    return sum(job.plan.kind is JobKind.PYTHON and job.submitted_at > now - DAY for job in jobs)


def seconds_to_wait(elapsed: float, tick_seconds: int) -> float:
    """Return how long a run that took ``elapsed`` seconds waits until the next multiple of the tick."""
    return -elapsed % tick_seconds if tick_seconds > 0 else 0.0


def as_seen(actor: Actor, job: Job) -> Job:
    """Return a job as ``actor`` may see it: of a program's files the author learns neither digest nor size before release.

    Names are those it declared. A digest or a size that the program chose would tell what nobody has reviewed.
    """
    if job.plan.kind is not JobKind.PYTHON or OVERSIGHT & actor.roles:
        return job
    files = tuple(replace(file, sha256="", bytes=0, rows=0) for file in job.files if file.name != PRINTED)
    report = job.report and replace(job.report, rows=0, models=())
    return replace(job, files=files, report=report)


def report_of_program(
    rows: int,
    seconds: float,
    tick_seconds: int,
    defences: tuple[str, ...],
    models: tuple[tuple[str, ModelMeasure], ...],
) -> JobReport:
    """Return what may be told about a run: its length in whole ticks, and that people must look at its output."""
    whole = seconds + seconds_to_wait(seconds, tick_seconds)
    return JobReport(rows, False, None, round(whole) * 1000, defences, needs_review=True, models=models)
