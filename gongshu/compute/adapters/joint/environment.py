"""Finds the environment of its own that SPU needs: it pins NumPy below 2, so it cannot share ours."""

import functools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARY_VERSION = "0.9.5"
ASK_SECONDS = 30
QUESTION = (
    "import json, sys, sysconfig; from importlib import metadata; "
    "print(json.dumps([metadata.version('spu'), sys.base_prefix, sys.prefix, sysconfig.get_paths()['purelib']]))"
)
PROJECT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Environment:
    """An interpreter with SPU, and the folders that it needs to run."""

    python: Path
    folders: tuple[Path, ...]


def default_folder() -> Path:
    """Return where ``make setup-joint`` puts the environment."""
    return PROJECT / ".venv-joint"


@functools.cache
def find_environment(folder: Path) -> Environment | None:
    """Return the environment in ``folder`` if it is there and has the version of SPU that the protocol is bound to."""
    python = folder / "bin" / "python"
    try:
        asked = subprocess.run(  # noqa: S603 - our own command line
            [python, "-I", "-c", QUESTION], capture_output=True, timeout=ASK_SECONDS, check=True, env={}
        )
        version, *folders = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if version != LIBRARY_VERSION:
        return None
    return Environment(python, tuple(dict.fromkeys(Path(name) for name in folders)))
