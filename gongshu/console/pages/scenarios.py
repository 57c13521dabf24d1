"""Scenarios: applied for by the operator, scored blindly by assessors, decided by the agency."""

from datetime import timedelta
from enum import StrEnum

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access import service as access
from gongshu.access.types import Permission, Role
from gongshu.base.days import Period, start_of_day
from gongshu.base.ids import GrantId, PartyId, ResourceId, ScenarioId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.console.forms import Filled, Form, read_policy_uses
from gongshu.console.labels import label_of
from gongshu.console.pictures import last_day, score_radar
from gongshu.console.protections import read_protection
from gongshu.console.render import actor_of, done, page, site_of, translate
from gongshu.grants import service as grants
from gongshu.grants.types import Grant, ProductClass
from gongshu.parties import service as parties
from gongshu.policies.types import NoiseMechanism, RoundingMethod, Use
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement, Need, ScenarioTerms

router = APIRouter()

TERM_DAYS_DRAFT = 360


@router.get("/scenarios")
def list_scenarios(request: Request, after: str = "") -> Response:
    """List the applications that one may know of."""
    listed = scenarios.list_scenarios(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "scenarios.html", listed=listed)


@router.get("/scenarios/apply")
def apply_form(request: Request, grant: GrantId) -> Response:
    """Show the application under a grant: every column with the uses that the grant has."""
    site, actor = site_of(request), actor_of(request)
    found = grants.get_grant(site, actor, grant)
    everybody = parties.list_parties(site, actor, PageRequest(limit=PAGE_ROWS_MAX)).rows
    start = site.today()
    return page(
        request, "scenario-form.html", grant=found, uses=tuple(Use), classes=tuple(ProductClass),
        developers=[one for one in everybody if Role.DEVELOPER in one.roles], start=start,
        end=min(start + timedelta(days=TERM_DAYS_DRAFT), last_day(found.terms.period.end)),
    )  # fmt: skip


def _read_needs(form: Form, grant: Grant) -> tuple[Need, ...]:
    needs = []
    for scope in grant.terms.scope:
        asked = read_policy_uses(form, f"uses-{scope.resource}-", scope.policy)
        for column in asked.columns:
            why = form.text(f"why-{scope.resource}-{column.column}", is_required=False)
            needs.append(Need(ResourceId(scope.resource), column.column, column.uses, why))
    return tuple(needs)


@router.post("/scenarios")
def apply(request: Request, form: Filled) -> Response:
    """File an application."""
    site, actor = site_of(request), actor_of(request)
    grant = grants.get_grant(site, actor, GrantId(form.text("grant")))
    first, last = form.day("first_day"), form.day("last_day")
    product_class = form.choice("product_class", ProductClass) or ProductClass.PUBLIC
    title, purpose, developer = form.text("title"), form.text("purpose"), form.text("developer")
    needs = _read_needs(form, grant)
    form.check()
    start = site.now() if first == site.today() else start_of_day(first)
    end = (
        min(start_of_day(last + timedelta(days=1)), grant.terms.period.end)
        if last == last_day(grant.terms.period.end)
        else start_of_day(last + timedelta(days=1))
    )
    made = scenarios.apply(
        site, actor,
        terms=ScenarioTerms(
            grant=grant.id, title=title, purpose=purpose, product_class=product_class, needs=needs,
            developer=PartyId(developer), period=Period(start, end),
        ),
    )  # fmt: skip
    return done(request, f"/scenarios/{made.id}", "The application is filed. Assessors score it next.")


def criteria_of(site: Site) -> dict[str, int]:
    """Return the criteria of the day with their most points."""
    pairs = (pair.partition("=") for pair in site.parameters.text("scenario.criteria", site.today()).split(","))
    return {name.strip(): int(points) for name, _, points in pairs}


@router.get("/scenarios/{scenario_id}")
def show_scenario(request: Request, scenario_id: ScenarioId) -> Response:
    """Show an application: what is asked for and why, the scores once they are in, the decision."""
    site, actor = site_of(request), actor_of(request)
    scenario = scenarios.get_scenario(site, actor, scenario_id)
    summary = scenarios.get_score_summary(site, actor, scenario_id)
    mine = [one for one in scenarios.list_entitlements(site, actor).rows if one.scenario.id == scenario.id]
    has_scored = any(score.assessor == actor.person for score in scenario.scores)
    return page(
        request, "scenario.html", scenario=scenario, terms=scenario.terms, summary=summary, criteria=criteria_of(site),
        uses=tuple(Use), has_scored=has_scored, entitlements=mine,
        radar=score_radar(summary, translate(request)) if summary.criteria else None,
        may_score=access.may(actor, Permission.ASSESS_SCENARIO_SCORE) and not has_scored,
        summed=[(n.resource, n.column) for n in scenario.terms.needs if Use.TOTAL in n.uses],
        rounding_methods=_options(request, RoundingMethod), noise_mechanisms=_options(request, NoiseMechanism),
    )  # fmt: skip


def _options(request: Request, of: type[StrEnum]) -> list[tuple[str, str]]:
    return [(member.value, translate(request)(label_of(member))) for member in of]


@router.post("/scenarios/{scenario_id}/score")
def score(request: Request, scenario_id: ScenarioId, form: Filled) -> Response:
    """Give one's points by criterion, with a reason for each."""
    site = site_of(request)
    names = tuple(criteria_of(site))
    points = {name: form.whole(f"points-{name}") for name in names}
    reasons = {name: form.text(f"reason-{name}", is_required=False) for name in names}
    form.check()
    scenarios.score(site, actor_of(request), scenario_id, points, reasons)
    return done(request, f"/scenarios/{scenario_id}", "Your score is in. Others see it once enough are in.")


@router.post("/scenarios/{scenario_id}/decide")
def decide(request: Request, scenario_id: ScenarioId, form: Filled) -> Response:
    """Approve or reject an application."""
    approves, reason = form.text("approves") == "yes", form.text("reason", is_required=False)
    protection = read_protection(form) if approves else None
    form.check()
    made = scenarios.decide(
        site_of(request), actor_of(request), scenario_id, approves=approves, reason=reason, protection=protection
    )
    if isinstance(made, Entitlement):
        return done(request, f"/entitlements/{made.id}", "Approved. The developer can work with this entitlement.")
    return done(request, f"/scenarios/{scenario_id}", "The application is rejected.")
