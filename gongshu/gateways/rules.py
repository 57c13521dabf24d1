"""Who serves a contract, when a gateway may answer, and what may be done with a gateway. Pure.

A contract belongs to one member of the view: the one with the highest hash (rendezvous hashing, Thaler and Ravishankar 1998), so
that a member that comes or goes moves only the contracts that it gains or loses.
"""

from dataclasses import replace
from datetime import datetime
from hashlib import blake2b

from gongshu.access.types import Role
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, Reason, decide, decide_step, rule
from gongshu.gateways.types import (
    AdoptedView,
    Beat,
    GatewayStatus,
    Member,
    RegisteredGateway,
    Seen,
    Standing,
    Tenure,
    View,
)

VIEWS_KEPT_MAX = 64
"""Views that a gateway remembers while it waits for counts; with more changes than that it begins anew."""
BEAT_NUMBER_MAX = 1 << 53

S = GatewayStatus
_ADMINISTRATOR = Role.PLATFORM_ADMINISTRATOR

TRANSITIONS: dict[tuple[GatewayStatus, str], tuple[GatewayStatus, str]] = {
    (S.REGISTERED, "join"): (S.MEMBER, "platform"),
    (S.MEMBER, "leave"): (S.SETTLED, "platform"),
    (S.MEMBER, "settle"): (S.SETTLED, "platform"),
    (S.MEMBER, "write-off"): (S.WRITTEN_OFF, _ADMINISTRATOR),
    (S.SETTLED, "join"): (S.MEMBER, "platform"),
    (S.WRITTEN_OFF, "join"): (S.MEMBER, "platform"),
}
"""``join``: its first beat. ``settle``: it fell silent, and its folder shows that it has ended and what it recorded."""

# --------------------------------------------------------------------------------------------------------- refusals

GATEWAY_NAME_WRONG = rule(
    "gateway-name-wrong", Kind.INVALID, zh="网关名称格式不正确。", en="The name of the gateway is not well formed.",
    fix_zh="请使用以小写字母开头的至多 24 个小写字母和数字。", fix_en="Use a letter and up to 23 letters and digits, all small.",
)  # fmt: skip
GATEWAY_ADDRESS_WRONG = rule(
    "gateway-address-wrong", Kind.INVALID, zh="网关地址不正确。", en="The address of the gateway is not one.",
    fix_zh="请填写其他网关访问它的地址，如 http://10.0.0.12:8001。",
    fix_en="Give where the other gateways reach it, such as http://10.0.0.12:8001.",
)  # fmt: skip
GATEWAY_KEY_WRONG = rule(
    "gateway-key-wrong", Kind.INVALID, zh="网关公钥不正确。", en="The public key of the gateway is not one.",
    fix_zh="请填写 gongshu gateways key 所显示的公钥。", fix_en="Give the key that gongshu gateways key prints there.",
)  # fmt: skip
GATEWAY_KNOWN = rule(
    "gateway-known", Kind.CONFLICT, zh="网关 {name} 已登记。", en="The gateway {name} is registered already.",
    fix_zh="请使用其他名称。", fix_en="Take another name.",
)  # fmt: skip
GATEWAY_UNKNOWN = rule(
    "gateway-unknown", Kind.UNAUTHENTICATED, zh="没有登记该网关，或签名不正确。",
    en="No such gateway is registered, or its signature is not right.",
    fix_zh="请由平台管理员登记：gongshu gateways register。", fix_en="Have it registered: gongshu gateways register.",
)  # fmt: skip
GATEWAY_KEYS_DIFFER = rule(
    "gateway-keys-differ", Kind.CONFLICT, zh="网关 {name} 的共用密钥与平台不一致。",
    en="The gateway {name} does not hold the secrets that all gateways share.",
    fix_zh="请将 keys 文件夹中的共用密钥复制到该网关。", fix_en="Copy the shared secrets of the folder keys to its machine.",
)  # fmt: skip
GATEWAY_USAGE_MISSING = rule(
    "gateway-usage-missing", Kind.CONFLICT,
    zh="网关 {name} 缺少用量记录：平台已有第 {known} 段，它只有 {has} 段。",
    en="The gateway {name} has lost usage: segment {known} is known of it, and it has {has}.",
    fix_zh="请恢复其 usage 文件夹，或以新名称登记。", fix_en="Restore its folder usage, or register it by another name.",
)  # fmt: skip
BEAT_REPEATED = rule(
    "beat-repeated", Kind.CONFLICT, zh="该心跳已收到过。", en="This beat was received before.",
    fix_zh="请发送新的心跳。", fix_en="Send another.",
)  # fmt: skip
EPOCH_DIFFERS = rule(
    "epoch-differs", Kind.CONFLICT, zh="成员视图 {asked} 不是当前的 {current}。",
    en="The view {asked} is not the one in force, {current}.",
    fix_zh="请在取得当前视图后重试。", fix_en="Try again with the current view.",
)  # fmt: skip
GATEWAY_RUNS_UNSEEN = rule(
    "gateway-runs-unseen", Kind.CONFLICT, zh="网关 {name} 不是成员，但其用量文件夹正被使用。",
    en="The gateway {name} is no member, but a process has its usage folder.",
    fix_zh="请停止该进程，或以 --control 启动它。", fix_en="Stop that process, or start it with --control.",
)  # fmt: skip
LEASE_RUNS = rule(
    "lease-runs", Kind.CONFLICT, zh="网关 {name} 的租约至 {until} 才结束，它可能仍在服务。",
    en="The lease of {name} runs until {until}; it may still be serving.",
    fix_zh="请等到租约结束，或停止该网关。", fix_en="Wait for its end, or stop the gateway.",
)  # fmt: skip
CONTROL_NEEDED = rule(
    "control-needed", Kind.CONFLICT, zh="该平台的合约分布在多个网关上，单独启动会重复计数。",
    en="The contracts of this installation are spread over several gateways; one that runs alone would count anew.",
    fix_zh="请以 gongshu gateway --control 启动。", fix_en="Start it with gongshu gateway --control.",
)  # fmt: skip
SEGMENT_REFUSED = rule(
    "segment-refused", Kind.INVALID, zh="该用量段不属于网关 {name}，或与其封存不符。",
    en="This usage segment is not one of {name}, or not what its seal says.",
    fix_zh="请核查该网关的主机。", fix_en="Examine the machine of this gateway.",
)  # fmt: skip
CONTRACT_MOVING = rule(
    "contract-moving", Kind.UNAVAILABLE, zh="该合约正移到另一个网关。", en="This contract is moving to another gateway.",
    fix_zh="请稍后以同一请求编号重试。", fix_en="Try again in a moment with the same request id.",
)  # fmt: skip
LEASE_ENDED = rule(
    "lease-ended", Kind.UNAVAILABLE, zh="网关与控制平台失去联系，租约已结束，因此不作答复。",
    en="The gateway has lost the control plane and its lease has ended, so nothing is answered.",
    fix_zh="请稍后以同一请求编号重试；持续出现请联系平台。",
    fix_en="Try again later with the same request id; tell the platform if it goes on.",
)  # fmt: skip
PEER_AWAY = rule(
    "peer-away", Kind.UNAVAILABLE, zh="该合约所在的网关没有应答。", en="The gateway that this contract lies with does not answer.",
    fix_zh="请稍后以同一请求编号重试。", fix_en="Try again in a moment with the same request id.",
)  # fmt: skip
CONTRACT_ELSEWHERE = rule(
    "contract-elsewhere", Kind.UNAVAILABLE, zh="该合约不在这个网关。", en="This contract does not lie with this gateway.",
    fix_zh="请稍后以同一请求编号重试。", fix_en="Try again in a moment with the same request id.",
)  # fmt: skip

# -------------------------------------------------------------------------------------------------------- who serves


def weight(name: str, contract: str) -> bytes:
    """Return the hash that decides between gateways: BLAKE2b of the contract, keyed by the gateway's name."""
    return blake2b(contract.encode(), key=name.encode(), digest_size=16).digest()


def owner_of(names: tuple[str, ...], contract: str) -> str:
    """Return which of ``names`` a contract belongs to; an empty text when there is none."""
    return max(names, key=lambda name: (weight(name, contract), name), default="")


# --------------------------------------------------------------------------------------------------- what one may answer


def adopt(tenure: Tenure, view: View) -> Tenure:
    """Go by ``view`` from now on: contracts that it gives to others are not answered any more. Older views change nothing."""
    if view.epoch <= tenure.epoch:
        return tenure
    kept = tenure.views
    complete = [place for place, known in enumerate(kept) if known.is_complete]
    kept = kept[complete[-1] :] if complete else ()
    if len(kept) >= VIEWS_KEPT_MAX:
        kept = ()
    return replace(tenure, views=(*kept, AdoptedView(view.epoch, view.names)))


def complete(tenure: Tenure, epoch: int) -> Tenure:
    """Every other gateway has said under ``epoch`` that it stopped, and what it counted."""
    if tenure.epoch != epoch:
        return tenure
    return replace(tenure, views=(replace(tenure.views[-1], is_complete=True),))


def broken(tenure: Tenure) -> Tenure:
    """The lease has ended: whatever comes next begins with asking every other gateway anew."""
    return replace(tenure, views=tuple(replace(known, is_complete=False) for known in tenure.views[-1:]))


def standing_of(tenure: Tenure, contract: str) -> tuple[Standing, str]:
    """Return how a contract stands, and whose it is.

    It is held when it was this gateway's in every view since one under which all others' counts were there.
    """
    if not tenure.views:
        return Standing.NOWHERE, ""
    owner = owner_of(tenure.views[-1].names, contract)
    if owner != tenure.name:
        return (Standing.ELSEWHERE, owner) if owner else (Standing.NOWHERE, "")
    for known in reversed(tenure.views):
        if owner_of(known.names, contract) != tenure.name:
            return Standing.MOVING, owner
        if known.is_complete:
            return Standing.HELD, owner
    return Standing.MOVING, owner


def givers_of(tenure: Tenure) -> tuple[str, ...]:
    """Return the other members whose counts are needed. Those of gateways that are no members come from the control plane."""
    return tuple(name for name in tenure.views[-1].names if name != tenure.name) if tenure.views else ()


def decide_hand_over(tenure: Tenure, taker: str, epoch: int) -> Decision[str]:
    """A gateway tells its counts to a member of the same view, and of no other: by it, it has stopped."""
    is_member = bool(tenure.views) and taker in tenure.views[-1].names
    if epoch != tenure.epoch or not is_member:
        return Denied((EPOCH_DIFFERS.because(asked=epoch, current=tenure.epoch),))
    return Permitted(taker)


# ------------------------------------------------------------------------------------------------- the control plane


def decide_register(
    gateway: RegisteredGateway, known: RegisteredGateway | None, *faults: Reason | None
) -> Decision[RegisteredGateway]:
    """A gateway is registered once under its name."""
    return decide(gateway, *faults, None if known is None else GATEWAY_KNOWN.because(name=gateway.id))


def decide_beat(
    beat: Beat, gateway: RegisteredGateway, seen: Seen | None, keys_check: str, collected_segment: int
) -> Decision[Beat]:
    """A beat is believed once; the gateway must hold the shared secrets and all the usage that is known of it."""
    is_repeated = seen is not None and seen.incarnation == beat.incarnation and beat.number <= seen.number
    return decide(
        beat,
        BEAT_REPEATED.because() if is_repeated or not 0 < beat.number <= BEAT_NUMBER_MAX else None,
        None if beat.keys_check == keys_check else GATEWAY_KEYS_DIFFER.because(name=gateway.id),
        GATEWAY_USAGE_MISSING.because(name=gateway.id, known=collected_segment, has=beat.last_segment)
        if beat.last_segment < collected_segment
        else None,
    )


def decide_change(gateway: RegisteredGateway, action: str) -> Decision[RegisteredGateway]:
    """Return the gateway after ``action``."""
    step = decide_step("gateway", TRANSITIONS, gateway.status, action)
    return step if isinstance(step, Denied) else Permitted(replace(gateway, status=step.value))


def leased(gateway: RegisteredGateway, until: datetime) -> RegisteredGateway:
    """Return a gateway that may go on by itself until then."""
    return replace(gateway, leased_until=until)


def decide_write_off(gateway: RegisteredGateway, now: datetime) -> Decision[RegisteredGateway]:
    """A gateway is given up for lost only when it must have stopped."""
    is_leased = gateway.leased_until is not None and now < gateway.leased_until
    step = decide_change(gateway, "write-off")
    reasons = step.reasons if isinstance(step, Denied) else ()
    until = gateway.leased_until.isoformat(timespec="seconds") if gateway.leased_until else ""
    return decide(
        replace(gateway, status=S.WRITTEN_OFF), *reasons,
        LEASE_RUNS.because(name=gateway.id, until=until) if is_leased else None,
    )  # fmt: skip


def view_after(before: View | None, gateways: tuple[RegisteredGateway, ...], now: datetime) -> View:
    """Return the view of the gateways that are members now, numbered after ``before``."""
    members = sorted(
        (Member(gateway.id, gateway.address, gateway.public_key) for gateway in gateways if gateway.status is S.MEMBER),
        key=lambda member: member.name,
    )
    return View((before.epoch if before else 0) + 1, now, tuple(members))
