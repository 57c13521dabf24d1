"""The command line: ``gongshu <command>``. Parses, calls one function, turns a refusal into words and an exit code."""

import argparse
import gc
import json
import logging
import sys
from collections.abc import Callable, Sequence
from getpass import getpass
from pathlib import Path

import uvicorn

from gongshu import __version__
from gongshu.base.decisions import Reason, Refused
from gongshu.parties import service as parties
from gongshu.parties.types import ANONYMOUS
from gongshu.server import demo
from gongshu.server.consents import consent_commands
from gongshu.server.gateways import add_gateway_arguments, gateway_commands
from gongshu.server.joint import acting, joint_commands
from gongshu.server.migrate import open_site
from gongshu.server.problems import EXIT_CODE_OF, leading_kind
from gongshu.server.python import python_commands
from gongshu.server.settings import Settings

log = logging.getLogger("gongshu")


def _serve(settings: Settings, _args: argparse.Namespace) -> int:
    from gongshu.server.asgi import create_app  # noqa: PLC0415 - other commands start faster without it

    app = create_app(open_site(settings))
    app.state.gateway_address = f"http://{settings.host}:{settings.gateway_port}"  # where a page tries a call
    gc.freeze()  # what is loaded now stays: the gate's short-lived trees are then collected without walking over it
    uvicorn.run(app, host=settings.host, port=settings.console_port, log_level="warning", server_header=False)
    return 0


def _worker(settings: Settings, _args: argparse.Namespace) -> int:
    from gongshu.server.worker import run_worker  # noqa: PLC0415 - other commands start faster without it

    site = open_site(settings)
    run_worker(site, settings.database_url or f"sqlite:///{settings.home / 'gongshu.db'}")
    return 0


def _gateway(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.delivery.api.gateway import run_gateway  # noqa: PLC0415 - other commands start faster without it
    from gongshu.server.wiring import gateway_ports  # noqa: PLC0415

    run_gateway(
        settings.home,
        settings.host,
        args.port or settings.gateway_port,
        *gateway_ports(settings.home),
        name=args.name or settings.gateway_name,
        control=args.control or settings.gateway_control,
        proxies=settings.gateway_proxies,
        collector=settings.traces,
    )
    return 0


def _demo(settings: Settings, args: argparse.Namespace) -> int:
    if args.once:
        result = demo.play_once(open_site(settings, is_demo=True), data=args.data, say=_say(quiet=args.json))
        print(json.dumps(result, ensure_ascii=False, indent=None if args.json else 2))
        return 0
    return demo.play_and_serve(settings, open_site(settings, is_demo=True), data=args.data, say=_say(quiet=False))


def _say(*, quiet: bool) -> Callable[[str], None]:
    def to_stderr(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    return (lambda _line: None) if quiet else to_stderr


def _audit_fsck(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.audit import cli as audit_cli  # noqa: PLC0415

    return audit_cli.fsck(open_site(settings), args.checkpoint.read_text() if args.checkpoint else "")


def _audit_prove(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.audit import cli as audit_cli  # noqa: PLC0415

    return audit_cli.prove(open_site(settings), args.id, args.out)


def _sql_explain(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli as compute_cli  # noqa: PLC0415

    sql = args.sql if args.sql != "-" else sys.stdin.read()
    return compute_cli.sql_explain(open_site(settings), args.entitlement, sql, tuple(args.param), as_json=args.json)


def _sql_submit(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli as compute_cli  # noqa: PLC0415

    sql = args.sql if args.sql != "-" else sys.stdin.read()
    return compute_cli.sql_submit(*acting(settings), args.entitlement, args.title, sql, tuple(args.param), args.engine)


def _sql_report(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli as compute_cli  # noqa: PLC0415

    return compute_cli.sql_report(*acting(settings), args.job, as_json=args.json)


def _token(settings: Settings, args: argparse.Namespace) -> int:
    site = open_site(settings)
    password = getpass("password 密码: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    secret, _ = parties.sign_in(site, args.login, password)
    found = parties.resolve_session(site, secret)
    actor = ANONYMOUS if found is None else found[0]
    try:
        print(parties.create_token(site, actor, label="gongshu token", days=args.days)[0])
    finally:
        parties.sign_out(site, actor, secret)
    return 0


def _budget(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.compute import cli as compute_cli  # noqa: PLC0415

    return compute_cli.show_budget(open_site(settings), args.entitlement, as_json=args.json)


def _copy_trace(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.access.types import SYSTEM  # noqa: PLC0415
    from gongshu.delivery import cli as delivery_cli  # noqa: PLC0415

    return delivery_cli.trace(open_site(settings), SYSTEM, args.file, as_json=args.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gongshu",
        description="gongshu 公数: authorized operation of public data 公共数据授权运营",
        epilog="All state lies under GONGSHU_HOME (default ./var). 所有状态保存在 GONGSHU_HOME（默认 ./var）。",
    )
    parser.add_argument("--version", action="version", version=f"gongshu {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Callable[[Settings, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("demo", _demo, "play the story on a synthetic city and open the console 在模拟城市上演示全流程")
    sub.add_argument("--once", action="store_true", help="play the story without a server, then end")
    sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    sub.add_argument("--data", type=Path, metavar="DIR", help="take the CSV files of DIR as enterprise registrations")
    command("serve", _serve, "run console and API 运行控制台和接口")
    command("worker", _worker, "run jobs and deadlines 运行作业和期限")
    add_gateway_arguments(command("gateway", _gateway, "serve product calls 运行产品调用网关"))
    audit = commands.add_parser("audit", help="check and prove the tamper-evident log 核验防篡改日志")
    parts = audit.add_subparsers(dest="part", required=True, metavar="part")
    fsck = parts.add_parser("fsck", help="recompute everything from the entries; exit 0 only when all is well")
    fsck.add_argument("--checkpoint", type=Path, help="a checkpoint you kept: the log must still contain it")
    fsck.set_defaults(run=_audit_fsck)
    prove = parts.add_parser("prove", help="write an inclusion proof of one entry")
    prove.add_argument("id", help="id of the entry")
    prove.add_argument("--out", type=Path, default=None, help="file to write (default: standard output)")
    prove.set_defaults(run=_audit_prove)
    sql = commands.add_parser("sql", help="governed SQL 受控查询").add_subparsers(dest="part", required=True)
    explain = sql.add_parser("explain", help="what the gate says of a statement")
    explain.add_argument("entitlement", help="id of the entitlement")
    explain.add_argument("sql", help="the statement, or - for standard input")
    explain.add_argument("--json", action="store_true", help="print one JSON object, lineage as OpenLineage facets")
    explain.set_defaults(run=_sql_explain)
    submit = sql.add_parser("submit", help="run a statement on real data; the result waits for review 提交语句")
    submit.add_argument("entitlement", help="id of the entitlement")
    submit.add_argument("sql", help="the statement, or - for standard input")
    submit.add_argument("--title", required=True, help="title of the job")
    submit.add_argument("--engine", choices=("duckdb", "spark"), default="", help="default: by the amount of data")
    submit.set_defaults(run=_sql_submit)
    report = sql.add_parser("report", help="how a job ran, and what was withheld 任务的运行报告")
    report.add_argument("job", help="id of the job")
    report.add_argument("--json", action="store_true", help="print one JSON object")
    report.set_defaults(run=_sql_report)
    for part in (explain, submit):
        part.add_argument(
            "--param", action="append", default=[], metavar="NAME:TYPE(LIMIT)=VALUE",
            help="a value for $NAME, or for the n-th ? (then NAME is n); several times for several",
        )  # fmt: skip
    sub = command("token", _token, "make a token for the command line and the API 生成命令行和接口令牌")
    sub.add_argument("login", help="whose token; the password is asked for, or read from standard input")
    sub.add_argument("--days", type=int, default=7, help="how long it is good (default 7)")
    budget = command("budget", _budget, "what noise has taken from the budget of an entitlement 查看使用资格的隐私预算")
    budget.add_argument("entitlement", help="id of the entitlement 使用资格编号")
    budget.add_argument("--json", action="store_true", help="print one JSON object 输出 JSON")
    gateway_commands(commands)
    copy = commands.add_parser("copy", help="copies of data packages 数据包副本").add_subparsers(
        dest="part", required=True
    )
    traced = copy.add_parser("trace", help="whose copy a leaked file is 泄露的文件属于哪份合约")
    traced.add_argument("file", type=Path, help="the file: CSV, Parquet or Excel")
    traced.add_argument("--json", action="store_true", help="print one JSON object")
    traced.set_defaults(run=_copy_trace)
    joint_commands(commands)
    python_commands(commands)
    consent_commands(commands)
    return parser


def refusal_text(reasons: tuple[Reason, ...]) -> str:
    """Return the reasons as lines for a terminal: code, what is wrong, article, what to do."""
    lines = []
    for reason in reasons:
        law = f" [{reason.rule.law}]" if reason.rule.law else ""
        lines.append(f"{reason.code}{law}: {reason.what.zh} {reason.what.en}\n  → {reason.fix.zh} {reason.fix.en}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. A refusal exits with the code of its kind (10 and above)."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(Settings.from_environment(), args))
    except Refused as refused:
        print(refusal_text(refused.reasons), file=sys.stderr)
        return EXIT_CODE_OF[leading_kind(refused.reasons)]
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
