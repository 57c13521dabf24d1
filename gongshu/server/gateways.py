"""``gongshu gateways …``: arguments of the command line, and who acts. What is done is the room's affair."""

import argparse
from collections.abc import Callable
from typing import Any

from gongshu.server.joint import acting
from gongshu.server.settings import Settings

Run = Callable[[Settings, argparse.Namespace], int]


def _list(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.delivery import service as delivery  # noqa: PLC0415 - other commands start faster without it
    from gongshu.gateways import cli  # noqa: PLC0415

    site, actor = acting(settings)
    return cli.show(site, actor, delivery.contracts_with_keys(site), as_json=args.json)


def _register(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.gateways import cli  # noqa: PLC0415

    return cli.register(*acting(settings), args.name, args.address, args.key)


def _write_off(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.gateways import cli  # noqa: PLC0415

    return cli.write_off(*acting(settings), args.name, args.reason)


def _key(settings: Settings, args: argparse.Namespace) -> int:
    from gongshu.gateways import cli  # noqa: PLC0415
    from gongshu.server.wiring import gateway_ports  # noqa: PLC0415

    return cli.key(settings.home, gateway_ports(settings.home)[1], args.name)


def add_gateway_arguments(sub: argparse.ArgumentParser) -> None:
    """Add what ``gongshu gateway`` takes; the environment gives what is left out."""
    sub.add_argument("--name", default="", help="its name among several (default: GONGSHU_GATEWAY_NAME, g1)")
    sub.add_argument("--port", type=int, default=0, help="where it listens (default: GONGSHU_GATEWAY_PORT, 8001)")
    sub.add_argument(
        "--control", default="", metavar="URL", help="where the control plane is, for one of several gateways"
    )


def gateway_commands(commands: Any) -> None:
    """Add the commands of several gateways."""
    text = "spread contracts over several gateways 把合约分布到多个网关"
    parts = commands.add_parser("gateways", help=text, description=text).add_subparsers(dest="part", required=True)

    def command(name: str, run: Run, words: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = parts.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    sub = command("list", _list, "show members, leases, contracts 显示成员、租约、合约")
    sub.add_argument("--json", action="store_true", help="print one JSON object")
    sub = command("register", _register, "let a gateway take part 登记网关")
    sub.add_argument("name", help="a letter and up to 23 letters and digits, all small")
    sub.add_argument("address", help="where the other gateways reach it, such as http://10.0.0.12:8001")
    sub.add_argument("--key", default="", help="its public key; without it, a key is made in this home folder")
    sub = command("write-off", _write_off, "go on without a gateway whose last records are lost 宣告网关丢失")
    sub.add_argument("name", help="name of the gateway")
    sub.add_argument("--reason", required=True, help="why; it stands in the log")
    sub = command("key", _key, "print the public key of a gateway on this machine 显示本机网关公钥")
    sub.add_argument("name", help="name of the gateway")
