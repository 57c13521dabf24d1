"""Running a governed query on a Spark cluster: which engine is there, projections for the cluster, the result into quarantine."""

from dataclasses import dataclass, replace
from pathlib import Path

from gongshu.base.decisions import Decision, Denied
from gongshu.base.site import Site
from gongshu.compute.adapters import folders, projections, sandbox, spark
from gongshu.compute.adapters import ledger as shelf
from gongshu.compute.rules import engines, ledger
from gongshu.compute.rules import projections as written
from gongshu.compute.rules.spark import MEASURED, SPARK_OPERATORS, beside, measurements
from gongshu.compute.service import weighing
from gongshu.compute.service.governing import Governed
from gongshu.compute.types import Engine, GovernedQuery, Job, Relation
from gongshu.metering import service as metering

TOLD, TRACED = "told", "traced"
SIGNED_UNITS = """
    SELECT s, g, c, CAST(CASE WHEN u < 0 THEN CAST(u AS HUGEINT) + 18446744073709551616 ELSE u END AS UBIGINT) AS u, r, h
    FROM "traced"
"""
"""Units as the ledger knows them: 64 bits without a sign."""


def choose_engine(
    site: Site, governed: Governed, query: GovernedQuery, asked: Engine | None
) -> Decision[tuple[Engine, GovernedQuery]]:
    """Decide which engine runs ``query`` and return the query in its dialect."""
    versions = [governed.versions[projection.relation] for projection in query.projections]
    sizes = engines.Sizes(
        rows=sum(version.rows_kept for version in versions),
        bytes=sum(file.bytes for version in versions for file in version.manifest.files),
    )
    today = site.today()
    here = engines.Available(
        has_cluster=site.spark is not None,
        has_client=(site.spark is not None or asked is Engine.SPARK) and metering.find_spark_python() is not None,
        rows_min=site.parameters.number("compute.spark.rows_min", today),
        bytes_min=site.parameters.number("compute.spark.bytes_min", today),
    )
    return engines.decide_engine(asked, query, governed.relations, sizes, here)


@dataclass(frozen=True)
class Attempt:
    """What one run on a cluster needs besides the query: it may be run once more without groups that the ledger withholds."""

    client: spark.Client
    remote: str
    urls: dict[str, str]
    relations: tuple[Relation, ...]
    job: Job
    place: Path
    files: tuple[str, ...]

    def run(self, query: GovernedQuery, *, is_traced: bool) -> sandbox.Outcome:
        """Run ``query`` and write its files. What the cluster answered is read in the sandbox, never by our own process."""
        decided = engines.write_for_spark(query, self.relations)
        if isinstance(decided, Denied):
            return sandbox.Outcome(code=decided.reasons[0].code, defences=spark.DEFENCES)
        told, traced = self.place / f"{TOLD}.parquet", self.place / f"{TRACED}.parquet"
        trace = (ledger.trace_sql(decided.value.traces), traced) if is_traced else None
        limits = self.job.plan.limits
        run = spark.SparkRun(self.remote, self.urls, told, limits, SPARK_OPERATORS, trace)
        outcome, columns = self.client.run(decided.value, run)
        if outcome.code:
            return outcome
        select = f'SELECT {spark.same_types(columns)} FROM "{TOLD}"'  # noqa: S608 - quoted
        copied = self._copy(select, {TOLD: told}, self.place / "outbox", self.files)
        if is_traced and not copied:
            copied = self._copy(SIGNED_UNITS, {TRACED: traced}, self.place, (weighing.TRACE_FILE,))
        return replace(outcome, code=copied)

    def measure(self, query: GovernedQuery, kept: Path) -> sandbox.Outcome:
        """Run a query with noise: the cluster measures, and the sandbox here adds noise and does the rest."""
        decided = engines.write_for_spark(query, self.relations)
        if isinstance(decided, Denied):
            return sandbox.Outcome(code=decided.reasons[0].code, defences=spark.DEFENCES)
        limits = replace(self.job.plan.limits, output_rows_max=spark.TRACE_ROWS_MAX)
        given: dict[str, Path] = {}
        selected: list[str] = []
        for number, asked in enumerate(measurements(decided.value)):
            target = given[f"{MEASURED}{number}"] = self.place / f"m{number}.parquet"
            run = spark.SparkRun(self.remote, self._urls(asked), target, limits, SPARK_OPERATORS)
            outcome, columns = self.client.run(asked, run)
            if outcome.code:
                return outcome
            selected.append(spark.same_types(columns))
        here = sandbox.Run(given, self.place / "outbox", self.files, self.job.plan.limits, written.PLAN_OPERATORS, kept)
        return replace(sandbox.run_engine(beside(query, tuple(selected)), here), defences=spark.DEFENCES)

    def _urls(self, query: GovernedQuery) -> dict[str, str]:
        return {projection.relation: self.urls[projection.relation] for projection in query.projections}

    def _copy(self, sql: str, given: dict[str, Path], outbox: Path, files: tuple[str, ...]) -> str:
        """Write what came back as DuckDB writes its own results; return the code of what went wrong."""
        query = GovernedQuery(sql, (), (), (), is_aggregate=False)
        limits = replace(
            self.job.plan.limits, output_rows_max=max(spark.TRACE_ROWS_MAX, self.job.plan.limits.output_rows_max)
        )
        run = sandbox.Run(given, outbox, files, limits, written.PLAN_OPERATORS)
        for name in files:
            (outbox / name).unlink(missing_ok=True)
        return sandbox.run_engine(query, run).code


def run_on_spark(  # noqa: PLR0917 - what a run needs
    site: Site, job: Job, query: GovernedQuery, relations: tuple[Relation, ...],
    recipes: dict[str, projections.Recipe], place: Path, files: tuple[str, ...],
) -> sandbox.Outcome:  # fmt: skip
    """Write the projections where the cluster reads them, run ``query`` there, and write its files from what comes back.

    The projections are removed when the run is over, however it ends.
    """
    cluster, python = site.spark, metering.find_spark_python()
    if cluster is None or python is None:
        return sandbox.Outcome(code="spark-not-configured" if cluster is None else "spark-client-missing")
    folders.sweep_shared(cluster.folder, job.id)
    with folders.shared(cluster.folder, place.name) as shared, spark.Client(python) as client:
        given = {relation: shared / f"p{index}.parquet" for index, relation in enumerate(recipes)}
        for relation, recipe in recipes.items():
            projections.write(recipe, given[relation])
        urls = {relation: f"{cluster.folder_url}/{shared.name}/{path.name}" for relation, path in given.items()}
        attempt = Attempt(client, cluster.remote, urls, relations, job, place, files)
        if query.price is not None:
            with folders.kept(site.home, job.id) as kept:
                return attempt.measure(query, kept)
        return _weighed(site, job, query, attempt, given)


def _weighed(
    site: Site, job: Job, query: GovernedQuery, attempt: Attempt, given: dict[str, Path]
) -> sandbox.Outcome:  # fmt: skip
    """Run a query, and once more without the groups that earlier ones leave too few units of (see ``weighing``)."""
    today, parameters = site.today(), site.parameters
    limits = shelf.Limits(
        job.plan.thresholds.units_min, parameters.number("ledger.sets_max", today),
        parameters.number("ledger.leverage.percent_max", today),
    )  # fmt: skip
    if not query.traces or limits.sets_max == weighing.SETS_OFF:
        return attempt.run(query, is_traced=False)
    outcome = attempt.run(query, is_traced=True)
    if outcome.code:
        return outcome
    with_units = [p.relation for p in query.projections if p.has_unit]
    whole = given[with_units[0]] if len(with_units) == 1 else None
    trace, target = attempt.place / weighing.TRACE_FILE, attempt.place / weighing.SETS_FILE
    earlier = list(weighing.earlier_sets(site, job))
    found = shelf.weigh(trace, query.traces, earlier, whole, limits, target, weighing.RULES)
    defences = (*outcome.defences, weighing.LEDGER_LINE)
    if found.is_spent:
        versions = ", ".join(ref.id for ref in job.plan.inputs)
        Denied((ledger.LEDGER_SPENT.because(version=versions),)).value_or_raise()
    if not found.groups:
        return replace(outcome, defences=defences)
    groups: dict[str, tuple[int, ...]] = {}
    for number, hashes in found.groups.items():
        stage = query.traces[number].stage
        groups[stage] = (*groups.get(stage, ()), *hashes)
    return replace(attempt.run(ledger.without(query, groups), is_traced=False), defences=defences)
