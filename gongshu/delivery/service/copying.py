"""Products that are delivered as files: each buyer gets a copy of its own, marked with its contract."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gongshu.base.decisions import Reason
from gongshu.base.digest import digest_of
from gongshu.base.ids import ContractId
from gongshu.base.site import Keys
from gongshu.delivery import rules
from gongshu.delivery.service import answering
from gongshu.delivery.service.kinds import OPENERS, Answer, BuyerAnswer, Opener
from gongshu.delivery.service.spool import BeingMade, Spool, SpooledFile
from gongshu.delivery.types import Outcome
from gongshu.egress import service as egress
from gongshu.egress.types import CopyFormat, ReportFormat
from gongshu.metering.types import ResultCode
from gongshu.products.types import Definition, ProductKind

FORMAT_FIELD = "format"


class DeliveredFile(msgspec.Struct, frozen=True):
    """What the receipt of a file says of it."""

    format: str
    sha256: str
    bytes: int


def describe(spooled: SpooledFile, kind: str) -> Outcome:
    """Return the outcome that stands for a file: what it is as content, and where it lies."""
    told = DeliveredFile(kind, spooled.sha256, spooled.bytes)
    return Outcome(ResultCode.SERVED, msgspec.json.encode(told), file=str(spooled.path))


def refuse(reason: Reason) -> Outcome:
    """Return a refusal of a call that nothing else speaks against."""
    return Outcome(ResultCode.REFUSED, reasons=(reason,))


def openers_of(home: Path, gateway: str) -> Mapping[ProductKind, Opener]:
    """Return the opener of every kind; files of buyers are kept in the gateway's own folder."""
    spool = Spool(home / "spool" / gateway)
    return {
        **OPENERS, ProductKind.TABLE: open_table(spool), ProductKind.QUERY: answering.open_query,
        ProductKind.INDEX: answering.open_series, ProductKind.MODEL: answering.open_model,
        ProductKind.REPORT: open_report(spool),
    }  # fmt: skip


def open_table(spool: Spool) -> Opener:
    """Return what opens a released table; ``spool`` holds the copies."""

    def opened(path: Path, _definition: Definition, keys: Keys) -> BuyerAnswer:
        released = egress.released_table(path)

        def of(contract: ContractId) -> Answer:
            def answer(fields: dict[str, str]) -> Outcome:
                wanted = fields.get(FORMAT_FIELD, CopyFormat.CSV.value)
                if wanted not in set(CopyFormat):
                    return refuse(rules.FORMAT_UNKNOWN.because(formats=", ".join(CopyFormat)))
                if wanted == CopyFormat.EXCEL and released.rows > egress.EXCEL_ROWS_MAX:
                    return refuse(rules.TABLE_TOO_LONG.because(rows=released.rows, rows_max=egress.EXCEL_ROWS_MAX))
                kind, mark = CopyFormat(wanted), egress.copy_mark(keys, released.sha256, contract)
                try:
                    made = spool.file(
                        (released.sha256, contract, kind.value), kind.value,
                        lambda target: egress.write_copy(path, target, kind, mark),
                    )  # fmt: skip
                except BeingMade:
                    return refuse(rules.COPY_BEING_MADE.because())
                return describe(made, kind.value)

            return answer

        return BuyerAnswer(of)

    return opened


def open_report(spool: Spool) -> Opener:
    """Return what opens a released table of which reports are made; ``spool`` holds them."""

    def opened(path: Path, definition: Definition, keys: Keys) -> BuyerAnswer:
        report, released = definition.report, egress.released_table(path)
        if report is None:
            raise ValueError("the product does not say what its report holds")
        version = digest_of(report)

        def of(contract: ContractId) -> Answer:
            def answer(fields: dict[str, str]) -> Outcome:
                wanted = fields.get(FORMAT_FIELD, ReportFormat.PDF.value)
                if wanted not in set(ReportFormat):
                    return refuse(rules.FORMAT_UNKNOWN.because(formats=", ".join(ReportFormat)))
                kind = ReportFormat(wanted)

                def make(target: Path) -> None:
                    egress.write_report(path, target, report, kind, keys, released.sha256, contract)

                try:
                    made = spool.file((released.sha256, version, contract, kind.value), kind.value, make)
                except BeingMade:
                    return refuse(rules.COPY_BEING_MADE.because())
                return describe(made, kind.value)

            return answer

        return BuyerAnswer(of)

    return opened
