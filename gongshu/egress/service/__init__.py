"""What egress offers: quarantine, checks, reviews and releases; copies of what was released, and whose copy a file is."""

from gongshu.egress.service.copies import (
    EXCEL_ROWS_MAX,
    ReleasedTable,
    copy_mark,
    evidence_of,
    is_traceable,
    match_rows,
    released_table,
    write_copy,
)
from gongshu.egress.service.outputs import (
    collect,
    get_output,
    get_release,
    list_outputs,
    list_releases,
    preview_output,
    release,
    release_folder,
    release_in,
    stop_under_in,
    submit_for_review,
    vote,
)
from gongshu.egress.service.reports import complete_report, write_report

__all__ = [
    "EXCEL_ROWS_MAX",
    "ReleasedTable",
    "collect",
    "complete_report",
    "copy_mark",
    "evidence_of",
    "get_output",
    "get_release",
    "is_traceable",
    "list_outputs",
    "list_releases",
    "match_rows",
    "preview_output",
    "release",
    "release_folder",
    "release_in",
    "released_table",
    "stop_under_in",
    "submit_for_review",
    "vote",
    "write_copy",
    "write_report",
]
