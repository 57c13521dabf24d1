"""Adds calibrated noise to the table of a stage, in the engine's process, as soon as it is made. Uses OpenDP alone.

Run inside the sandbox by ``child``; imports nothing of ours. Noise is drawn once: the noisy table is on the disk of the job
before anything reads it, and a run that is repeated after a kill takes it from there. So nobody can choose among draws by
ending runs, and the exact table is gone as soon as the noisy one stands.
"""

import math
import os
from typing import Any

import opendp.prelude as dp

THRESHOLD_MAX = 1 << 30
LARGE, GAUSSIAN_FACTOR = 1e6, 20.0
MILLI, PICO = 1e-3, 1e-12
UNITS = "units"
PARQUET_END = b"PAR1"

dp.enable_features("contrib")


def calibrate(mechanism: str, *, groups: int, sensitivity: int, epsilon: float, delta: float) -> Any:
    """Return the OpenDP measurement over whole numbers, one per group, with the least noise that ``epsilon`` allows.

    One unit changes at most ``groups`` of the numbers, each by at most ``sensitivity``. Gaussian noise needs ``delta``.
    """
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if mechanism == "laplace":
        space = domain, dp.l1_distance(T="i64")
        whole = groups * sensitivity
        return dp.binary_search_chain(
            lambda scale: dp.m.make_laplace(*space, scale=scale), d_in=whole, d_out=epsilon,
            bounds=(whole / LARGE, whole * LARGE),
        )  # fmt: skip
    gaussian = domain, dp.l2_distance(T=float)
    distance = math.nextafter(math.sqrt(groups) * sensitivity, math.inf)

    def made(scale: float) -> Any:
        return dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*gaussian, scale=scale)), delta)

    bounds = (distance / GAUSSIAN_FACTOR, distance * LARGE)  # below it the reckoning of ε overflows
    return dp.binary_search_chain(made, d_in=distance, d_out=(epsilon, delta), bounds=bounds)


def choose(*, groups: int, epsilon: float, delta: float) -> Any:
    """Return the OpenDP measurement that gives noisy numbers of units, of those groups only where they are large enough.

    Takes and returns a dictionary. A group of a single unit is among the result with a probability of at most ``delta``.
    """
    space = (
        dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64")),
        dp.l01inf_distance(dp.absolute_distance(T="i64")),
    )
    distance = (groups, groups, 1)

    def made(scale: float, threshold: float) -> Any:
        return dp.m.make_laplace_threshold(*space, scale=scale, threshold=int(threshold))

    scale = dp.binary_search(
        lambda tried: made(tried, THRESHOLD_MAX).map(distance)[0] <= epsilon, bounds=(groups / LARGE, groups * LARGE)
    )
    threshold = dp.binary_search(lambda tried: made(scale, tried).map(distance)[1] <= delta, bounds=(2, THRESHOLD_MAX))
    return made(scale, threshold)


def _noisy(spec: dict[str, Any], exact: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return the noisy columns beside ``row``, which says of which groups they are."""
    epsilon, delta = spec["epsilon_milli"] * MILLI, spec["delta_pico"] * PICO
    groups, rows = spec["groups_per_unit_max"], list(range(len(exact["row"])))
    found: dict[str, list[int]] = {}
    if spec["keys"]:
        units = choose(groups=groups, epsilon=epsilon, delta=delta)(dict(zip(rows, exact[UNITS], strict=True)))
        rows = sorted(units)
        found[UNITS] = [units[row] for row in rows]
    found["row"] = [exact["row"][row] for row in rows]
    for measurement in spec["measurements"]:
        column = measurement["column"]
        given = [exact[column][row] for row in rows]
        drawn = calibrate(
            spec["mechanism"], groups=groups, sensitivity=measurement["sensitivity"], epsilon=epsilon, delta=delta
        )
        found[column] = list(drawn(given)) if given else []
    return found


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def _text(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def make_table(engine: Any, name: str, sql: str, spec: dict[str, Any], kept: str) -> None:
    """Make the table ``name`` of the groups of ``sql`` with noise, or take it from ``kept``, where it is otherwise put."""
    table = quoted(name)
    if _is_whole(kept):
        engine.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM ({_named(spec, sql)}) LIMIT 0")  # noqa: S608 - ours
        engine.execute(f"INSERT INTO {table} SELECT * FROM read_parquet({_text(kept)})")  # noqa: S608 - ours
        return
    engine.execute(f'CREATE TEMP TABLE "exact:" AS {sql}')
    names = ["row", *_columns(spec)]
    shown = "".join(f", {quoted(column)}" for column in _columns(spec))
    fetched = engine.execute(f'SELECT rowid{shown} FROM "exact:"').fetchall()  # noqa: S608 - ours
    noisy = _noisy(spec, {column: [row[i] for row in fetched] for i, column in enumerate(names)})
    drawn = ", ".join(f"unnest(CAST(? AS BIGINT[])) AS {quoted(column)}" for column in names)
    engine.execute(f'CREATE TEMP TABLE "drawn:" AS SELECT {drawn}', [noisy[column] for column in names])
    keys = [f'e."c{i}"' for i in range(spec["keys"])]
    items = [*keys, *(f"d.{quoted(column)}" for column in _columns(spec))] or ["1 AS one"]
    order = f" ORDER BY {', '.join(keys)}" if keys else ""
    engine.execute(
        f"CREATE TEMP TABLE {table} AS SELECT {', '.join(items)} "  # noqa: S608 - ours
        f'FROM "exact:" AS e JOIN "drawn:" AS d ON e.rowid = d.row{order}'
    )
    engine.execute('DROP TABLE "exact:"')
    engine.execute('DROP TABLE "drawn:"')
    _keep(engine, table, kept)


def _columns(spec: dict[str, Any]) -> list[str]:
    return [*([UNITS] if spec["keys"] else []), *(measurement["column"] for measurement in spec["measurements"])]


def _named(spec: dict[str, Any], sql: str) -> str:
    """Write the stage with columns of the types that the noisy table has."""
    items = [f'"c{i}"' for i in range(spec["keys"])]
    items += [f"CAST({quoted(column)} AS BIGINT) AS {quoted(column)}" for column in _columns(spec)]
    return f"SELECT {', '.join(items) or '1 AS one'} FROM ({sql})"  # noqa: S608 - ours


def _is_whole(kept: str) -> bool:
    """Whether a file was written to its end: then it ends as every Parquet file does. One that was not, nobody has read."""
    with open(kept, "rb") as file:  # noqa: PTH123 - no imports
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(PARQUET_END)))
        return size > len(PARQUET_END) and file.read() == PARQUET_END


def _keep(engine: Any, table: str, kept: str) -> None:
    engine.execute(f"COPY {table} TO {_text(kept)} (FORMAT parquet, USE_TMP_FILE false)")
    handle = os.open(kept, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
