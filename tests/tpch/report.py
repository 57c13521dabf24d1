"""The report ``docs/reference/tpch.md``: what the gate says of each question, with suitable and with default uses."""

from gongshu.base.decisions import Denied, Reason
from gongshu.compute.rules import decide_query
from gongshu.policies.types import Thresholds
from tests.tpch.nearest import NEAREST
from tests.tpch.queries import QUESTIONS, Question
from tests.tpch.tables import default_relations, read_uses, relations

THRESHOLDS = Thresholds(units_min=10, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
REASONS_SHOWN = 6
INTRODUCTION = """# TPC-H through the gate

The 22 questions of TPC-H, asked in our own words of SQL (`tests/tpch/queries.py`). The privacy unit is the customer, for lines
and offers the supplier; parts, nations and regions are openly published. "Suitable uses" are the least uses under which a
question passes as it stands. "Default uses" are those of each column's grade: keys, names and telephone numbers direct
identifiers, balances and stock sensitive, nations quasi-identifiers, the rest ordinary.

`tests/tpch` runs every question that passes on made data: with thresholds that ask for nothing the governed answer is the raw
one; with the usual thresholds (10 units, p 10 %, (2, 90 %)) it is the raw one without what is withheld.

"""


def _reasons(reasons: tuple[Reason, ...]) -> str:
    found: dict[str, list[str]] = {}
    for reason in reasons:
        facts = dict(reason.facts)
        found.setdefault(reason.code, []).append(str(facts.get("column") or facts.get("relation") or ""))
    shown = []
    for code, names in found.items():
        few = [f"`{name}`" for name in dict.fromkeys(names) if name]
        more = " …" if len(few) > REASONS_SHOWN else ""
        shown.append(f"`{code}`" + (f" ({', '.join(few[:REASONS_SHOWN])}{more})" if few else ""))
    return "; ".join(shown)


def _block(sql: str) -> str:
    lines = sql.strip("\n").splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "```sql\n" + "\n".join(line[indent:].rstrip() for line in lines).rstrip() + "\n```\n"


def uses_of(question: Question) -> dict[str, str]:
    """Return the uses by column."""
    return {column: words for words, columns in question.uses.items() for column in columns.split()}


def reasons_of(question: Question, *, default: bool) -> tuple[Reason, ...]:
    """Return the reasons against a question as it stands."""
    given = default_relations() if default else relations(read_uses(uses_of(question)))
    decision = decide_query(given, THRESHOLDS, question.sql)
    return decision.reasons if isinstance(decision, Denied) else ()


def _section(question: Question) -> str:
    suitable, default = (reasons_of(question, default=is_default) for is_default in (False, True))
    uses = "; ".join(f"{words.replace(' ', ' + ')}: `{'`, `'.join(cs.split())}`" for words, cs in question.uses.items())
    text = f"\n## {question.number}. {question.asks}\n\n"
    text += f"- **Suitable uses**: {'passes' if not suitable else 'refused: ' + _reasons(suitable)}. {uses}.\n"
    text += f"- **Default uses**: {'passes' if not default else 'refused: ' + _reasons(default)}.\n"
    if question.why:
        text += f"- **Shows**: {question.why}\n"
    if question.number in NEAREST:
        label = "The nearest form that passes with default uses" + (" and shows something" if question.why else "")
        text += f"\n{label}:\n\n{_block(NEAREST[question.number])}"
    return text


def report() -> str:
    """Return the page."""
    verdicts = [
        (q, not reasons_of(q, default=False), not reasons_of(q, default=True)) for q in QUESTIONS
    ]  # fmt: skip
    suitable, default = (sum(v[i] for v in verdicts) for i in (1, 2))
    withheld = [str(q.number) for q in QUESTIONS if q.why]
    summary = (
        f"With suitable uses **{suitable} of {len(QUESTIONS)}** pass unchanged, with default uses {default}. Of those that pass, "
        f"{len(withheld)} ask about single customers, suppliers, orders or parts ({', '.join(withheld)}): they are permitted, and "
        "with the usual thresholds all that they show is withheld or rounded; the nearest form that shows something stands with them.\n"
    )
    return INTRODUCTION + summary + "".join(_section(question) for question in QUESTIONS)
