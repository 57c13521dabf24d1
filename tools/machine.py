"""Install the Debian packages that a command needs, or name the one line that would.

Runs on a bare machine, before any virtual environment exists: standard library only.

    python3 tools/machine.py run|test|bench|balancer|spark [--advise]

Nothing missing: silent, at once. Something missing: installed through apt when root on Debian, else one line and exit
code 3 (with ``--advise`` the line and exit code 0: the tests that need it then skip with the reason).
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

APT_TIMEOUT_SECONDS = 900


def has_program(name: str) -> Callable[[], bool]:
    """Return a check for a program on PATH."""
    return lambda: shutil.which(name) is not None


def has_file(pattern: str) -> Callable[[], bool]:
    """Return a check for a file, as a pattern below the root folder."""
    return lambda: next(Path("/").glob(pattern), None) is not None


def has_venv() -> bool:
    """Say whether a virtual environment with pip exists or can be made."""
    return Path(".venv/bin/pip").exists() or importlib.util.find_spec("ensurepip") is not None


VENV = ("python3-venv", has_venv)
BUBBLEWRAP = ("bubblewrap", has_program("bwrap"))
CHROMIUM = ("chromium", has_program("chromium"))
POSTGRESQL = ("postgresql", has_file("usr/lib/postgresql/*/bin/postgres"))
FONTS = ("fonts-noto-cjk", has_file("usr/share/fonts/opentype/noto/NotoSansCJK*"))
HAPROXY = ("haproxy", has_program("haproxy"))
JAVA = ("openjdk-17-jre-headless", has_program("java"))
WRK = ("wrk", has_program("wrk"))

NEEDS = {
    "run": (VENV, BUBBLEWRAP),
    "test": (VENV, BUBBLEWRAP, CHROMIUM, POSTGRESQL, FONTS, HAPROXY),
    "balancer": (VENV, BUBBLEWRAP, HAPROXY),
    "spark": (VENV, JAVA),
    "bench": (VENV, BUBBLEWRAP, WRK),
}


def install_line(packages: list[str]) -> str:
    """Return the command that a person would run."""
    return f"sudo apt-get update && sudo apt-get install --yes --no-install-recommends {' '.join(packages)}"


def install(packages: list[str]) -> int:
    """Install with apt, quietly, without questions, waiting for another apt to finish."""
    print(f"Installing Debian packages: {' '.join(packages)} …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    lock = ["-o", "DPkg::Lock::Timeout=120"]
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = ["apt-get", "--quiet=2", *lock, *arguments]
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            print(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr)
            return done.returncode
    return 0


def main(arguments: list[str]) -> int:
    """Check one set of needs."""
    wanted = [argument for argument in arguments if not argument.startswith("-")]
    if len(wanted) != 1 or wanted[0] not in NEEDS:
        print(f"usage: machine.py {'|'.join(NEEDS)} [--advise]", file=sys.stderr)
        return 2
    missing = [package for package, is_there in NEEDS[wanted[0]] if not is_there()]
    if not missing:
        return 0
    advise = "--advise" in arguments
    if not advise and os.geteuid() == 0 and shutil.which("apt-get"):
        return install(missing)
    print(f"Missing Debian packages. Run: {install_line(missing)}", file=sys.stderr)
    return 0 if advise else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
