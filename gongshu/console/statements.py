"""Example statements for the editor, made from the columns of an entitlement: some are permitted, some are not."""

from dataclasses import dataclass

from gongshu.console.labels import Word, word
from gongshu.policies.types import Use
from gongshu.scenarios.types import Entitlement, ResourceEntitlement


@dataclass(frozen=True)
class Example:
    """A statement to start from."""

    title: Word
    sql: str


def _columns(resource: ResourceEntitlement, use: Use) -> list[str]:
    return [f'"{column.column}"' for column in resource.policy.columns if use in column.uses]


def examples_for(entitlement: Entitlement) -> tuple[Example, ...]:
    """Return examples for the first resource, as far as its columns allow them."""
    if not entitlement.resources:
        return ()
    resource = entitlement.resources[0]
    found = []
    unit = ", ".join(f'"{column}"' for column in resource.policy.unit)
    ordered = set(_columns(resource, Use.RANK))  # dates and numbers make many small groups: categories come first
    groups = sorted(_columns(resource, Use.GROUP), key=lambda column: column in ordered)
    if groups and unit:
        keys = ", ".join(groups[:2])
        found.append(
            Example(
                word("example", "Count by group"),
                f"SELECT {keys}, count(DISTINCT {unit}) AS n\nFROM {resource.name}\nGROUP BY {keys}\nORDER BY n DESC",
            )
        )
        totals = [column for column in _columns(resource, Use.TOTAL) if column not in groups]
        if totals:
            found.append(
                Example(
                    word("example", "Average by group"),
                    f"SELECT {groups[0]}, count(*) AS n, avg({totals[0]}) AS average\nFROM {resource.name}\n"
                    f"GROUP BY {groups[0]}",
                )
            )
    hidden = [column.column for column in resource.policy.columns if Use.REVEAL not in column.uses and column.uses]
    if hidden:
        found.append(
            Example(word("example", "Show a column (refused)"), f'SELECT "{hidden[0]}"\nFROM {resource.name}\nLIMIT 10')
        )
    unfiltered = [column.column for column in resource.policy.columns if Use.FILTER not in column.uses]
    if unfiltered:
        found.append(
            Example(
                word("example", "Filter on a protected column (refused)"),
                f"SELECT count(*) AS n\nFROM {resource.name}\nWHERE \"{unfiltered[0]}\" = 'x'",
            )
        )
    return tuple(found)


def program_for(entitlement: Entitlement, forms: dict[str, dict[str, str]]) -> str:
    """Return a program to start from: it counts the rows of the first relation by a column that it is given."""
    for resource in entitlement.resources:
        ordered = _columns(resource, Use.RANK)  # dates and numbers make many small groups: categories come first
        given = [column for column, form in forms[resource.name].items() if form == "value"]
        given.sort(key=lambda column: f'"{column}"' in ordered)
        if given:
            counted = f'rows.group_by("{given[0]}").agg(pl.len().alias("n"))'
            return (
                "import polars as pl\nfrom gongshu import job\n\n"
                f'rows = job.polars("{resource.name}")\njob.write_table("result.parquet", {counted})\n'
            )
    return ""
