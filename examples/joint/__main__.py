"""Sets two installations up, lets them agree by letters, and runs a worker of each until the task is over."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.city import make_city
from examples.joint.nodes import BALANCE, CODE, Node, bank_cast, bank_table, city_table, codes_in, set_up

ENTERPRISES = 5_000
PATIENCE_SECONDS = 180


def say(line: str) -> None:
    """Tell what happens."""
    print(line, file=sys.stderr, flush=True)


def gongshu(node: Node, *arguments: str) -> str:
    """Run the command line of an installation, as its developer, and return what it printed."""
    say(f"  {node.home.name}$ gongshu {' '.join(arguments)}")
    done = subprocess.run(
        [sys.executable, "-m", "gongshu.server.cli", *arguments], env=environment(node), check=True, text=True,
        stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return done.stdout.strip()


def environment(node: Node) -> dict[str, str]:
    """Return what its processes read: its own home, and who acts."""
    return {**os.environ, "GONGSHU_HOME": str(node.home), "GONGSHU_TOKEN": node.token}


def free_addresses() -> tuple[str, str]:
    """Return two addresses of this machine that are free now; on two machines each names its own."""
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    return f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"


def prepare(folder: Path) -> tuple[Node, Node]:
    """Make both installations."""
    made = make_city(folder / "files", enterprises=ENTERPRISES, people=10)
    say("市级节点：企业登记信息从入库到使用资格  (the city's node: from files to an entitlement)")
    city = set_up(folder / "city", city_table(made.enterprise_files))
    say("银行节点：自有贷款台账从入库到使用资格  (the bank's node: its own table, likewise)")
    bank = set_up(folder / "bank", bank_table(folder / "loans", codes_in(made.enterprise_files)), bank_cast())
    return city, bank


def agree(folder: Path, city: Node, bank: Node) -> str:
    """Exchange the three letters; return the agreement's id."""
    say("三封文书：提议、答复、确认  (three letters: proposal, answer, confirmation)")
    city_address, bank_address = free_addresses()
    letters = {name: str(folder / f"{name}.json") for name in ("proposal", "answer", "confirmation")}
    city_mark, bank_mark = gongshu(city, "joint", "fingerprint"), gongshu(bank, "joint", "fingerprint")
    agreement = gongshu(
        city, "joint", "propose", city.entitlement.id, "--kind", "sums", "--purpose", "全市企业贷款覆盖与余额",
        "--learners", "proposer", "--peer-value", "--relation", "enterprise", "--key", CODE, "--rows-max", "20000",
        "--address", city_address, "--out", letters["proposal"],
    )  # fmt: skip
    gongshu(
        bank, "joint", "agree", letters["proposal"], "--fingerprint", city_mark, "--entitlement", bank.entitlement.id,
        "--relation", "loan", "--key", CODE, "--value", BALANCE, "--scale", "2", "--rows-max", "4000", "--pad",
        "--address", bank_address, "--out", letters["answer"],
    )  # fmt: skip
    gongshu(city, "joint", "agree", letters["answer"], "--fingerprint", bank_mark, "--out", letters["confirmation"])
    gongshu(bank, "joint", "agree", letters["confirmation"], "--fingerprint", city_mark)
    return agreement


def run(city: Node, bank: Node, agreement: str) -> dict[str, Any]:
    """Run a worker of each installation until the task is over, and return how it ended on each side."""
    say("各自的作业进程  (a worker of each)")
    workers = [
        subprocess.Popen([sys.executable, "-m", "gongshu.server.cli", "worker"], env=environment(node))
        for node in (city, bank)
    ]
    try:
        told = {
            node.home.name: json.loads(gongshu(node, "joint", "status", agreement, "--watch", "--json"))
            for node in (city, bank)
        }
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(PATIENCE_SECONDS)
    return {
        name: {"status": one["job"]["status"], "failure": one["job"]["failure_code"], "files": one["job"]["files"]}
        for name, one in told.items()
    }


def main() -> int:
    """Play the example in a folder of its own."""
    if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
        print("usage: python -m examples.joint NEW_FOLDER", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).absolute()
    city, bank = prepare(folder)
    ended = run(city, bank, agree(folder, city, bank))
    say("结果在市级节点的隔离区，待审核出域；银行不获知结果。  (the outcome waits in the city's quarantine)")
    print(json.dumps(ended, ensure_ascii=False, indent=2))
    return 0 if all(one["status"] == "succeeded" for one in ended.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
