"""Every block of commands in README, tutorials and how-tos runs as it is written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref
from gongshu.server.migrate import upgrade
from gongshu.server.wiring import make_site

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *ROOT.glob("README*.md"),
    *(ROOT / "docs" / "tutorials").glob("*.md"),
    *(ROOT / "docs" / "how-to").glob("*.md"),
]
BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LANGUAGES_THAT_RUN = {"sh"}
LANGUAGES_TO_READ = {"mermaid", "text", "python"}  # programs of Python jobs run in test_developer_page


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in sorted(PAGES):
        text = page.read_text(encoding="utf-8")
        found += [
            Block(
                page.relative_to(ROOT).as_posix(), text.count("\n", 0, match.start()) + 2, match["kind"], match["text"]
            )
            for match in BLOCK.finditer(text)
        ]
    return found


BLOCKS = blocks()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """Give a folder as a reader would have it, its environment, and what the capital words of the blocks stand for."""
    folder = tmp_path_factory.mktemp("desk")
    site = make_site(folder / "var")
    upgrade(site)
    with site.db.transaction() as tx:
        audit.record(
            tx, site, actor=SYSTEM, action="thing.make", subject=Ref("thing", "thing-1", ""), decision=Permitted(None)
        )
    checkpoint = audit.integrate(site)
    with site.db.reading() as tx:
        entry = tx.execute(_entry_ids()).scalar_one()
    (folder / "kept-checkpoint").write_text(checkpoint.note, encoding="utf-8")
    (folder / "tools").symlink_to(ROOT / "tools")
    words = {"ENTRY": entry, "VKEY": audit.public_key(site)}
    site.db.close()
    environment = {
        **os.environ, "GONGSHU_HOME": str(folder / "var"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    yield folder, environment, words
    shutil.rmtree(folder)


def _entry_ids() -> object:
    from sqlalchemy import text

    return text("SELECT id FROM audit_entry LIMIT 1")


def test_there_are_blocks_and_each_names_its_language() -> None:
    assert len(BLOCKS) > 5
    assert not [str(block) for block in BLOCKS if block.kind not in LANGUAGES_THAT_RUN | LANGUAGES_TO_READ]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind in LANGUAGES_THAT_RUN], ids=str)
def test_a_block_runs_as_written(block: Block, desk: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    folder, environment, words = desk
    for line in block.text.splitlines():
        if line.startswith("make "):
            # Another test run or a demo inside this one would not end; that make knows the way is enough here.
            command, place = f"make --dry-run --always-make {line.removeprefix('make ')}", ROOT
        else:
            command, place = line, folder
        for word, meant in words.items():
            command = re.sub(rf"\b{word}\b", lambda _, text=meant: shlex.quote(text), command)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_both_readmes_show_the_same_commands() -> None:
    def commands(name: str) -> list[str]:
        return [block.text for block in BLOCKS if block.page == name]

    assert commands("README.md") == commands("README.zh-CN.md")
