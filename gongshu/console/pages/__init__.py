"""The pages, by domain. ``router`` holds all of them; the server mounts it without a prefix."""

from fastapi import APIRouter

from gongshu.console.pages import (
    contracts,
    door,
    egress,
    entitlements,
    grants,
    home,
    jobs,
    market,
    oversight,
    plans,
    platform,
    portal,
    registrations,
    resources,
    scenarios,
    statements,
)

router = APIRouter()
for part in (
    home, door, portal, resources, registrations, plans, grants, scenarios, entitlements, jobs, egress, market,
    contracts, statements, oversight, platform,
):  # fmt: skip
    router.include_router(part.router)
