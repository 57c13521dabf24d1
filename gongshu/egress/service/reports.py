"""Reports of released tables, one for each buyer. No transaction: files and one secret."""

from pathlib import Path

from gongshu.base.decisions import Decision, Denied
from gongshu.base.ids import ContractId
from gongshu.base.site import Keys
from gongshu.egress.adapters import reports
from gongshu.egress.rules import reports as rules
from gongshu.egress.service.copies import copy_mark
from gongshu.egress.types import ReportDefinition, ReportFormat


def complete_report(path: Path, definition: ReportDefinition) -> Decision[ReportDefinition]:
    """Accept a report whose columns the released table at ``path`` has."""
    if not reports.is_installed():
        return Denied((rules.REPORT_EXTRA_MISSING.because(),))
    return rules.decide_report(definition, reports.read_columns(path))


def write_report(  # noqa: PLR0917 - what a report is made of
    path: Path, target: Path, definition: ReportDefinition, kind: ReportFormat, keys: Keys, artifact_sha256: str,
    contract: ContractId,
) -> None:  # fmt: skip
    """Write the report of one buyer to ``target``: the same for the same release, definition and contract."""
    columns, rows = reports.read_rows(path)
    mark = copy_mark(keys, artifact_sha256, contract)
    report = rules.compose(definition, columns, rows, mark=mark, release_id=path.parent.name, contract=contract)
    reports.write_report(report, target, kind)
