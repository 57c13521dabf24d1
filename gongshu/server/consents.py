"""``gongshu consent …`` and ``gongshu lookup …``: arguments of the command line. What is done is the rooms' affair."""

import argparse
from typing import Any

from gongshu.compute.types import LookupDefinition, LookupKey, LookupOutput
from gongshu.server.joint import acting
from gongshu.server.settings import Settings


def _pair(text: str) -> tuple[str, str]:
    """Read ``name=value``."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name.strip(), value.strip()


def _output(text: str) -> LookupOutput:
    """Read ``name=column`` or ``name=column:bound,bound``."""
    name, column = _pair(text)
    column, _, bounds = column.partition(":")
    return LookupOutput(name, column, tuple(bound.strip() for bound in bounds.split(",") if bound.strip()))


def _submit(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli  # noqa: PLC0415 - other commands start faster without it

    definition = LookupDefinition(args.relation, tuple(LookupKey(*key) for key in args.key), tuple(args.tag))
    return cli.lookup_submit(*acting(settings), args.entitlement, args.title, definition)


def _give(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.consents import cli  # noqa: PLC0415

    given = dict(args.subject)
    return cli.consent_give(*acting(settings), args.contract, given, args.days, is_confirmed=args.confirmed)


def _withdraw(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.consents import cli  # noqa: PLC0415

    return cli.consent_withdraw(*acting(settings), args.consent)


def _list(settings: Settings, _args: argparse.Namespace) -> int:
    from gongshu.consents import cli  # noqa: PLC0415

    return cli.consent_list(*acting(settings))


def _token(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.consents import cli  # noqa: PLC0415

    return cli.consent_token(*acting(settings), args.consent)


def consent_commands(commands: Any) -> None:
    """Add ``lookup submit`` and ``consent give | withdraw | list | token``. Who acts is told by the token in GONGSHU_TOKEN."""
    text = "look-ups of tags, bands and scores 标签查询"
    parts = commands.add_parser("lookup", help=text, description=text)
    sent = parts.add_subparsers(dest="part", required=True, metavar="part").add_parser(
        "submit", help="build a look-up of real data; its artifact waits for review 提交标签查询"
    )
    sent.add_argument("entitlement", help="id of the entitlement")
    sent.add_argument("relation", help="relation that it reads")
    sent.add_argument("--title", required=True, help="title of the job")
    sent.add_argument(
        "--key",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="input field that names the subject",
    )
    sent.add_argument(
        "--tag", type=_output, action="append", default=[], metavar="NAME=COLUMN[:BOUND,…]",
        help="a tag, with rising bounds where it is an amount; several times for several",
    )  # fmt: skip
    sent.set_defaults(run=_submit)
    text = "consent of the subject 个人同意"
    parts = commands.add_parser("consent", help=text, description=text).add_subparsers(
        dest="part", required=True, metavar="part"
    )
    given = parts.add_parser("give", help="record at the desk that a subject agreed 登记同意")
    given.add_argument("contract", help="id of the contract")
    given.add_argument(
        "--subject", type=_pair, action="append", default=[], metavar="FIELD=VALUE", help="who agreed; kept nowhere"
    )
    given.add_argument("--days", type=int, default=30, help="for how many days")
    given.add_argument(
        "--confirmed", action="store_true", help="the subject was identified, told every point, and agreed"
    )
    given.set_defaults(run=_give)
    gone = parts.add_parser("withdraw", help="withdraw a consent at the desk 撤回同意")
    token = parts.add_parser("token", help="print the token of a consent, for its consumer 取得凭证")
    for part, run in ((gone, _withdraw), (token, _token)):
        part.add_argument("consent", help="number of the consent")
        part.set_defaults(run=run)
    parts.add_parser("list", help="list the newest consents 列出同意").set_defaults(run=_list)
