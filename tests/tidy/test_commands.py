"""The commands are complete: each is explained, each folder of tests is reached, the locks are current."""

import re
import subprocess
from pathlib import Path

from tools.locks import find_faults

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def make(*targets: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *targets], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def test_plain_make_prints_every_command() -> None:
    printed = make()
    targets = re.findall(r"^([a-z]+):(?!=)", MAKEFILE, re.MULTILINE)
    assert targets
    assert not [target for target in targets if f"make {target} " not in printed]


def test_every_folder_of_tests_is_known_to_make() -> None:
    kinds = make().split("kinds: ")[1].split()
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert folders <= set(kinds)


def test_no_test_lies_beside_the_folders() -> None:
    assert not list((ROOT / "tests").glob("test_*.py"))


def test_locks_satisfy_what_asks_for_them() -> None:
    assert find_faults() == []


def test_continuous_integration_runs_the_developers_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in script
    assert "make check" in script
