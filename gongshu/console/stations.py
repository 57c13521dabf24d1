"""The flow from a resource to a payment, as stations with how much stands at each. Only what one may see is counted."""

from collections.abc import Callable
from dataclasses import dataclass

from gongshu.access.types import Actor
from gongshu.base.decisions import Refused
from gongshu.base.money import yuan
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.billing import service as billing
from gongshu.catalog import service as catalog
from gongshu.compute import service as compute
from gongshu.console.labels import Word, word
from gongshu.egress import service as egress
from gongshu.egress.types import OutputStatus
from gongshu.grants import service as grants
from gongshu.grants.types import GrantStatus
from gongshu.products import service as products
from gongshu.products.types import ContractStatus
from gongshu.registry import service as registry
from gongshu.registry.types import RegistrationStatus
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import EntitlementStatus

EVERY = PageRequest(limit=PAGE_ROWS_MAX)


@dataclass(frozen=True)
class Station:
    """One station: its name, how much stands there (empty: not for this reader to know), a note, the stretch it lies in."""

    title: Word
    stage: str
    icon: str
    path: str
    count: str = ""
    note: Word | None = None
    note_count: str = ""


def _resources(site: Site, actor: Actor) -> tuple[int, int]:
    rows = catalog.list_resources(site, actor, EVERY).rows
    return len(rows), sum(resource.policy is None for resource in rows)


def _registrations(site: Site, actor: Actor) -> tuple[int, int]:
    rows = registry.list_registrations(site, actor, EVERY).rows
    coded = sum(one.status is RegistrationStatus.CODED for one in rows)
    running = {RegistrationStatus.SUBMITTED, RegistrationStatus.ACCEPTED, RegistrationStatus.PUBLICITY}
    return coded, sum(one.status in running for one in rows)


def _grants(site: Site, actor: Actor) -> tuple[int, int]:
    rows = grants.list_grants(site, actor, EVERY).rows
    return sum(one.status is GrantStatus.ACTIVE for one in rows), sum(one.status is GrantStatus.ENDED for one in rows)


def _entitlements(site: Site, actor: Actor) -> tuple[int, int]:
    rows = scenarios.list_entitlements(site, actor, EVERY).rows
    active = sum(one.status is EntitlementStatus.ACTIVE for one in rows)
    return active, len(rows) - active


def _jobs(site: Site, actor: Actor) -> tuple[int, int]:
    return len(compute.list_jobs(site, actor, EVERY).rows), 0


def _outputs(site: Site, actor: Actor) -> tuple[int, int]:
    rows = egress.list_outputs(site, actor, EVERY).rows
    waiting = {OutputStatus.QUARANTINED, OutputStatus.IN_REVIEW, OutputStatus.APPROVED}
    return sum(one.status is OutputStatus.RELEASED for one in rows), sum(one.status in waiting for one in rows)


def _listings(site: Site, actor: Actor) -> tuple[int, int]:
    return len(products.list_listings(site, actor, EVERY).rows), 0


def _contracts(site: Site, actor: Actor) -> tuple[int, int]:
    rows = products.list_contracts(site, actor, EVERY).rows
    performing = sum(one.status is ContractStatus.PERFORMING for one in rows)
    signing = {ContractStatus.NEGOTIATING, ContractStatus.SIGNED_BY_OPERATOR}
    return performing, sum(one.status in signing for one in rows)


STATIONS: tuple[tuple[Station, Callable[[Site, Actor], tuple[int, int]]], ...] = (
    (
        Station(
            word("station", "Resources"), "supply", "database", "/resources", note=word("station", "%(n)s without uses")
        ),
        _resources,
    ),
    (
        Station(
            word("station", "Coded"), "supply", "certificate", "/registrations",
            note=word("station", "%(n)s on the way"),
        ),
        _registrations,
    ),
    (
        Station(word("station", "Grants"), "authorise", "shield-check", "/grants", note=word("station", "%(n)s ended")),
        _grants,
    ),
    (
        Station(
            word("station", "Entitlements"), "authorise", "key", "/entitlements", note=word("station", "%(n)s ended")
        ),
        _entitlements,
    ),
    (Station(word("station", "Jobs"), "compute", "code", "/jobs"), _jobs),
    (
        Station(
            word("station", "Released"), "review", "rubber-stamp", "/outputs", note=word("station", "%(n)s waiting")
        ),
        _outputs,
    ),
    (Station(word("station", "On the market"), "market", "package", "/market"), _listings),
    (
        Station(
            word("station", "Contracts"), "market", "file-certificate", "/contracts",
            note=word("station", "%(n)s being signed"),
        ),
        _contracts,
    ),
)  # fmt: skip


def stations_of(site: Site, actor: Actor) -> list[Station]:
    """Return the stations in the order of the flow, with the money at the end."""
    found = []
    for station, count in STATIONS:
        try:
            number, other = count(site, actor)
        except Refused:
            found.append(station)
            continue
        more = "+" if number + other >= PAGE_ROWS_MAX else ""  # one page is counted, not the whole store
        found.append(_counted(station, f"{number}{more}", str(other) if other else ""))
    money = Station(word("station", "Billed"), "money", "coin", "/statements")
    try:
        totals = billing.totals(site, actor)
    except Refused:
        return [*found, money]
    return [*found, _counted(money, f"¥{yuan(totals.billed_cost_minor)}", "")]


def _counted(station: Station, count: str, other: str) -> Station:
    return Station(
        station.title, station.stage, station.icon, station.path, count, station.note if other else None, other
    )
