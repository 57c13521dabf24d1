"""``gongshu python …``: arguments of the command line. What is done is the room's affair."""

import argparse
from pathlib import Path
from typing import Any

from gongshu.base.decisions import Kind, Refused, rule
from gongshu.compute.service import Submission
from gongshu.compute.types import ProgramInput
from gongshu.server.joint import acting
from gongshu.server.settings import Settings

PROGRAM_FILE_UNREADABLE = rule(
    "program-file-unreadable", Kind.INVALID, zh="无法读取程序文件 {file}。", en="The program file {file} cannot be read.",
    fix_zh="请指定一个 UTF-8 编码的 .py 文件。", fix_en="Name a .py file in UTF-8.",
)  # fmt: skip


def _input(text: str) -> ProgramInput:
    """Read ``relation:column,column``."""
    relation, _, columns = text.partition(":")
    return ProgramInput(relation.strip(), tuple(one.strip() for one in columns.split(",") if one.strip()))


def _submission(args: argparse.Namespace) -> Submission:
    try:
        code = args.program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused((PROGRAM_FILE_UNREADABLE.because(file=args.program.name),)) from None
    return Submission(code, tuple(args.read), tuple(args.write))


def _try(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415 - other commands start faster without it

    return cli.python_try(*acting(settings), args.entitlement, _submission(args), as_json=args.json)


def _submit(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.python_submit(*acting(settings), args.entitlement, args.title, _submission(args))


def python_commands(commands: Any) -> None:
    """Add ``python try`` and ``python submit``. Who acts is told by the token in GONGSHU_TOKEN."""
    text = "Python jobs in a sandbox 沙箱中的 Python 作业"
    parts = commands.add_parser("python", help=text, description=text).add_subparsers(
        dest="part", required=True, metavar="part"
    )
    tried = parts.add_parser("try", help="run a program on synthetic rows 在合成数据上运行程序")
    tried.add_argument("--json", action="store_true", help="print one JSON object")
    tried.set_defaults(run=_try)
    sent = parts.add_parser("submit", help="run a program on real data; its output waits for review 提交程序")
    sent.add_argument("--title", required=True, help="title of the job")
    sent.set_defaults(run=_submit)
    for part in (tried, sent):
        part.add_argument("entitlement", help="id of the entitlement")
        part.add_argument("program", type=Path, help="file with the program")
        part.add_argument(
            "--read", type=_input, action="append", default=[], metavar="RELATION:COLUMN,…",
            help="a relation and the columns that the program gets of it; several times for several",
        )  # fmt: skip
        part.add_argument(
            "--write",
            action="append",
            default=[],
            metavar="NAME",
            help="a file that it may write, such as result.parquet",
        )
