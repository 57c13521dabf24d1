"""Scenarios and entitlements over HTTP."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import EntitlementId, ScenarioId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.policies.types import Protection
from gongshu.scenarios import service
from gongshu.scenarios.types import Entitlement, Scenario, ScenarioTerms, ScoreSummary

router = APIRouter(tags=["scenarios"])

READS = {"x-permission": Permission.READ_SCENARIO_VIEW.value}


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as the server's middleware resolved it."""
    return cast(Actor, request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


class NewScenario(BaseModel):
    """An application for one scenario."""

    terms: ScenarioTerms


class NewScore(BaseModel):
    """Points and reasons by criterion."""

    points: dict[str, int] = Field(max_length=20)
    reasons: dict[str, Annotated[str, Field(max_length=2000)]] = Field(max_length=20)


class ScenarioDecision(BaseModel):
    """The agency's decision."""

    approves: bool
    reason: str = Field("", max_length=2000)
    protection: Protection | None = None
    """What is demanded beside the thresholds; left out: what the parameters of the day say."""


@router.post("/scenarios", status_code=201, openapi_extra={"x-permission": Permission.OPERATE_SCENARIO_APPLY.value})
def apply(body: NewScenario, site: Here, actor: By) -> Scenario:
    """Apply for a scenario."""
    return service.apply(site, actor, terms=body.terms)


@router.get("/scenarios", openapi_extra=READS)
def list_scenarios(page: Asked, site: Here, actor: By) -> Page[Scenario]:
    """List scenarios that one may know of."""
    return service.list_scenarios(site, actor, page)


@router.get("/scenarios/{scenario_id}", openapi_extra=READS)
def get_scenario(scenario_id: str, site: Here, actor: By) -> Scenario:
    """Show a scenario."""
    return service.get_scenario(site, actor, ScenarioId(scenario_id))


@router.get("/scenarios/{scenario_id}/score-summary", openapi_extra=READS)
def get_score_summary(scenario_id: str, site: Here, actor: By) -> ScoreSummary:
    """Show averages and reasons per criterion, once enough scores are in."""
    return service.get_score_summary(site, actor, ScenarioId(scenario_id))


@router.post(
    "/scenarios/{scenario_id}/scores", status_code=201,
    openapi_extra={"x-permission": Permission.ASSESS_SCENARIO_SCORE.value},
)  # fmt: skip
def score(scenario_id: str, body: NewScore, site: Here, actor: By) -> Scenario:
    """Score a scenario."""
    return service.score(site, actor, ScenarioId(scenario_id), body.points, body.reasons)


@router.post(
    "/scenarios/{scenario_id}/decision", openapi_extra={"x-permission": Permission.AGENCY_SCENARIO_APPROVE.value}
)
def decide(scenario_id: str, body: ScenarioDecision, site: Here, actor: By) -> Entitlement | Scenario:
    """Approve a scenario (the answer is its entitlement) or reject it (the answer is the scenario)."""
    return service.decide(
        site, actor, ScenarioId(scenario_id), approves=body.approves, reason=body.reason, protection=body.protection
    )


@router.get("/entitlements", openapi_extra=READS)
def list_entitlements(page: Asked, site: Here, actor: By) -> Page[Entitlement]:
    """List entitlements that one may know of."""
    return service.list_entitlements(site, actor, page)


@router.get("/entitlements/{entitlement_id}", openapi_extra=READS)
def get_entitlement(entitlement_id: str, site: Here, actor: By) -> Entitlement:
    """Show an entitlement."""
    return service.get_entitlement(site, actor, EntitlementId(entitlement_id))
