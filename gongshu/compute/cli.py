"""``gongshu sql explain``: what the gate says of a statement. ``gongshu joint``: agreeing with another node."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gongshu.access.types import SYSTEM, Actor
from gongshu.base.decisions import Refused
from gongshu.base.digest import canonical_json
from gongshu.base.ids import EntitlementId, JobId
from gongshu.base.site import Site
from gongshu.compute import service
from gongshu.compute.service import JointHalf, JointTerms
from gongshu.compute.types import (
    Engine,
    Explanation,
    Job,
    JobProgress,
    JobStatus,
    JointAgreement,
    JointStatus,
    LookupDefinition,
)


def _told(found: Explanation) -> dict[str, Any]:
    reasons = [
        {"code": r.code, "what": asdict(r.what), "fix": asdict(r.fix), "facts": dict(r.facts)} for r in found.reasons
    ]
    query = found.query
    return {
        "permitted": found.permitted, "query": query, "reasons": reasons, "open_lineage": dict(found.open_lineage),
        "budget": found.budget,
        "engines": [
            {"engine": one.engine, "stages": one.stages, "sql": one.sql, "reasons": [r.code for r in one.reasons]}
            for one in found.engines
        ],
    }  # fmt: skip


def sql_explain(
    site: Site, entitlement_id: str, sql: str, parameters: tuple[str, ...] = (), *, as_json: bool = False
) -> int:
    """Print the decision with lineage and rewritten SQL, or every reason with its fix; return 0 only when permitted.

    ``parameters`` are written ``name: type(limit) = value``. ``as_json`` prints everything as one object, with the lineage
    as facets of OpenLineage.
    """
    try:
        given = service.read_parameters(parameters).value_or_raise()
        found = service.explain(site, SYSTEM, EntitlementId(entitlement_id), sql, given)
    except Refused as refused:
        for reason in refused.reasons:
            print(f"{reason.code}: {reason.what.zh} {reason.what.en}")
        return 1
    if as_json:
        print(canonical_json(_told(found)).decode())
        return 0 if found.permitted else 1
    if found.query is None:
        print("refused 不予许可")
        for reason in found.reasons:
            print(f"- {reason.code}: {reason.what.zh} {reason.what.en}")
            print(f"  → {reason.fix.zh} {reason.fix.en}")
        return 1
    print("permitted 许可")
    for line in found.query.lineage:
        indirect = f"  (indirect: {', '.join(sorted(line.indirect))})" if line.indirect else ""
        print(f"- {line.output} ← {', '.join(sorted(line.direct)) or '—'}{indirect}")
    for projection in found.query.projections:
        shown = [*projection.columns, *(f"hash({name})" for name in projection.keys), *projection.raws]
        print(f"reads {projection.relation}: {', '.join(shown) or '—'}")
    if found.query.price is not None and found.budget is not None:
        price, budget = found.query.price, found.budget
        print(
            f"costs 费用 ε={price.epsilon_milli / 1000:g} δ={price.delta_pico / 10**12:g} ({price.measurements} measurements 次测量)"
        )
        print(f"left 剩余 ε={budget.epsilon_milli_left / 1000:g} δ={budget.delta_pico_left / 10**12:g}")
    for written in found.engines:
        print(f"\n-- engine: {written.engine}")
        for reason in written.reasons:
            print(f"-- {reason.code}: {reason.what.zh} {reason.what.en}")
        for stage in written.stages:
            print(f"\n-- {stage.name}\n{stage.sql};")
        if written.sql:
            print(f"\n{written.sql};")
    return 0


def sql_submit(  # noqa: PLR0917 - what is submitted
    site: Site, actor: Actor, entitlement_id: str, title: str, sql: str, parameters: tuple[str, ...], engine: str = ""
) -> int:  # fmt: skip
    """Submit a statement to be run on real data and print the id of the job. Without ``engine`` the amount of data decides."""
    given, chosen = service.read_parameters(parameters).value_or_raise(), Engine(engine) if engine else None
    print(service.submit_sql(site, actor, EntitlementId(entitlement_id), title, sql, chosen, given).id)
    return 0


def sql_report(site: Site, actor: Actor, job_id: str, *, as_json: bool = False) -> int:
    """Print what may be told of a job's run; return 1 while there is nothing to tell."""
    job = service.get_job(site, actor, JobId(job_id))
    report = job.report
    if as_json:
        print(canonical_json(report).decode())
    elif report is None:
        print(f"{job.status} {job.failure_code}".rstrip())
    else:
        some = "some 若干"
        groups = "0" if not report.some_withheld else some if report.groups_withheld is None else report.groups_withheld
        share = some if report.units_withheld_percent is None else f"{report.units_withheld_percent} %"
        print(f"rows in the result 结果行数: {report.rows}")
        print(f"groups withheld 未予显示的分组: {groups}")
        if report.some_withheld:
            print(f"units in withheld groups, about 未显示分组中的主体约占: {share}")
    return 0 if report is not None else 1


def lookup_submit(site: Site, actor: Actor, entitlement_id: str, title: str, definition: LookupDefinition) -> int:
    """Submit a look-up to be built of real data and print the id of the job; return 0."""
    print(service.submit_lookup(site, actor, EntitlementId(entitlement_id), title, definition).id)
    return 0


def show_budget(site: Site, entitlement_id: str, *, as_json: bool = False) -> int:
    """Print the noise budget of an entitlement and every charge; return 0."""
    found = service.read_budget(site, SYSTEM, EntitlementId(entitlement_id))
    if as_json:
        print(canonical_json(found).decode())
        return 0
    if found is None:
        print("no noise is demanded here: there is no budget 未要求加噪，没有隐私预算")
        return 0
    budget = found.budget
    print(f"ε  granted 授予 {budget.epsilon_milli / 1000:g}  left 剩余 {budget.epsilon_milli_left / 1000:g}")
    print(f"δ  granted 授予 {budget.delta_pico / 10**12:g}  left 剩余 {budget.delta_pico_left / 10**12:g}")
    for charge in found.charges:
        price = charge.price
        print(f"{charge.at.isoformat()}  {charge.id}  ε={price.epsilon_milli / 1000:g} δ={price.delta_pico / 10**12:g}")
    return 0


# ----------------------------------------------------------------------------------------------------------- joint

BAR_CELLS = 30
WATCH_SECONDS = 0.5
OVER = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED})
NEXT = {
    JointStatus.PROPOSED: "waits for the peer's answer 等待对方答复",
    JointStatus.ANSWERED: "waits for the proposer's confirmation 等待提议方确认",
    JointStatus.AGREED: "agreed by both sides; the run waits or is under way 双方已确认，等待运行",
    JointStatus.SPENT: "the two nodes have met 双方节点已会合",
    JointStatus.WITHDRAWN: "withdrawn 已撤回",
}


def joint_fingerprint(site: Site, actor: Actor) -> int:
    """Print the fingerprint of this node's certificate."""
    print(service.joint_fingerprint(site, actor))
    return 0


def joint_propose(  # noqa: PLR0917 - what is proposed
    site: Site, actor: Actor, entitlement_id: str, terms: JointTerms, half: JointHalf, out: Path | None
) -> int:  # fmt: skip
    """Propose a joint task and write the letter for the peer."""
    made = service.propose_joint(site, actor, EntitlementId(entitlement_id), terms, half)
    return _write_letter(site, actor, made, out)


def joint_agree(  # noqa: PLR0917 - what is agreed to
    site: Site, actor: Actor, letter: bytes, fingerprint: str, entitlement_id: str, half: JointHalf, out: Path | None
) -> int:  # fmt: skip
    """Answer a proposal (with one's own side), or confirm an answer or a confirmation; write the letter that follows."""
    read = service.read_letter(letter)
    if read is not None and read.proposal is not None:
        made = service.answer_joint(site, actor, EntitlementId(entitlement_id), letter, fingerprint, half)
        return _write_letter(site, actor, made, out)
    agreed, job = service.confirm_joint(site, actor, letter, fingerprint)
    print(f"job {job.id} waits for the worker 任务已入队", file=sys.stderr)
    if agreed.number == 0:
        return _write_letter(site, actor, agreed, out)
    print(agreed.id)
    return 0


def _write_letter(site: Site, actor: Actor, agreement: JointAgreement, out: Path | None) -> int:
    content = service.joint_letter(site, actor, agreement.id)
    if out is not None:
        out.write_bytes(content)
        print(f"wrote {out}: hand it to the peer 请交给对方", file=sys.stderr)
    print(agreement.id)
    return 0


def joint_letter(site: Site, actor: Actor, agreement_id: str, out: Path | None) -> int:
    """Write the letter that the peer needs next once more."""
    return _write_letter(site, actor, service.get_joint(site, actor, agreement_id), out)


def joint_again(site: Site, actor: Actor, agreement_id: str) -> int:
    """Queue our side once more, where the peer's node did not come."""
    _, job = service.run_joint_again(site, actor, agreement_id)
    print(job.id)
    return 0


def joint_withdraw(site: Site, actor: Actor, agreement_id: str) -> int:
    """Withdraw an agreement that has not come to a meeting."""
    print(service.withdraw_joint(site, actor, agreement_id).id)
    return 0


def joint_status(site: Site, actor: Actor, agreement_id: str, *, watches: bool, as_json: bool) -> int:
    """Print one agreement, or all; ``watches`` shows a bar until its job is over. Return 0 unless that job failed."""
    if not agreement_id:
        for kept in service.list_joint(site, actor).rows:
            print(f"{kept.id}  {kept.status:<9}  {kept.proposal.kind:<12}  {kept.proposal.purpose}")
        return 0
    kept = service.get_joint(site, actor, agreement_id)
    job = None if kept.job is None else service.get_job(site, actor, kept.job)
    while watches and job is not None and job.status not in OVER:
        _show_bar(job, service.progress_of(site, actor, job.id))
        time.sleep(WATCH_SECONDS)
        job = service.get_job(site, actor, job.id)
    if watches and job is not None:
        _show_bar(job, service.progress_of(site, actor, job.id))
        print(file=sys.stderr)
        kept = service.get_joint(site, actor, agreement_id)
    progress = None if job is None else service.progress_of(site, actor, job.id)
    if as_json:
        told = {"agreement": kept, "job": job, "progress": progress}
        print(canonical_json(told).decode())
    else:
        _print_agreement(kept, job, progress)
    return 1 if job is not None and job.status in {JobStatus.FAILED, JobStatus.STOPPED} else 0


def _show_bar(job: Job, progress: JobProgress | None) -> None:
    percent = 100 if job.status is JobStatus.SUCCEEDED else 0 if progress is None else progress.percent
    phase = job.status.value if job.status in OVER or progress is None else progress.phase
    filled = BAR_CELLS * percent // 100
    bar = "█" * filled + "·" * (BAR_CELLS - filled)
    print(f"\r{bar} {percent:>3} %  {phase:<14}", end="", file=sys.stderr, flush=True)


def _print_agreement(kept: JointAgreement, job: Job | None, progress: JobProgress | None) -> None:
    print(f"{kept.id}: {NEXT[kept.status]}")
    print(f"  {kept.proposal.kind} · {kept.proposal.purpose} · until {kept.proposal.valid_until.isoformat()}")
    print(f"  digest {kept.ref.digest}")
    if kept.peer is not None:
        print(f"  peer {kept.peer.name or kept.peer.party} at {kept.peer.address}")
        print(f"  fingerprint of its certificate {service.fingerprint_of(kept.peer)}")
    if job is None:
        return
    told = "" if progress is None else f" · {progress.percent} % {progress.phase}"
    print(f"  job {job.id}: {job.status}{told}")
    if job.failure_code:
        print(f"  failed: {job.failure_code}")
    elif job.status is JobStatus.SUCCEEDED and job.report is not None and not job.files:
        is_below = job.report.some_withheld
        print(
            "  below the threshold 低于阈值" if is_below else "  done; this side learns nothing 已完成，本方不获知结果"
        )


# ---------------------------------------------------------------------------------------------------------- python

SHOWN_ROWS_MAX = 20


def python_try(site: Site, actor: Actor, entitlement_id: str, given: service.Submission, *, as_json: bool) -> int:
    """Run a program on synthetic rows and print what it printed and wrote; return 0 when it ran to its end."""
    found = service.try_python(site, actor, EntitlementId(entitlement_id), given)
    if as_json:
        print(canonical_json(found).decode())
        return 1 if found.failure else 0
    print(found.printed, end="")
    for table in found.tables:
        print(f"\n-- {table.name}: {len(table.rows)} rows 行")
        print("\t".join(table.columns))
        for row in table.rows[:SHOWN_ROWS_MAX]:
            print("\t".join("" if value is None else str(value) for value in row))
    for name, text in found.texts:
        print(f"\n-- {name}\n{text}")
    for name, model in found.models:
        print(f"\n-- {name}: {', '.join(model.operators)}; {model.numbers} numbers 参数, {model.texts} texts 文本")
    if found.failure:
        print(f"failed 失败: {found.failure}", file=sys.stderr)
    return 1 if found.failure else 0


def python_submit(site: Site, actor: Actor, entitlement_id: str, title: str, given: service.Submission) -> int:
    """Submit a program to be run on real data and print the id of the job."""
    print(service.submit_python(site, actor, EntitlementId(entitlement_id), title, given).id)
    return 0
