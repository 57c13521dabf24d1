"""Write the files that are made from the code, or prove that they are current.

    python tools/generate.py            write what changed
    python tools/generate.py --check    change nothing; exit 1 and name what is stale

A generator is a function that returns {path: text}. A part of the package that does not exist yet yields nothing; one
that exists and does not import is an error.
"""

import argparse
import difflib
import importlib
import importlib.util
import json
import pkgutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "base", "access", "audit", "metering", "gateways", "parties", "policies", "catalog", "registry", "grants", "scenarios",
    "compute", "egress", "products", "consents", "delivery", "billing", "supervision", "connector", "console", "server",
)  # fmt: skip
HEAD = "<!-- Made by tools/generate.py from the code; `make fix` rewrites it. -->\n"
DIFF_LINES_MAX = 20
RUN_ELSEWHERE = (".migrations", ".joint.node")  # by Alembic, and in an environment of their own

Files = dict[str, str]
GENERATORS: list[Callable[[], Files]] = []


def generator(function: Callable[[], Files]) -> Callable[[], Files]:
    """Register a generator."""
    GENERATORS.append(function)
    return function


def exists(name: str) -> bool:
    """Say whether a module of the package is there, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def modules_of(room: str, *, rules_only: bool = False) -> Iterator[ModuleType]:
    """Import and yield the modules of a room, except those that are never run inside the platform itself."""
    if not exists(f"gongshu.{room}"):
        return
    package = importlib.import_module(f"gongshu.{room}")
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        is_wanted = f"{found.name}.".startswith(f"{package.__name__}.rules.") or not rules_only
        is_ours = not any(part in found.name for part in RUN_ELSEWHERE) and not found.name.endswith("__main__")
        if is_wanted and is_ours:
            yield importlib.import_module(found.name)


def cell(text: object) -> str:
    """Return text that stays inside one cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(heads: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *[[cell(value) for value in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ------------------------------------------------------------------------------------------------------- reasons


@generator
def reasons() -> Files:
    """List every reason for refusing, by room, from ``gongshu.base.decisions.RULES``."""
    decisions = importlib.import_module("gongshu.base.decisions")
    seen: set[str] = set()
    parts = []
    for room in ROOMS:
        found = {
            value.code: value
            for module in modules_of(room)
            for value in vars(module).values()
            if isinstance(value, decisions.Rule) and value.code not in seen
        }
        seen |= set(found)
        if found:
            parts.append(f"\n## {room}\n\n{reasons_table([found[code] for code in sorted(found)])}")
    rest = [decisions.RULES[code] for code in sorted(set(decisions.RULES) - seen)]
    if rest:
        parts.append(f"\n## Made in place\n\n{reasons_table(rest)}")
    text = (
        f"{HEAD}# Reasons for refusing · 拒绝理由\n\n"
        "Every refusal names all its reasons. The code is stable; `{…}` stands for names and numbers of the case, never "
        "for a data value. `kind` decides the HTTP status and the exit code.\n"
    )
    return {"docs/reference/reasons.md": text + "".join(parts)}


def reasons_table(rules: list[Any]) -> str:
    """Return the table of some rules."""
    return table(
        ["code", "kind", "what is wrong", "what makes it right", "source"],
        [
            [
                f"`{rule.code}`", rule.kind.value, f"{rule.what.zh}<br>{rule.what.en}",
                f"{rule.fix.zh}<br>{rule.fix.en}", rule.law or "—",
            ]
            for rule in rules
        ],
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ statuses


@generator
def statuses() -> Files:
    """Draw every status table: each dictionary in a rules module whose name ends with ``TRANSITIONS``."""
    parts = []
    for room in ROOMS:
        drawn: set[int] = set()
        for module in modules_of(room, rules_only=True):
            for name, value in sorted(vars(module).items()):
                is_table = name.endswith("TRANSITIONS") and isinstance(value, dict) and value
                if is_table and id(value) not in drawn:
                    drawn.add(id(value))
                    parts.append(status_section(room, name, value))
    text = (
        f"{HEAD}# Statuses · 状态图\n\n"
        "Each arrow is an action and who takes it. What is not drawn is refused with `wrong-status`.\n"
    )
    return {"docs/reference/statuses.md": text + "".join(parts)} if parts else {}


def status_section(room: str, name: str, transitions: dict[Any, Any]) -> str:
    """Return the heading and the diagram of one status table."""
    enum = type(next(iter(transitions))[0])
    title = name.removesuffix("TRANSITIONS").strip("_").replace("_", " ").capitalize() if enum is str else enum.__name__
    order = list(enum) if enum is not str else sorted({at for at, _ in transitions})
    arrows = [(at, action, after, who) for (at, action), (after, who) in transitions.items()]
    reached = {after for at, _, after, _ in arrows if after != at}
    left = {at for at, _, after, _ in arrows if after != at}
    used = [status for status in order if status in reached | left or any(at == status for at, *_ in arrows)]
    # A ring has no status that is never reached; it starts where the list of statuses starts.
    first = [status for status in used if status not in reached] or used[:1]
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {node(status)}" for status in first]
    lines += [f"    {node(at)} --> {node(after)}: {action} ({who_text(who)})" for at, action, after, who in arrows]
    lines += [f"    {node(status)} --> [*]" for status in used if status not in left]
    diagram = "\n".join(lines)
    return f"\n## {room}: {title}\n\n```mermaid\n{diagram}\n```\n"


def node(status: object) -> str:
    """Return a status as a name that Mermaid reads as one word."""
    return str(status).replace("-", "_")


def who_text(who: object) -> str:
    """Return who takes a step: a role, several, or a word."""
    if isinstance(who, (tuple, list, set, frozenset)):
        return ", ".join(sorted(str(one) for one in who))
    return str(who)


# -------------------------------------------------------------------------------------------------------- access


@generator
def access() -> Files:
    """Write the table of roles and permissions, once to read and once to review as a diff."""
    if not exists("gongshu.access.rules"):
        return {}
    held = importlib.import_module("gongshu.access.rules").ROLE_PERMISSIONS
    types = importlib.import_module("gongshu.access.types")
    holders = {
        permission.value: [role.value for role in types.Role if permission in held.get(role, ())]
        for permission in types.Permission
    }
    width = max(map(len, holders))
    snapshot = "".join(f"{permission:<{width}}  {', '.join(roles) or '—'}\n" for permission, roles in holders.items())
    roles = [role.value for role in types.Role]
    matrix = table(
        ["permission", *roles],
        [[f"`{name}`", *("●" if role in holding else "" for role in roles)] for name, holding in holders.items()],
    )
    text = (
        f"{HEAD}# Access · 角色与权限\n\n"
        "Permissions are written `<scope>:<resource>:<action>`. Holding one is necessary, never sufficient: the rules of "
        "the room decide the case.\n\n"
    )
    return {"docs/reference/access.md": text + matrix, "tests/snapshots/access-matrix.txt": snapshot}


# ---------------------------------------------------------------------------------------------------- constructs


@generator
def constructs() -> Files:
    """Write what governed SQL may say, as the gate itself judges it."""
    if not exists("gongshu.compute.rules.statement"):
        return {}
    found = importlib.import_module("tools.constructs")
    text = (
        f"{HEAD}# Constructs of governed SQL · 受控 SQL 的写法\n\n"
        "What a statement may say, and what is refused with which reason. The gate itself judged the examples while this page "
        "was made. Columns are named by their uses: `total_int` may be totalled, `filter_text` may stand in a condition, "
        "`no_text` may do nothing. What is not named here is refused.\n\n"
    )
    parts = [
        table(["construct", "rule", "passes", "refused"], found.construct_rows()),
        "\n## Scalar functions\n\nAn argument on which a function would raise gives NULL instead.\n\n",
        table(["function", "takes", "gives", "uses of its columns", "where it would raise"], found.scalar_rows()),
        "\n## Aggregates\n\n",
        table(["class", "functions", "use needed"], found.aggregate_rows()),
    ]
    return {"docs/reference/constructs.md": text + "".join(parts)}


# ---------------------------------------------------------------------------------------------------- parameters


@generator
def parameters() -> Files:
    """List the dated parameters with their sources."""
    path = ROOT / "gongshu" / "server" / "parameters.toml"
    if not path.exists():
        return {}
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["parameter"]
    rows = [
        [
            f"`{entry['key']}`", f"{entry['value']} {entry['unit']}", f"{entry['start']} – {entry.get('end', '')}",
            f"{entry['title_zh']}<br>{entry['title_en']}", entry["source"], entry["confidence"],
        ]
        for entry in sorted(entries, key=lambda entry: (entry["key"], entry["start"]))
    ]  # fmt: skip
    text = (
        f"{HEAD}# Parameters · 参数\n\n"
        "Every number of a law, a standard or our own design, from its first day (inclusive) to its last (exclusive). A "
        "case keeps the value of its day. `confirmed`: read in the text in force; `confirmed-draft`: in a draft; "
        "`secondary`: in a report about it; `memory`: to be looked up; `design`: ours.\n\n"
    )
    heads = ["key", "value", "in force", "what", "source", "confidence"]
    return {"docs/reference/parameters.md": text + table(heads, rows)}


# ------------------------------------------------------------------------------------------------------- openapi


@cache
def api_document() -> dict[str, Any]:
    """Return the API document of the application as it is wired."""
    make_site = importlib.import_module("gongshu.server.wiring").make_site
    with tempfile.TemporaryDirectory() as home:
        site = make_site(Path(home))
        document: dict[str, Any] = importlib.import_module("gongshu.server.asgi").create_app(site).openapi()
        site.db.close()
    return document


@generator
def openapi() -> Files:
    """Write the API document."""
    if not exists("gongshu.server.asgi"):
        return {}
    return {"openapi/gongshu.json": json.dumps(api_document(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"}


@generator
def gateway_openapi() -> Files:
    """Write the document of the gateway's own routes."""
    if not exists("gongshu.delivery.api.document"):
        return {}
    document = importlib.import_module("gongshu.delivery.api.document").gateway_document()
    return {"openapi/gateway.json": json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"}


@generator
def access_routes() -> Files:
    """Write the access matrix of the API: each route, the permission it asks for, and the roles that hold it."""
    if not exists("gongshu.server.asgi"):
        return {}
    rows = [
        (method.upper(), path, " or ".join(permissions), roles_text(permissions))
        for path, methods in sorted(api_document()["paths"].items())
        for method, operation in methods.items()
        for permissions in [permissions_of(operation)]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = ["  ".join([*(f"{row[i]:<{widths[i]}}" for i in range(3)), row[3]]) + "\n" for row in rows]
    return {"tests/snapshots/access-routes.txt": "".join(lines)}


def permissions_of(operation: dict[str, Any]) -> list[str]:
    """Return the permissions of a route, each of which is enough to be heard."""
    declared = operation.get("x-permission", [])
    return [declared] if isinstance(declared, str) else list(declared)


def roles_text(permissions: list[str]) -> str:
    """Return who holds one of ``permissions``."""
    known = {"public": "everybody", "signed-in": "whoever has signed in"}
    if permissions and permissions[0] in known:
        return known[permissions[0]]
    held = importlib.import_module("gongshu.access.rules").ROLE_PERMISSIONS
    roles = [role for role in held if {permission.value for permission in held[role]} & set(permissions)]
    return "every role" if len(roles) == len(held) else ", ".join(role.value for role in roles) or "—"


# ------------------------------------------------------------------------------------------------------ commands


@generator
def commands() -> Files:
    """List the commands and their arguments, from the parser itself."""
    if not exists("gongshu.server.cli"):
        return {}
    parser = importlib.import_module("gongshu.server.cli")._parser()  # noqa: SLF001 - its only other reader is main
    text = f"{HEAD}# Commands · 命令\n\nExit codes: 0 done, 2 wrong arguments, 10 and above: refused, by kind.\n\n"
    return {"docs/reference/commands.md": text + table(["command", "what it does", "arguments"], command_rows(parser))}


def command_rows(parser: argparse.ArgumentParser, text: str = "") -> list[list[object]]:
    """Return a row for each command below ``parser``."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if below:
        helps = {choice.dest: choice.help or "" for choice in below[0]._choices_actions}  # noqa: SLF001
        return [
            row for name, sub in below[0].choices.items() for row in command_rows(sub, sub.description or helps[name])
        ]
    arguments = [
        f"`{', '.join(action.option_strings) or action.metavar or action.dest}` {action.help or ''}".strip()
        for action in parser._actions  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction)  # noqa: SLF001
    ]
    return [[f"`{parser.prog}`", text, "<br>".join(arguments)]]


# --------------------------------------------------------------------------------------------------------- TPC-H


@generator
def tpch() -> Files:
    """Say of each question of TPC-H what the gate says, from ``tests/tpch``."""
    report = importlib.import_module("tests.tpch.report")
    return {"docs/reference/tpch.md": HEAD + report.report()}


# --------------------------------------------------------------------------------------------------------- shell


def stale_files() -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return {path: (on disk, as it should be)} of every file that is not current, and what could not be made."""
    made: Files = {}
    broken = []
    for make in GENERATORS:
        try:
            made |= make()
        except Exception as error:  # noqa: BLE001 - one broken generator must not hide the others; it still fails
            broken.append(f"{make.__name__}: {type(error).__name__}: {error}")
    stale = {}
    for name, text in made.items():
        path = ROOT / name
        on_disk = path.read_text(encoding="utf-8") if path.exists() else ""
        if on_disk != text:
            stale[name] = (on_disk, text)
    return stale, broken


def show(name: str, on_disk: str, text: str) -> None:
    """Print the first lines of a difference."""
    lines = list(difflib.unified_diff(on_disk.splitlines(), text.splitlines(), name, "as made now", n=0, lineterm=""))
    print("\n".join(lines[:DIFF_LINES_MAX] + (["…"] if len(lines) > DIFF_LINES_MAX else [])))


def main() -> int:
    """Check or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    check = parser.parse_args().check
    sys.path.insert(0, str(ROOT))
    stale, broken = stale_files()
    for name, (on_disk, text) in sorted(stale.items()):
        if check:
            show(name, on_disk, text)
        else:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if check and stale:
        print(f"stale: {', '.join(sorted(stale))}; run `make fix`")
    for fault in broken:
        print(f"could not be made: {fault}", file=sys.stderr)
    if not stale and not broken:
        print("generated files are current")
    return 1 if broken or (check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
