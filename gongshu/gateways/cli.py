"""The registry of gateways on the command line."""

import json
from pathlib import Path

import msgspec

from gongshu.access.types import Actor
from gongshu.base.site import Keys, Site
from gongshu.gateways import service
from gongshu.gateways.types import GatewayView

COLUMNS = ("gateway 网关", "status 状态", "contracts 合约", "lease s 租约", "last seen 最近心跳", "address 地址")
BAR_CHARS = 24


def show(site: Site, actor: Actor, contracts: tuple[str, ...], *, as_json: bool) -> int:
    """Print the gateways, with a bar for the contracts that lie with each."""
    shown = service.list_gateways(site, actor, contracts)
    if as_json:
        print(msgspec.json.encode(shown).decode())
        return 0
    print(f"view 视图 {shown.epoch}")
    print(" | ".join(COLUMNS))
    most = max((gateway.contracts for gateway in shown.gateways), default=0)
    for gateway in shown.gateways:
        print(_line(gateway, most))
    return 0


def _line(gateway: GatewayView, most: int) -> str:
    seen = gateway.seen_at.isoformat(timespec="seconds") if gateway.seen_at else "—"
    bar = "█" * (gateway.contracts * BAR_CHARS // most if most else 0)
    texts = (gateway.name, gateway.status, gateway.contracts, gateway.lease_seconds_left, seen, gateway.address)
    return " | ".join(map(str, texts)) + f"  {bar}"


def register(site: Site, actor: Actor, name: str, address: str, public_key: str) -> int:
    """Register a gateway and print what it is known by."""
    made = service.register_gateway(site, actor, name, address, public_key)
    print(json.dumps({"name": made.id, "address": made.address, "public_key": made.public_key}))
    return 0


def write_off(site: Site, actor: Actor, name: str, reason: str) -> int:
    """Give a gateway up for lost."""
    print(service.write_off_gateway(site, actor, name, reason).status.value)
    return 0


def key(home: Path, keys: Keys, name: str) -> int:
    """Print the public key of a gateway on this machine; it is made at first use."""
    home.mkdir(parents=True, exist_ok=True)
    print(service.public_key_of(service.gateway_key(keys, name)))
    return 0
