"""Running a governed query on a Spark cluster: which engine is there, projections for the cluster, the result into quarantine."""

from dataclasses import replace
from pathlib import Path

from gongshu.base.decisions import Decision
from gongshu.base.site import Site
from gongshu.compute.adapters import folders, projections, sandbox, spark
from gongshu.compute.rules import engines
from gongshu.compute.rules import projections as written
from gongshu.compute.rules.spark import SPARK_OPERATORS
from gongshu.compute.service.governing import Governed
from gongshu.compute.types import Engine, GovernedQuery, Job

TOLD = "told"


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
        has_client=(site.spark is not None or asked is Engine.SPARK) and spark.find_python() is not None,
        rows_min=site.parameters.number("compute.spark.rows_min", today),
        bytes_min=site.parameters.number("compute.spark.bytes_min", today),
    )
    return engines.decide_engine(asked, query, governed.relations, sizes, here)


def run_on_spark(  # noqa: PLR0917 - what a run needs
    site: Site, job: Job, query: GovernedQuery, recipes: dict[str, projections.Recipe], place: Path, files: tuple[str, ...]
) -> sandbox.Outcome:  # fmt: skip
    """Write the projections where the cluster reads them, run ``query`` there, and write its files from what comes back.

    The projections are removed when the run is over, however it ends. What the cluster answered is read in the sandbox,
    never by the platform's own process, and gets the types that DuckDB would have given it.
    """
    cluster, python = site.spark, spark.find_python()
    if cluster is None or python is None:
        return sandbox.Outcome(code="spark-not-configured" if cluster is None else "spark-client-missing")
    folders.sweep_shared(cluster.folder, job.id)
    told = place / f"{TOLD}.parquet"
    with folders.shared(cluster.folder, place.name) as shared, spark.Client(python) as client:
        urls: dict[str, str] = {}
        for index, (relation, recipe) in enumerate(recipes.items()):
            target = shared / f"p{index}.parquet"
            projections.write(recipe, target)
            urls[relation] = f"{cluster.folder_url}/{shared.name}/{target.name}"
        outcome, columns = client.run(
            query, spark.SparkRun(cluster.remote, urls, told, job.plan.limits, SPARK_OPERATORS)
        )
    if outcome.code:
        return outcome
    select = f'SELECT {spark.same_types(columns)} FROM "{TOLD}"'  # noqa: S608 - quoted
    copy = GovernedQuery(select, outcome.columns, (), (), is_aggregate=False)
    run = sandbox.Run({TOLD: told}, place / "outbox", files, job.plan.limits, written.PLAN_OPERATORS)
    copied = sandbox.run_engine(copy, run)
    return replace(outcome, code=copied.code)
