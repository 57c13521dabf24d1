"""Steps 4 to 6 of the story: a scenario becomes an entitlement, code runs on data nobody sees, results are reviewed."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from gongshu.base.days import Period
from gongshu.compute import service as compute
from gongshu.compute.types import Job, JobStatus, VerificationDefinition, VerificationField
from gongshu.egress import service as egress
from gongshu.egress.types import Output, OutputStatus, Release, ReviewKind
from gongshu.grants.types import Grant, ProductClass
from gongshu.policies.types import Use
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement, Need, ScenarioTerms
from gongshu.server.demo.policy import NAME, REPRESENTATIVE, UNIT, USES
from gongshu.server.demo.stage import Stage
from gongshu.server.demo.supply import INCLUSIVE_FINANCE, PUBLIC_SERVICE

POINTS = (
    {"public_value": 22, "necessity": 21, "safety": 17, "feasibility": 13, "demand": 13},
    {"public_value": 20, "necessity": 20, "safety": 16, "feasibility": 12, "demand": 12},
    {"public_value": 21, "necessity": 18, "safety": 17, "feasibility": 12, "demand": 13},
)

ENTERPRISES_BY_REGION = """
SELECT 所在省份 AS province, 地区 AS region, 企业类型 AS type, year(注册日期) AS year,
       count(DISTINCT 统一社会信用代码) AS enterprises
FROM enterprise
GROUP BY 所在省份, 地区, 企业类型, year(注册日期)
ORDER BY province, region, type, year
""".strip()

VERIFICATION = VerificationDefinition(
    relation="enterprise",
    fields=(
        VerificationField("credit_code", UNIT, is_required=True, is_key=True),
        VerificationField("name", NAME, is_required=True),
        VerificationField("legal_representative", REPRESENTATIVE, is_required=False),
    ),
)

REFUSED_STATEMENTS = (
    ("select of a name column", "SELECT 企业名称 FROM enterprise", "reveal-missing"),
    (
        "a filter on a column without filter",
        "SELECT count(*) AS n FROM enterprise WHERE 企业名称 = 'x'",
        "filter-missing",
    ),
    (
        "an unknown function",
        "SELECT sneak(所在省份) AS x, count(*) AS n FROM enterprise GROUP BY 1",
        "function-unknown",
    ),
)


def apply_for_scenario(stage: Stage) -> None:
    """Step 4: one scenario, one application, one approval; asking beyond the grant is refused by name."""
    site, operator = stage.site, stage.people["operator"]
    finance = _terms(
        stage, stage.made["grant"], "普惠金融：企业信息核验与区域分布", INCLUSIVE_FINANCE, ProductClass.INDUSTRIAL
    )
    address = Need(stage.made["resource"].id, "注册地址", frozenset({Use.GROUP}), "按街道统计")
    too_much = replace(finance, needs=(*finance.needs, address))
    reveal = tuple(replace(n, uses=n.uses | {Use.REVEAL}) if n.column == NAME else n for n in finance.needs)
    stage.must_refuse(
        4, "a column outside the grant", "need-beyond-grant", lambda: scenarios.apply(site, operator, terms=too_much)
    )
    stage.must_refuse(
        4, "a use outside the grant", "need-beyond-grant",
        lambda: scenarios.apply(site, operator, terms=replace(finance, needs=reveal)),
    )  # fmt: skip
    main = _approve(stage, finance)
    public = _terms(stage, stage.made["pilot_grant"], "政务窗口企业信息核对", PUBLIC_SERVICE, ProductClass.PUBLIC)
    pilot = _approve(stage, public)
    stage.made.update(entitlement=main, pilot_entitlement=pilot)
    stage.tell(
        4, "scenario", f"场景“{main.title}”获批，形成使用资格 {main.id}  (scenario approved, entitlement made)",
        scenario=main.scenario.id, entitlement=main.id, pilot_entitlement=pilot.id,
        columns={c.column: sorted(c.uses) for c in main.resources[0].policy.columns},
        units_min=main.thresholds.units_min,
    )  # fmt: skip


def _terms(stage: Stage, grant: Grant, title: str, purpose: str, product_class: ProductClass) -> ScenarioTerms:
    resource = stage.made["resource"].id
    needs = tuple(
        Need(resource, column, uses, "核验比对" if Use.COMPARE in uses else "分组统计")
        for column, uses in USES.items()
        if not column.startswith("注册资金")
    )
    now = stage.site.now()
    period = Period(now, min(now + timedelta(days=360), grant.terms.period.end))
    return ScenarioTerms(
        grant=grant.id, title=title, purpose=purpose, product_class=product_class, needs=needs,
        developer=stage.people["developer"].party, period=period,
    )  # fmt: skip


def _approve(stage: Stage, terms: ScenarioTerms) -> Entitlement:
    site, agency = stage.site, stage.people["agency"]
    filed = scenarios.apply(site, stage.people["operator"], terms=terms)
    for number, points in enumerate(POINTS, start=1):
        reasons = dict.fromkeys(points, "符合要求")
        if number == len(POINTS):
            stage.must_refuse(
                4, "approval before all scores are in", "scores-missing",
                lambda: scenarios.decide(site, agency, filed.id, approves=True, reason="同意"),
            )  # fmt: skip
        scenarios.score(site, stage.people[f"assessor-{number}"], filed.id, points, reasons)
    decided = scenarios.decide(site, agency, filed.id, approves=True, reason="必要、最小、可控，同意")
    if not isinstance(decided, Entitlement):
        raise TypeError("an approved scenario becomes an entitlement")
    return decided


def compute_for_real(stage: Stage) -> None:
    """Step 5: written on synthetic rows, submitted for real; what would show a value is refused by the gate."""
    site, developer, entitlement = stage.site, stage.people["developer"], stage.made["entitlement"]
    for attempt, sql, code in REFUSED_STATEMENTS:
        submit = partial(compute.submit_sql, site, developer, entitlement.id, attempt, sql)
        stage.must_refuse(5, attempt, code, submit)
    _, synthetic = compute.try_on_synthetic(site, developer, entitlement.id, ENTERPRISES_BY_REGION)
    table = compute.submit_sql(site, developer, entitlement.id, "企业区域分布", ENTERPRISES_BY_REGION)
    check = compute.submit_verification(site, developer, entitlement.id, "企业信息核验", VERIFICATION)
    pilot = compute.submit_verification(
        site, developer, stage.made["pilot_entitlement"].id, "企业信息核对（公益）", VERIFICATION
    )
    jobs = {"table": table, "verification": check, "pilot": pilot}
    for name, job in jobs.items():
        done = compute.run_job(site, job.id)
        stage.check(f"job {name} succeeded, not {done.failure_code}", holds=done.status is JobStatus.SUCCEEDED)
        stage.made[f"{name}_job"] = done
    report = stage.made["table_job"].report
    stage.check("small groups were withheld", holds=report.some_withheld)
    stage.tell(
        5, "compute",
        f"统计结果 {report.rows} 组，低于最小主体数的 {report.groups_withheld} 组不予显示"
        f"  ({report.rows} groups; {report.groups_withheld} below the threshold withheld)",
        jobs={name: job.id for name, job in jobs.items()}, synthetic_groups=len(synthetic), groups=report.rows,
        groups_withheld=report.groups_withheld, defences=list(report.defences),
    )  # fmt: skip


def review(stage: Stage) -> None:
    """Step 6: quarantine, checks, two independent reviewers, release; a changed byte voids the review."""
    for name in ("table", "verification", "pilot"):
        stage.made[f"{name}_release"] = _release(stage, stage.made[f"{name}_job"], name)
    stage.made["void_output"] = _tamper(stage)
    stage.tell(
        6, "release", "三项结果经安全审核与业务规范性审核后放行；被改动一个字节的结果审核作废"
        "  (three outputs released after two reviews; one with a changed byte is void)",
        releases={name: stage.made[f"{name}_release"].id for name in ("table", "verification", "pilot")},
        findings=stage.made["findings"], void_output=stage.made["void_output"].id,
    )  # fmt: skip


def _submit(stage: Stage, job: Job) -> Output:
    output = egress.collect(stage.site, job.id)
    return egress.submit_for_review(stage.site, stage.people["developer"], output.id, "按场景批准的用途制作")


def _vote(stage: Stage, output: Output, login: str, kind: ReviewKind) -> Output:
    return egress.vote(
        stage.site, stage.people[login], output.id, kind=kind, digest=output.digest, approves=True, reason="符合要求"
    )


def _release(stage: Stage, job: Job, name: str) -> Release:
    site, operator = stage.site, stage.people["operator"]
    output = _submit(stage, job)
    stage.made["findings"] = {**stage.made.get("findings", {}), name: {f.check: f.verdict for f in output.findings}}
    author = replace(stage.people["developer"], roles=stage.people["reviewer-security"].roles)
    stage.must_refuse(
        6, "the author reviews the own output", "reviewer-is-author",
        lambda: egress.vote(site, author, output.id, kind=ReviewKind.SECURITY, digest=output.digest, approves=True,
                            reason="-"),
    )  # fmt: skip
    _vote(stage, output, "reviewer-security", ReviewKind.SECURITY)
    stage.must_refuse(
        6, "release on one review", "reviews-incomplete", lambda: egress.release(site, operator, output.id)
    )
    _vote(stage, output, "reviewer-conformity", ReviewKind.CONFORMITY)
    return egress.release(site, operator, output.id)


def _tamper(stage: Stage) -> Output:
    """Review one more output and change one byte of it afterwards."""
    site, developer = stage.site, stage.people["developer"]
    job = compute.submit_sql(
        site, developer, stage.made["entitlement"].id, "企业区域分布（第二份）", ENTERPRISES_BY_REGION
    )
    output = _submit(stage, compute.run_job(site, job.id))
    _vote(stage, output, "reviewer-security", ReviewKind.SECURITY)
    _vote(stage, output, "reviewer-conformity", ReviewKind.CONFORMITY)
    path = Path(compute.output_folder(site, job)) / output.files[0].name
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    stage.must_refuse(
        6, "release after one byte was changed", "output-changed",
        lambda: egress.release(site, stage.people["operator"], output.id),
    )  # fmt: skip
    void = egress.get_output(site, stage.people["auditor"], output.id)
    stage.check("a changed byte voids the review", holds=void.status is OutputStatus.VOID)
    return void
