"""A small city for tests: parties with people, one resource with a version, and the way from there to an entitlement.

Parties, people and the resource are put straight into their stores (no passwords, no files), so that hundreds of
cities can be made in a second; everything after that goes through the real services.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.identifiers import credit_check_character
from gongshu.base.ids import PartyId, PersonId, ResourceId, VersionId
from gongshu.base.money import Tier
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.catalog import store as catalog_store
from gongshu.catalog.types import Column, DataType, Manifest, Resource, ResourceVersion
from gongshu.grants import service as grants
from gongshu.grants.types import (
    AGREEMENT_PARTS,
    PLAN_PARTS,
    Agreement,
    CollectiveDecision,
    Grant,
    GrantTerms,
    Mode,
    Part,
    Plan,
    PriceRule,
    ProductClass,
    ResourceScope,
    Right,
    SelectionMethod,
)
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use
from gongshu.registry import service as registry
from gongshu.registry.types import MATERIALS, Material, Registration
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement, Need, Scenario, ScenarioTerms
from gongshu.server.database import ControlDatabase
from gongshu.server.wiring import make_site

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
RESOURCE = ResourceId("resource-enterprise")
COLUMNS = ("code", "name", "region", "year", "capital")
POLICY = ResourcePolicy(
    (
        ColumnPolicy("code", frozenset({Use.JOIN, Use.COMPARE})),
        ColumnPolicy("name", frozenset({Use.COMPARE})),
        ColumnPolicy("region", frozenset({Use.GROUP, Use.FILTER, Use.TOTAL})),
        ColumnPolicy("year", frozenset({Use.GROUP, Use.FILTER, Use.TOTAL, Use.RANK})),
        ColumnPolicy("capital", frozenset({Use.TOTAL})),
    ),
    unit=("code",),
)
PEOPLE = {
    "supplier": ("bureau", Role.SUPPLIER),
    "registrar": ("registrar", Role.REGISTRAR),
    "government": ("government", Role.AUTHORISING_BODY),
    "agency": ("agency", Role.IMPLEMENTING_AGENCY),
    "agency-head": ("agency", Role.IMPLEMENTING_AGENCY),
    "operator": ("operator", Role.OPERATOR),
    "other-operator": ("other-operator", Role.OPERATOR),
    "assessor-1": ("university", Role.ASSESSOR),
    "assessor-2": ("university", Role.ASSESSOR),
    "assessor-3": ("university", Role.ASSESSOR),
    "developer": ("developer", Role.DEVELOPER),
    "auditor": ("audit-office", Role.AUDITOR),
    "bank": ("bank", Role.CONSUMER),
}
FULL_POINTS = {"public_value": 20, "necessity": 20, "safety": 16, "feasibility": 12, "demand": 12}
DECISION = CollectiveDecision("常务会议", "〔2026〕17号", "0" * 64)


class StillClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


def credit_code(number: int) -> str:
    """Return a synthetic credit code with a right check character."""
    body = f"91450000MA{number:07d}"
    return body + credit_check_character(body)


def found_city(site: Site) -> dict[str, Actor]:
    """Put parties, people and one resource into the stores; return everybody as an actor, by login."""
    roles: dict[str, set[Role]] = {}
    for organisation, role in PEOPLE.values():
        roles.setdefault(organisation, set()).add(role)
    with site.db.transaction() as tx:
        for number, (organisation, held) in enumerate(roles.items()):
            party = Party(
                PartyId(organisation), organisation, credit_code(number), frozenset(held), "450100",
                is_public_institution=Role.REGISTRAR in held,
            )  # fmt: skip
            parties_store.PARTIES.add(tx, party)
        for login, (organisation, role) in PEOPLE.items():
            person = Person(PersonId(f"person-{login}"), PartyId(organisation), login, login, frozenset({role}))
            parties_store.PEOPLE.add(tx, person)
        put_resource(tx)
    return {
        login: Actor(PersonId(f"person-{login}"), PartyId(organisation), frozenset({role}), login)
        for login, (organisation, role) in PEOPLE.items()
    }


def put_resource(tx: object) -> None:
    """Put the resource and its first version into the catalog, without files."""
    manifest = Manifest(RESOURCE, 1, tuple(Column(name, DataType.TEXT) for name in COLUMNS), (), ())
    version = ResourceVersion(
        VersionId("version-1"), RESOURCE, 1, manifest, manifest.digest, 0, 0, 0, (), (), (), (), START
    )
    resource = Resource(
        RESOURCE, PartyId("bureau"), "enterprise", "企业登记", "企业登记信息", "market", "monthly", "法定职责",
        latest_version=1, policy=POLICY,
    )  # fmt: skip
    catalog_store.RESOURCES.add(tx, resource)
    catalog_store.VERSIONS.add(tx, version)


@contextmanager
def city(folder: Path) -> Iterator[tuple[Site, dict[str, Actor], StillClock]]:
    """Give a city on a fresh SQLite database in ``folder``."""
    clock = StillClock()
    site = make_site(folder, database_url=f"sqlite:///{folder / 'gongshu.db'}", clock=clock)
    with closing(cast(ControlDatabase, site.db)) as database:
        METADATA.create_all(database.engine)
        yield site, found_city(site), clock


def materials() -> tuple[Material, ...]:
    return tuple(Material(code, "已说明") for code in MATERIALS)


def plan_parts() -> tuple[Part, ...]:
    texts = dict.fromkeys(PLAN_PARTS, "已说明") | {"P07": "公共治理、公益事业类：核对；产业发展、行业发展类：核验。"}
    return tuple(Part(code, text) for code, text in texts.items())


def agreement_parts() -> tuple[Part, ...]:
    return tuple(Part(code, "已约定") for code in AGREEMENT_PARTS)


def submit(site: Site, actors: dict[str, Actor]) -> Registration:
    return registry.submit(
        site, actors["supplier"], resource_id=RESOURCE, version_number=1, title="企业登记", summary="企业登记信息",
        materials=materials(),
    )  # fmt: skip


def register(site: Site, actors: dict[str, Actor], clock: StillClock) -> Registration:
    """Take the resource to its code; the clock moves past the publicity."""
    filed = submit(site, actors)
    registry.accept(site, actors["registrar"], filed.id)
    registry.pass_review(site, actors["registrar"], filed.id)
    clock.time += timedelta(days=30)
    return registry.assign_code(site, actors["registrar"], filed.id)


def approve_plan(site: Site, actors: dict[str, Actor]) -> Plan:
    plan = grants.write_plan(site, actors["agency"], title="方案", mode=Mode.SCENARIO, parts=plan_parts())
    grants.submit_plan(site, actors["agency"], plan.id)
    return grants.decide_plan(site, actors["government"], plan.id, True, DECISION, "同意")


def grant_terms(registration: Registration, *, start: datetime = START, days: int = 1000) -> GrantTerms:
    scope = ResourceScope(RESOURCE, "enterprise", registration.ref, PartyId("bureau"), POLICY)
    return GrantTerms(
        agency=PartyId("agency"), operator=PartyId("operator"), mode=Mode.SCENARIO, rights=frozenset(Right),
        purposes=("inclusive_finance", "public_service"), period=Period(start, start + timedelta(days=days)),
        scope=(scope,), price=PriceRule(600, (Tier(20_000_000, "0.5"), Tier(None, "0.6")), "0.4"),
        exit_duties=("停止访问", "销毁数据"),
    )  # fmt: skip


def propose(site: Site, actors: dict[str, Actor], plan: Plan, terms: GrantTerms) -> Agreement:
    return grants.propose_agreement(
        site, actors["agency"], plan_id=plan.id, selection=SelectionMethod.OPEN_TENDER, terms=terms,
        parts=agreement_parts(),
    )  # fmt: skip


def issue(site: Site, actors: dict[str, Actor], registration: Registration) -> Grant:
    """Take a coded registration to a grant in force."""
    agreement = propose(site, actors, approve_plan(site, actors), grant_terms(registration))
    grants.sign_agreement(site, actors["agency-head"], agreement.id, DECISION)
    grants.sign_agreement(site, actors["operator"], agreement.id)
    return grants.issue_grant(site, actors["agency"], agreement.id)


def scenario_terms(grant: Grant, start: datetime, **changed: object) -> ScenarioTerms:
    needs = (
        Need(RESOURCE, "code", frozenset({Use.COMPARE}), "核验比对"),
        Need(RESOURCE, "region", frozenset({Use.GROUP}), "分区域统计"),
    )
    terms = ScenarioTerms(
        grant=grant.id, title="普惠金融", purpose="inclusive_finance", product_class=ProductClass.INDUSTRIAL, needs=needs,
        developer=PartyId("developer"), period=Period(start, start + timedelta(days=100)),
    )  # fmt: skip
    return replace(terms, **changed)  # type: ignore[arg-type]


def score(site: Site, actors: dict[str, Actor], scenario: Scenario, number: int) -> Scenario:
    reasons = dict.fromkeys(FULL_POINTS, "符合")
    return scenarios.score(site, actors[f"assessor-{number}"], scenario.id, FULL_POINTS, reasons)


def entitle(site: Site, actors: dict[str, Actor], grant: Grant, **changed: object) -> Entitlement:
    """Take a grant to an entitlement."""
    filed = scenarios.apply(site, actors["operator"], terms=scenario_terms(grant, site.now(), **changed))
    for number in (1, 2, 3):
        score(site, actors, filed, number)
    made = scenarios.decide(site, actors["agency"], filed.id, approves=True, reason="同意")
    assert isinstance(made, Entitlement)
    return made
