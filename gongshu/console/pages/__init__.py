"""The pages, by domain. ``router`` holds all of them; the server mounts it without a prefix."""

from fastapi import APIRouter

from gongshu.console.pages.consents import router as consents
from gongshu.console.pages.contracts import router as contracts
from gongshu.console.pages.door import router as door
from gongshu.console.pages.egress import router as egress
from gongshu.console.pages.entitlements import router as entitlements
from gongshu.console.pages.gateways import router as gateways
from gongshu.console.pages.grants import router as grants
from gongshu.console.pages.home import router as home
from gongshu.console.pages.jobs import router as jobs
from gongshu.console.pages.joint import router as joint
from gongshu.console.pages.kinds import router as kinds
from gongshu.console.pages.lookups import router as lookups
from gongshu.console.pages.market import router as market
from gongshu.console.pages.oversight import router as oversight
from gongshu.console.pages.plans import router as plans
from gongshu.console.pages.platform import router as platform
from gongshu.console.pages.portal import router as portal
from gongshu.console.pages.programs import router as programs
from gongshu.console.pages.registrations import router as registrations
from gongshu.console.pages.resources import router as resources
from gongshu.console.pages.scenarios import router as scenarios
from gongshu.console.pages.statements import router as statements

router = APIRouter()
for part in (
    home, door, portal, resources, registrations, plans, grants, scenarios, entitlements, lookups, programs, joint, jobs,
    egress, market, kinds, contracts, consents, statements, oversight, gateways, platform,
):  # fmt: skip
    router.include_router(part)
