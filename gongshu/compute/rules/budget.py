"""The noise budget of an entitlement: what a statement costs is taken before it runs, and never given back.

A job that fails or is stopped has drawn its noise, or may have: giving the price back would make failures a way to draw
again. A statement that was paid for is not paid twice: submitting the very same plan again returns its job.
"""

from dataclasses import replace
from datetime import datetime

from gongshu.base.decisions import Decision, Kind, Reason, decide, rule
from gongshu.base.ids import EntitlementId
from gongshu.compute.types import BudgetCharge, Job, JobStatus, PrivacyBudget
from gongshu.policies.types import Protection, Thresholds

PROTECTION_PAGE = "docs/explanation/noise-and-budgets.md"

BUDGET_SPENT = rule(
    "budget-spent", Kind.LIMIT_EXCEEDED,
    zh="隐私预算不足：本次需 ε={epsilon}、δ={delta}，剩余 ε={epsilon_left}、δ={delta_left}。",
    en="The privacy budget does not suffice: this takes ε={epsilon}, δ={delta}; left are ε={epsilon_left}, δ={delta_left}.",
    fix_zh="请减少统计项或分组步骤，使用已有结果，或向实施机构申请新的使用资格。",
    fix_en="Ask for fewer numbers or stages, use results you have, or apply to the agency for another entitlement.",
    law=PROTECTION_PAGE,
)  # fmt: skip
NOISE_MISSING = rule(
    "noise-missing", Kind.UNAVAILABLE, zh="该使用资格要求加噪，而本平台未安装加噪组件 OpenDP。",
    en="This entitlement demands noise, and OpenDP is not installed here.",
    fix_zh="请平台管理员安装 gongshu[noise]。", fix_en="Have the platform's administrator install gongshu[noise].",
    law=PROTECTION_PAGE,
)  # fmt: skip
PROTECTION_SQL_ONLY = rule(
    "protection-sql-only", Kind.FORBIDDEN, zh="该使用资格要求的加噪、取整或贡献上限，{kind} 无法做到。",
    en="This entitlement demands noise, rounding or bounds that {kind} cannot keep.",
    fix_zh="请改用 SQL 统计，或申请没有该要求的使用资格。",
    fix_en="Use governed SQL, or apply for an entitlement without that demand.", law=PROTECTION_PAGE,
)  # fmt: skip


def granted(entitlement: EntitlementId, thresholds: Thresholds) -> PrivacyBudget | None:
    """Return the budget of an entitlement before anything was spent; ``None`` where no noise is demanded."""
    noise = thresholds.protection.noise
    return None if noise is None else PrivacyBudget(entitlement, noise.budget_epsilon_milli, noise.budget_delta_pico)


def shown_epsilon(milli: int) -> str:
    """Return ε as people write it."""
    return f"{milli / 1000:g}"


def shown_delta(pico: int) -> str:
    """Return δ as people write it."""
    return f"{pico / 10**12:g}"


def decide_charge(
    budget: PrivacyBudget | None, job: Job, now: datetime
) -> Decision[tuple[PrivacyBudget, BudgetCharge]]:
    """Take the price of ``job`` from ``budget``, or say what is lacking. Neither ε nor δ can go below zero."""
    price = job.plan.query.price if job.plan.query is not None else None
    if budget is None or price is None or min(price.epsilon_milli, price.delta_pico) < 0:
        raise ValueError("only statements with noise have a price")
    lacks = price.epsilon_milli > budget.epsilon_milli_left or price.delta_pico > budget.delta_pico_left
    reason = BUDGET_SPENT.because(
        epsilon=shown_epsilon(price.epsilon_milli), delta=shown_delta(price.delta_pico),
        epsilon_left=shown_epsilon(budget.epsilon_milli_left), delta_left=shown_delta(budget.delta_pico_left),
    )  # fmt: skip
    after = replace(
        budget, epsilon_milli_spent=budget.epsilon_milli_spent + price.epsilon_milli,
        delta_pico_spent=budget.delta_pico_spent + price.delta_pico,
    )  # fmt: skip
    charge = BudgetCharge(job.id, job.entitlement, job.plan.digest, price, now)
    return decide((after, charge), reason if lacks else None)


def still_serves(job: Job) -> bool:
    """Whether a job that was paid for gives, or will give, its result: then the same plan is not run again."""
    return job.status in {JobStatus.SUBMITTED, JobStatus.RUNNING, JobStatus.SUCCEEDED}


def decide_noise(thresholds: Thresholds, *, is_installed: bool) -> Decision[Thresholds]:
    """Refuse to compute where noise is demanded and cannot be made."""
    needs = thresholds.protection.noise is not None and not is_installed
    return decide(thresholds, NOISE_MISSING.because() if needs else None)


def decide_exact(thresholds: Thresholds, kind: str) -> Decision[Thresholds]:
    """Refuse what gives exact answers (``kind`` names it) where noise is demanded."""
    return decide(thresholds, exact_reason(thresholds, kind))


def exact_reason(thresholds: Thresholds, kind: str) -> Reason | None:
    """Return why something exact cannot be computed, if so."""
    return None if thresholds.protection.noise is None else PROTECTION_SQL_ONLY.because(kind=kind)


def joint_reason(thresholds: Thresholds) -> Reason | None:
    """Return why no joint task can be computed: its count is of all rows, exact, and not rounded."""
    return None if thresholds.protection == Protection() else PROTECTION_SQL_ONLY.because(kind="joint")
