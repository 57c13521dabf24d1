"""Tables of outputs and releases."""

from gongshu.base.tables import Documents, short
from gongshu.egress.types import Output, Release

OUTPUTS: Documents[Output] = Documents(
    "output", Output, short("job", unique=True), short("author_party"), short("operator"), short("grant"),
    short("status"),
    index=lambda o: {
        "job": o.job_id, "author_party": o.author_party, "operator": o.operator, "grant": o.grant,
        "status": o.status.value,
    },
)  # fmt: skip

RELEASES: Documents[Release] = Documents(
    "release", Release, short("output", unique=True), short("operator"), short("grant"),
    index=lambda r: {"output": r.output.id, "operator": r.operator, "grant": r.grant},
)  # fmt: skip
