"""How each installation comes to an entitlement over its own table: every step of the flow, by its own people."""

import calendar
import csv
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import cast

from gongshu.access.types import Actor
from gongshu.base.days import Period, add_years, start_of_day
from gongshu.base.money import Tier
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.catalog.types import ColumnGrade
from gongshu.grants import service as grants
from gongshu.grants.types import CollectiveDecision, GrantTerms, Mode, PriceRule, ProductClass, ResourceScope, Right
from gongshu.grants.types import SelectionMethod as Selection
from gongshu.parties import service as parties
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use
from gongshu.registry import service as registry
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement, Need, ScenarioTerms
from gongshu.server.demo.cast import ORGANISATIONS, Organisation, set_up_cast
from gongshu.server.demo.texts import AGREEMENT_PARTS, EXIT_DUTIES, MATERIALS, PLAN_PARTS
from gongshu.server.migrate import open_site
from gongshu.server.settings import Settings
from gongshu.server.wiring import DemoClock

PURPOSE = "inclusive_finance"
CODE, BALANCE = "统一社会信用代码", "贷款余额"
COUNTED = frozenset({Use.GROUP, Use.FILTER, Use.TOTAL})
POINTS = {"public_value": 22, "necessity": 21, "safety": 17, "feasibility": 13, "demand": 13}
BANK_NAMES = {
    "government": "海岳银行董事会（模拟）", "agency": "海岳银行数据管理部（模拟）", "market-bureau": "海岳银行信贷部（模拟）",
    "social-bureau": "海岳银行人力资源部（模拟）", "registrar": "海岳银行数据登记岗（模拟）", "operator": "海岳金科有限公司（模拟）",
    "university": "海岳银行外聘专家组（模拟）", "developer": "海岳银行分析中心（模拟）", "review-centre": "海岳银行合规部（模拟）",
    "bank": "海岳银行营业部（模拟）", "audit-office": "海岳银行审计部（模拟）",
}  # fmt: skip
"""Inside a bank its own departments play the parts that a city's offices play."""


@dataclass(frozen=True)
class Table:
    """A table that a node brings: its name, files, uses by column, and the column of the privacy unit."""

    name: str
    title: str
    files: tuple[Path, ...]
    uses: dict[str, frozenset[Use]]


@dataclass(frozen=True)
class Node:
    """An installation that is ready: its home, its developer with a token, and the entitlement to compute under."""

    home: Path
    site: Site
    developer: Actor
    token: str
    entitlement: Entitlement


def city_table(files: tuple[Path, ...]) -> Table:
    """Return the city's enterprises: the code may be joined on, never shown."""
    uses = {CODE: frozenset({Use.JOIN, Use.COMPARE}), "地区": COUNTED, "企业类型": COUNTED}
    return Table("enterprise", "企业登记信息", files, uses)


def bank_table(folder: Path, codes: list[str], seed: int = 7) -> Table:
    """Write the bank's own table, made from a seed: loans to some of the enterprises, and to others elsewhere."""
    draw = Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "loans.csv"
    clients = draw.sample(codes, min(3_000, len(codes)))
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow((CODE, BALANCE, "放款年份"))
        lines.writerows(
            (code, f"{draw.randrange(5_000, 900_000) / 100:.2f}", draw.randrange(2018, 2026)) for code in clients
        )
    uses = {CODE: frozenset({Use.JOIN, Use.COMPARE}), BALANCE: frozenset({Use.TOTAL}), "放款年份": COUNTED}
    return Table("loan", "企业贷款台账", (path,), uses)


def codes_in(files: tuple[Path, ...]) -> list[str]:
    """Return the credit codes that stand in the files, as the enterprises themselves would give them to their bank."""
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace").replace("\0", "")
        found += [row[CODE] for row in csv.DictReader(text.splitlines()) if len(row.get(CODE) or "") == 18]
    return found


def set_up(home: Path, table: Table, organisations: tuple[Organisation, ...] = ORGANISATIONS) -> Node:
    """Make an installation and bring ``table`` the whole way to an entitlement of its developer."""
    site = open_site(Settings(home, "", "127.0.0.1", 0, 0), is_demo=True)
    people = set_up_cast(site, organisations)
    scope = _register(site, people, table)
    entitlement = _entitle(site, people, _grant(site, people, scope).id, scope)
    developer = people["developer"]
    token, _ = parties.create_token(site, developer, label="examples.joint")
    return Node(home, site, developer, token, entitlement)


def bank_cast() -> tuple[Organisation, ...]:
    """Return the organisations of the bank's own installation."""
    return tuple(replace(one, name=BANK_NAMES[one.id]) for one in ORGANISATIONS)


def _move(site: Site, by: timedelta) -> None:
    cast(DemoClock, site.clock).move(by)


def _register(site: Site, people: dict[str, Actor], table: Table) -> ResourceScope:
    supplier, registrar = people["supplier"], people["registrar"]
    resource = catalog.create_resource(
        site, supplier, name=table.name, title=table.title, summary=table.title, theme="B0000", update_cycle="004",
        legal_basis="履行职责产生",
    )  # fmt: skip
    version = catalog.ingest(site, supplier, resource.id, table.files)
    grades = tuple(ColumnGrade(p.column, p.meaning, p.grade) for p in version.proposals)
    catalog.confirm_classification(site, supplier, resource.id, grades)
    policy = ResourcePolicy(tuple(ColumnPolicy(name, uses) for name, uses in table.uses.items()), (CODE,))
    catalog.set_uses(site, supplier, resource.id, policy, frozenset(table.uses))
    filed = registry.submit(
        site, supplier, resource_id=resource.id, version_number=version.number, title=table.title, summary=table.title,
        materials=MATERIALS,
    )  # fmt: skip
    registry.accept(site, registrar, filed.id)
    _move(site, timedelta(days=1))
    public = registry.pass_review(site, registrar, filed.id)
    if public.publicity_ends is None:
        raise ValueError("a registration in publicity has an end")
    after = site.calendar.due(public.publicity_ends, 1).day
    _move(site, start_of_day(after) + timedelta(hours=9) - site.now())
    coded = registry.assign_code(site, registrar, filed.id)
    return ResourceScope(resource.id, table.name, coded.ref, supplier.party, policy)


def _grant(site: Site, people: dict[str, Actor], scope: ResourceScope) -> grants.Grant:
    agency = people["agency"]
    plan = grants.write_plan(site, agency, title="联合计算实施方案（模拟）", mode=Mode.SCENARIO, parts=PLAN_PARTS)
    grants.submit_plan(site, agency, plan.id)
    decision = CollectiveDecision("集体审议会议（模拟）", "〔2026〕1号", "0" * 63 + "1")
    grants.decide_plan(site, people["government"], plan.id, approves=True, decision=decision, reason="同意")
    today = site.today()
    terms = GrantTerms(
        agency=agency.party, operator=people["operator"].party, mode=Mode.SCENARIO, rights=frozenset(Right),
        purposes=(PURPOSE,), period=Period(start_of_day(today), start_of_day(add_years(today, 1))), scope=(scope,),
        price=PriceRule(ceiling_minor=600, split=(Tier(None, "0.5"),), treasury_share="0.4"), exit_duties=EXIT_DUTIES,
    )  # fmt: skip
    proposed = grants.propose_agreement(
        site, agency, plan_id=plan.id, selection=Selection.OPEN_TENDER, terms=terms, parts=AGREEMENT_PARTS
    )
    grants.sign_agreement(site, people["agency-head"], proposed.id, decision)
    grants.sign_agreement(site, people["operator-head"], proposed.id)
    return grants.issue_grant(site, agency, proposed.id)


def _entitle(site: Site, people: dict[str, Actor], grant: str, scope: ResourceScope) -> Entitlement:
    now = site.now()
    needs = tuple(Need(scope.resource, c.column, c.uses, "联合计算") for c in scope.policy.columns)
    days = calendar.monthrange(now.year, now.month)[1]
    terms = ScenarioTerms(
        grant=grants.GrantId(grant), title="政企数据融合：贷款覆盖统计", purpose=PURPOSE,
        product_class=ProductClass.INDUSTRIAL, needs=needs, developer=people["developer"].party,
        period=Period(now, now + timedelta(days=days)),
    )  # fmt: skip
    filed = scenarios.apply(site, people["operator"], terms=terms)
    for number in (1, 2, 3):
        scenarios.score(site, people[f"assessor-{number}"], filed.id, POINTS, dict.fromkeys(POINTS, "符合要求"))
    decided = scenarios.decide(site, people["agency"], filed.id, approves=True, reason="必要、最小、可控")
    if not isinstance(decided, Entitlement):
        raise TypeError("an approved scenario becomes an entitlement")
    return decided
