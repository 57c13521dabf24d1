"""The ledger of noise budgets: charged in the transaction that submits a job, refused when spent, read by both sides."""

import importlib.util
from dataclasses import dataclass

from gongshu.access.types import SYSTEM, Actor
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site, Transaction
from gongshu.compute import store
from gongshu.compute.rules import budget as rules
from gongshu.compute.types import BudgetCharge, Job, JobPlan, PrivacyBudget
from gongshu.policies.types import Thresholds
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement


@dataclass(frozen=True)
class BudgetStatement:
    """A budget and what was taken from it, oldest first."""

    budget: PrivacyBudget
    charges: tuple[BudgetCharge, ...]


def can_add_noise() -> bool:
    """Whether OpenDP is installed."""
    return importlib.util.find_spec("opendp") is not None


def decide_noise(thresholds: Thresholds) -> Decision[Thresholds]:
    """Refuse where an entitlement demands noise that this installation cannot make."""
    return rules.decide_noise(thresholds, is_installed=can_add_noise())


def decide_planned(thresholds: Thresholds, plan: JobPlan) -> Decision[Thresholds]:
    """Refuse a plan that gives exact answers where noise is demanded."""
    if plan.query is None:
        return rules.decide_exact(thresholds, plan.kind.value)
    return Permitted(thresholds)


def budget_in(tx: Transaction, entitlement: Entitlement) -> PrivacyBudget | None:
    """Return the budget of an entitlement as it stands; ``None`` where no noise is demanded."""
    return store.BUDGETS.find(tx, entitlement.id) or rules.granted(entitlement.id, entitlement.thresholds)


def paid_in(tx: Transaction, plan: JobPlan) -> Job | None:
    """Return the job that the very same plan was paid for, if its result is there or on its way."""
    if plan.query is None or plan.query.price is None:
        return None
    jobs = (store.JOBS.get(tx, charge.id) for charge in store.CHARGES.all(tx, plan_digest=plan.digest))
    return next((job for job in jobs if rules.still_serves(job)), None)


def decide_charge_in(tx: Transaction, site: Site, entitlement: Entitlement, job: Job) -> Decision[Job]:
    """Say whether the budget suffices for a job. Without a price it does."""
    if job.plan.query is None or job.plan.query.price is None:
        return Permitted(job)
    charged = rules.decide_charge(budget_in(tx, entitlement), job, site.now())
    return charged if isinstance(charged, Denied) else Permitted(job)


def charge_in(tx: Transaction, site: Site, actor: Actor, entitlement: Entitlement, job: Job) -> None:
    """Take the price of a job that is being submitted from the budget, with an audit entry of its own."""
    if job.plan.query is None or job.plan.query.price is None:
        return
    decision = rules.decide_charge(budget_in(tx, entitlement), job, site.now())
    after, charge = decision.value_or_raise()
    before = store.BUDGETS.find(tx, entitlement.id)
    if before is None:
        store.BUDGETS.add(tx, after)
    else:
        store.BUDGETS.save(tx, before, after)
    store.CHARGES.add(tx, charge)
    audit.record(
        tx, site, actor=actor, action="budget.charge", subject=after.ref, decision=decision,
        origins=(job.ref, entitlement.ref),
        facts={
            "epsilon": rules.shown_epsilon(charge.price.epsilon_milli), "delta": rules.shown_delta(charge.price.delta_pico),
            "epsilon_left": rules.shown_epsilon(after.epsilon_milli_left), "delta_left": rules.shown_delta(after.delta_pico_left),
        },
    )  # fmt: skip


def read_budget(site: Site, actor: Actor, entitlement_id: EntitlementId) -> BudgetStatement | None:
    """Return the budget of an entitlement that the actor may know of, with its charges; ``None`` where there is none.

    The platform itself (the command line on the machine) may ask for any entitlement.
    """
    entitlement = None if actor == SYSTEM else scenarios.get_entitlement(site, actor, entitlement_id)
    with site.db.reading() as tx:
        entitlement = entitlement or scenarios.entitlement_in(tx, entitlement_id)
        budget = budget_in(tx, entitlement)
        charges = store.CHARGES.all(tx, entitlement=entitlement.id)
    return None if budget is None else BudgetStatement(budget, charges)
