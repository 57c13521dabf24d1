"""Gateways are registered, shown, and given up for lost; each change of the members makes a new view."""

from pathlib import Path
from urllib.parse import urlsplit

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Permitted, Reason
from gongshu.base.site import Keys, Site, Transaction
from gongshu.gateways import rules, store
from gongshu.gateways.adapters import files, messages
from gongshu.gateways.types import GatewaysShown, GatewayStatus, GatewayView, RegisteredGateway, View
from gongshu.metering import service as metering

REASON_CHARS_MAX = 200


def gateway_key(keys: Keys, name: str) -> bytes:
    """Return the 32 secret bytes of a gateway, made at first use on its machine."""
    return keys.secret(f"gateway-{name}")


def is_spread(home: Path) -> bool:
    """Whether contracts are spread over several gateways here: then none may run alone."""
    return files.clustered_mark(home).exists()


def register_gateway(site: Site, actor: Actor, name: str, address: str, public_key: str = "") -> RegisteredGateway:
    """Let a gateway take part from its first sign of life on. Without ``public_key`` its key is made here, in the folder ``keys``."""
    is_name = metering.is_gateway_name(name)
    if not public_key and is_name:
        public_key = messages.public_key_of(gateway_key(site.keys, name))
    made = RegisteredGateway(
        name, address.rstrip("/"), public_key, actor.person, site.now(), GatewayStatus.REGISTERED
    )  # fmt: skip
    faults = (
        None if is_name else rules.GATEWAY_NAME_WRONG.because(),
        _address_reason(address),
        None if messages.is_public_key(public_key) or not is_name else rules.GATEWAY_KEY_WRONG.because(),
    )
    with site.db.transaction() as tx:
        known = store.GATEWAYS.find(tx, name) if is_name else None
        decision: Decision[RegisteredGateway] = access.guard(
            actor, Permission.ADMINISTER_GATEWAY_CHANGE, lambda: rules.decide_register(made, known, *faults)
        )
        audit.record(tx, site, actor=actor, action="gateway.register", subject=made.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.GATEWAYS.add(tx, made)
    registered = decision.value_or_raise()
    files.home_id(site.home, is_made=True)
    files.replace_file(files.clustered_mark(site.home), b"")
    return registered


def _address_reason(address: str) -> Reason | None:
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        is_good = False
    return None if is_good else rules.GATEWAY_ADDRESS_WRONG.because()


def write_off_gateway(site: Site, actor: Actor, name: str, reason: str) -> RegisteredGateway:
    """Go on without a gateway whose last records cannot be had: what was collected of it counts, and nothing more.

    Until then its contracts are not answered. What it answered last may then be answered once more; if it comes back, its
    records are collected and count again.
    """
    now = site.now()
    with site.db.transaction() as tx:
        gateway = store.GATEWAYS.get(tx, name)
        decision: Decision[RegisteredGateway] = access.guard(
            actor, Permission.ADMINISTER_GATEWAY_CHANGE, lambda: rules.decide_write_off(gateway, now)
        )
        facts = {"reason": reason[:REASON_CHARS_MAX]}
        if isinstance(decision, Permitted):
            store.GATEWAYS.save(tx, gateway, decision.value)
            facts |= {"epoch": str(change_view_in(tx, site).epoch)}
        audit.record(
            tx, site, actor=actor, action="gateway.write-off", subject=gateway.ref, decision=decision, facts=facts
        )
    return decision.value_or_raise()


def change_view_in(tx: Transaction, site: Site) -> View:
    """Put the view after the gateways as they are now into force."""
    view = rules.view_after(store.last_view(tx), store.GATEWAYS.all(tx), site.now())
    store.VIEWS.add(tx, view)
    return view


def change_gateway(site: Site, name: str, action: str) -> RegisteredGateway:
    """Let the platform take a step with a gateway, and put the new view into force."""
    with site.db.transaction() as tx:
        gateway = store.GATEWAYS.get(tx, name)
        decision = rules.decide_change(gateway, action)
        facts: dict[str, str] = {}
        if isinstance(decision, Permitted):
            store.GATEWAYS.save(tx, gateway, decision.value)
            view = change_view_in(tx, site)
            facts = {"epoch": str(view.epoch), "members": str(len(view.members))}
        audit.record(
            tx, site, actor=SYSTEM, action=f"gateway.{action}", subject=gateway.ref, decision=decision, facts=facts
        )
    return decision.value_or_raise()


def list_gateways(site: Site, actor: Actor, contracts: tuple[str, ...] = ()) -> GatewaysShown:
    """Return every gateway with its lease, when it was last heard of, and how many of ``contracts`` lie with it."""
    access.require(actor, Permission.READ_GATEWAY_VIEW)
    with site.db.reading() as tx:
        gateways, view = store.GATEWAYS.all(tx), store.last_view(tx)
    seen = {one.name: one for one in files.read_seen(site.home)}
    counts: dict[str, int] = {}
    for contract in contracts:
        owner = rules.owner_of(view.names if view else (), contract)
        counts[owner] = counts.get(owner, 0) + 1
    now, shown = site.now(), []
    for gateway in gateways:
        one, until = seen.get(gateway.id), gateway.leased_until
        is_member = gateway.status is GatewayStatus.MEMBER
        left = max(0, int((until - now).total_seconds())) if is_member and until is not None else 0
        shown.append(
            GatewayView(
                gateway.id, gateway.address, gateway.status, counts.get(gateway.id, 0), until if is_member else None,
                one.seen_at if one else None, left, one.epoch if one else 0, one.report.forwarded if one else 0,
                is_member and one is not None and one.report.is_complete,
            )
        )  # fmt: skip
    return GatewaysShown(view.epoch if view else 0, tuple(shown))
