"""The ledger of released groups: a query's groups are laid beside all earlier ones of the same versions, whoever asked.

What would be told of fewer than ``units_min`` units by adding and subtracting is withheld before a result is written. The
sets lie in ``home/ledger/<version>/``, one file per job, as keyed hashes of units: shown to nobody, not in the control database.
Of two jobs at once the second to finish is run again.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from gongshu.base.decisions import Denied
from gongshu.base.ids import JobId
from gongshu.base.site import Site
from gongshu.compute import store
from gongshu.compute.adapters import ledger as shelf
from gongshu.compute.adapters import sandbox
from gongshu.compute.rules import ledger, verification
from gongshu.compute.types import GovernedQuery, Job

LEDGER_SECRET = "compute-ledger"  # noqa: S105 - the name of a secret
LEDGER_LINE = "ledger"
"""How a job's report names this line of defence."""
TRACE_FILE, SETS_FILE = "trace.parquet", "sets.parquet"
SETS_OFF = 0
RULES = shelf.Decisions(ledger.decide_repeats, ledger.decide_sets)


def unit_key(site: Site) -> bytes:
    """Return the key by which units are hashed alike in all jobs."""
    return verification.artifact_key(site.keys.secret(LEDGER_SECRET), b"units")


def earlier_sets(site: Site, job: Job) -> tuple[Path, ...]:
    """Return the sets that other jobs released of the versions that ``job`` reads."""
    own = f"{job.id}.parquet"
    found = {path.name: path for folder in _folders(site, job) for path in folder.glob("*.parquet") if path.name != own}
    return tuple(found[name] for name in sorted(found))


def _folders(site: Site, job: Job) -> list[Path]:
    return [site.home / "ledger" / ref.id for ref in job.plan.inputs]


def run_weighed(site: Site, job: Job, query: GovernedQuery, run: sandbox.Run, place: Path) -> sandbox.Outcome:
    """Run a query, and once more without the groups that earlier ones leave too few units of."""
    today, parameters = site.today(), site.parameters
    limits = shelf.Limits(
        job.plan.thresholds.units_min, parameters.number("ledger.sets_max", today),
        parameters.number("ledger.leverage.percent_max", today),
    )  # fmt: skip
    if not query.traces or limits.sets_max == SETS_OFF:
        return sandbox.run_engine(query, run)
    trace = place / TRACE_FILE
    outcome = sandbox.run_engine(query, replace(run, trace=(ledger.trace_sql(query.traces), trace)))
    if outcome.code:
        return outcome
    with_units = [p.relation for p in query.projections if p.has_unit]
    whole = run.projections[with_units[0]] if len(with_units) == 1 else None
    found = shelf.weigh(trace, query.traces, list(earlier_sets(site, job)), whole, limits, place / SETS_FILE, RULES)
    trace.unlink()
    defences = (*outcome.defences, LEDGER_LINE)
    if found.is_spent:
        versions = ", ".join(ref.id for ref in job.plan.inputs)
        Denied((ledger.LEDGER_SPENT.because(version=versions),)).value_or_raise()
    if not found.groups:
        return replace(outcome, defences=defences)
    for name in run.files:
        (run.outbox / name).unlink()
    groups: dict[str, tuple[int, ...]] = {}
    for number, hashes in found.groups.items():
        stage = query.traces[number].stage
        groups[stage] = (*groups.get(stage, ()), *hashes)
    return replace(sandbox.run_engine(ledger.without(query, groups), run), defences=defences)


def keep_sets(site: Site, job: Job, place: Path) -> None:
    """Put the sets of a job that succeeded into the ledger of every version that it read."""
    sets = place / SETS_FILE
    if not sets.exists():
        return
    for folder in _folders(site, job):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = folder / f"{job.id}.new"
        shutil.copyfile(sets, aside)
        aside.chmod(0o600)
        aside.rename(folder / f"{job.id}.parquet")


def forget_groups(site: Site, job_id: JobId) -> None:
    """Take the groups of a job whose output will never be shown out of the ledger, so that others may be told of them."""
    with site.db.reading() as tx:
        job = store.JOBS.get(tx, job_id)
    for folder in _folders(site, job):
        (folder / f"{job.id}.parquet").unlink(missing_ok=True)
