"""Who plays in the demo: organisations and people of a city that does not exist.

Names carry （模拟）. Credit codes pass their check digit (GB 32100 MOD 31), but the organisation number inside has a
wrong one of its own, so none can belong to a real body.
"""

from dataclasses import dataclass

from gongshu.access.types import Actor, Role
from gongshu.base.site import Site
from gongshu.parties import service as parties

DEMO_PASSWORD = "Gongshu-2026"  # noqa: S105 - a demo's password, printed in the README
ADMINISTRATOR_LOGIN = "admin"


@dataclass(frozen=True)
class Organisation:
    """One organisation of the demo and its people: login → (name, roles)."""

    id: str
    name: str
    credit_code: str
    roles: frozenset[Role]
    people: dict[str, tuple[str, frozenset[Role]]]
    is_public_institution: bool = False


def _organisation(
    party: str, name: str, code: str, role: Role, people: dict[str, str], *, is_public_institution: bool = False
) -> Organisation:
    roles = frozenset({role})
    named = {login: (person, roles) for login, person in people.items()}
    return Organisation(party, name, code, roles, named, is_public_institution)


ORGANISATIONS = (
    _organisation(
        "government", "云江市人民政府（模拟）", "11450000MA0000010F", Role.AUTHORISING_BODY, {"government": "甄守正"}
    ),
    _organisation(
        "agency", "云江市数据局（模拟）", "11450000MA0000001H", Role.IMPLEMENTING_AGENCY,
        {"agency": "左明理", "agency-head": "方知行"},
    ),
    _organisation(
        "market-bureau", "云江市市场监督管理局（模拟）", "11450100MA0000003W", Role.SUPPLIER, {"supplier": "尚清源"}
    ),
    _organisation(
        "social-bureau", "云江市人力资源和社会保障局（模拟）", "11450100MA0000011P", Role.SUPPLIER,
        {"supplier-social": "任安民"},
    ),
    _organisation(
        "registrar", "云江市公共数据登记中心（模拟）", "12450000MA0000002H", Role.REGISTRAR, {"registrar": "丁一册"},
        is_public_institution=True,
    ),
    _organisation(
        "operator", "云江数据运营有限公司（模拟）", "91350000MA0000000F", Role.OPERATOR,
        {"operator": "经纬", "operator-head": "程信"},
    ),
    _organisation(
        "university", "云江大学（模拟）", "12110000MA0000012X", Role.ASSESSOR,
        {"assessor-1": "闻道", "assessor-2": "辨之", "assessor-3": "明思"}, is_public_institution=True,
    ),
    _organisation(
        "developer", "格物数据科技有限公司（模拟）", "91110000MA0000004X", Role.DEVELOPER, {"developer": "解构"}
    ),
    _organisation(
        "review-centre", "云江市数据安全审核中心（模拟）", "12450000MA0000015U", Role.REVIEWER,
        {"reviewer-security": "严守", "reviewer-conformity": "程规"}, is_public_institution=True,
    ),
    _organisation("bank", "海岳银行（模拟）", "91370200MA0000005H", Role.CONSUMER, {"bank": "信达"}),
    _organisation("audit-office", "云江市审计局（模拟）", "11450000MA00000162", Role.AUDITOR, {"auditor": "察微"}),
)  # fmt: skip


def set_up_cast(site: Site, organisations: tuple[Organisation, ...] = ORGANISATIONS) -> dict[str, Actor]:
    """Make the organisations and people of the demo, and return everybody as an actor, by login."""
    _, first = parties.bootstrap(
        site, name="云江市平台运维中心（模拟）", credit_code="12450000MA00000172", region="4500",
        party_id="platform-centre", person_name="司机台", login=ADMINISTRATOR_LOGIN, password=DEMO_PASSWORD,
    )  # fmt: skip
    administrator = Actor(first.id, first.party, first.roles, first.name)
    actors = {ADMINISTRATOR_LOGIN: administrator}
    for organisation in organisations:
        party = parties.create_party(
            site, administrator, party_id=organisation.id, name=organisation.name,
            credit_code=organisation.credit_code, roles=organisation.roles, region="4500",
            is_public_institution=organisation.is_public_institution,
        )  # fmt: skip
        for login, (name, roles) in organisation.people.items():
            person = parties.create_person(
                site, administrator, party=party.id, name=name, login=login, password=DEMO_PASSWORD, roles=roles
            )
            actors[login] = Actor(person.id, party.id, person.roles, name)
    return actors
