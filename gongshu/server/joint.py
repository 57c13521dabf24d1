"""``gongshu joint …``: arguments of the command line, and who acts. What is done is the room's affair."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gongshu.access.types import Actor
from gongshu.base.site import Site
from gongshu.catalog.types import DataType
from gongshu.compute.service import JointHalf, JointTerms
from gongshu.compute.types import JointKind, JointLearners
from gongshu.parties import service as parties
from gongshu.parties.types import ANONYMOUS
from gongshu.server.migrate import open_site
from gongshu.server.settings import Settings

Run = Callable[[Settings, argparse.Namespace], int]
LETTER_BYTES_READ_MAX = 1 << 20


def acting(settings: Settings) -> tuple[Site, Actor]:
    """Return the site and the person whose token is in the environment; nobody in particular without one."""
    site = open_site(settings)
    found = parties.resolve_token(site, settings.token) if settings.token else None
    return site, found or ANONYMOUS


def _half(args: argparse.Namespace) -> JointHalf:
    return JointHalf(
        relation=args.relation, key_column=args.key, rows_max=args.rows_max, address=args.address,
        value_column=args.value, value_scale=args.scale, is_padded=args.pad,
    )  # fmt: skip


def _propose(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415 - other commands start faster without it

    terms = JointTerms(
        kind=JointKind(args.kind), purpose=args.purpose, learners=JointLearners(args.learners),
        peer_brings_value=args.peer_value, key_type=DataType(args.key_type), connect_seconds=args.connect_seconds,
        silence_seconds=args.silence_seconds, runtime_seconds=args.runtime_seconds, valid_days=args.valid_days,
    )  # fmt: skip
    return cli.joint_propose(*acting(settings), args.entitlement, terms, _half(args), args.out)


def _agree(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    with args.letter.open("rb") as file:
        letter = file.read(LETTER_BYTES_READ_MAX)
    return cli.joint_agree(*acting(settings), letter, args.fingerprint, args.entitlement, _half(args), args.out)


def _status(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.joint_status(*acting(settings), args.id, watches=args.watch, as_json=args.json)


def _letter(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.joint_letter(*acting(settings), args.id, args.out)


def _again(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.joint_again(*acting(settings), args.id)


def _withdraw(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.joint_withdraw(*acting(settings), args.id)


def _fingerprint(settings: Settings, _args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415

    return cli.joint_fingerprint(*acting(settings))


def _add_half(sub: argparse.ArgumentParser, *, is_required: bool) -> None:
    """Our own side of the task."""
    sub.add_argument("--relation", required=is_required, default="", help="our relation, as the entitlement names it")
    sub.add_argument("--key", required=is_required, default="", help="our key column, the privacy unit")
    sub.add_argument("--rows-max", type=int, default=100_000, help="most keys that we bring (default 100000)")
    sub.add_argument("--address", required=is_required, default="", help="host:port where our node listens")
    sub.add_argument("--value", default="", help="our value column, if we bring the values of a sum")
    sub.add_argument("--scale", type=int, default=0, help="decimal places of the value that are exact (2: fen)")
    sub.add_argument(
        "--pad", action="store_true", help="fill up to --rows-max: the peer does not learn how many we have"
    )


def _add_terms(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("entitlement", help="id of our entitlement")
    sub.add_argument("--kind", required=True, choices=list(JointKind), help="what is computed")
    sub.add_argument("--purpose", required=True, help="what for, in a few words")
    sub.add_argument("--learners", default="proposer", choices=list(JointLearners), help="who learns the outcome")
    sub.add_argument("--peer-value", action="store_true", help="the peer brings the values of a sum")
    sub.add_argument("--key-type", default=DataType.TEXT, choices=list(DataType), help="how both sides read keys")
    for name in ("connect", "silence", "runtime"):
        sub.add_argument(
            f"--{name}-seconds", type=int, default=0, help=f"instead of the parameter joint.{name}.seconds"
        )
    sub.add_argument("--valid-days", type=int, default=0, help="at most the parameter joint.validity.days")


def joint_commands(commands: Any) -> None:
    """Add the commands of joint computing."""
    text = "compute with another node, neither showing its rows 与另一节点联合计算"
    parts = commands.add_parser("joint", help=text, description=text).add_subparsers(dest="part", required=True)

    def command(name: str, run: Run, words: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = parts.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    sub = command("fingerprint", _fingerprint, "print the fingerprint of our node's certificate 显示本节点证书指纹")
    sub = command("propose", _propose, "propose a joint task; writes the letter for the peer 提出联合任务")
    _add_terms(sub)
    _add_half(sub, is_required=True)
    sub.add_argument("--out", type=Path, help="file to write the letter to")
    sub = command("agree", _agree, "answer a proposal, or confirm an answer or a confirmation 答复或确认")
    sub.add_argument("letter", type=Path, help="the file that the peer wrote")
    sub.add_argument("--fingerprint", required=True, help="of the peer's certificate, as told over another channel")
    sub.add_argument("--entitlement", default="", help="id of our entitlement, to answer a proposal")
    _add_half(sub, is_required=False)
    sub.add_argument("--out", type=Path, help="file to write our letter to, if one follows")
    sub = command("status", _status, "show agreements and how far their runs are 查看协议与进度")
    sub.add_argument("id", nargs="?", default="", help="id of the agreement (default: list all)")
    sub.add_argument("--watch", action="store_true", help="show a bar until the run is over")
    sub.add_argument("--json", action="store_true", help="print one JSON object")
    sub = command("letter", _letter, "write the letter that the peer needs next once more 重新导出文书")
    sub.add_argument("id", help="id of the agreement")
    sub.add_argument("--out", type=Path, help="file to write the letter to")
    sub = command("again", _again, "queue our side once more where the peer's node did not come 重新排队")
    sub.add_argument("id", help="id of the agreement")
    sub = command("withdraw", _withdraw, "withdraw an agreement that has not come to a meeting 撤回协议")
    sub.add_argument("id", help="id of the agreement")
