"""What of a Python interpreter and of the system's libraries stands in a cell: files by name, no folder of the host.

In the cell the standard library lies in ``/image/python``, packages in ``/image/packages``, shared libraries in
``/image/lib``, so that no path of the host is seen.
"""

import functools
import hashlib
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

LIBRARY_FOLDERS = tuple(
    Path(folder)
    for folder in (
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib",
    )
)  # fmt: skip
LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
LIBRARIES = (
    "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2",
    "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "libbz2.so.1.0", "liblzma.so.5", "libffi.so.8", "libexpat.so.1",
    "libssl.so.3", "libcrypto.so.3", "libsqlite3.so.0", "libuuid.so.1", "libcrypt.so.1",
)  # fmt: skip
"""What Python's own modules and wheels for Linux (manylinux) link to beyond what they carry."""
PROGRAM, STANDARD, PACKAGES, SHARED = "/image/python/bin/python3", "/image/python/lib", "/image/packages", "/image/lib"
LOCK_NAME = "requirements-job.lock"


@dataclass(frozen=True)
class Interpreter:
    """An interpreter as files of the host and where they stand in the cell."""

    program: str
    files: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class JobImage:
    """The environment of Python jobs and the digest of the lock it was made from."""

    interpreter: Interpreter
    digest: str


@functools.cache
def _system_files() -> tuple[tuple[Path, str], ...]:
    found = [(Path(loader).resolve(), loader) for loader in LOADERS if Path(loader).exists()]
    for name in LIBRARIES:
        path = next((folder / name for folder in LIBRARY_FOLDERS if (folder / name).exists()), None)
        if path is not None:
            found.append((path.resolve(), f"{SHARED}/{name}"))
    return tuple(found)


def _interpreter(program: Path, packages: tuple[tuple[Path, str], ...]) -> Interpreter:
    """Describe the interpreter behind ``program`` (maybe of a virtual environment) with these packages."""
    real = program.resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = real.parent.parent
    libraries = [prefix / "lib" / name, prefix / "lib64" / name, Path(sysconfig.get_path("stdlib"))]
    standard = next(folder for folder in libraries if (folder / "os.py").exists())
    files = [(real, PROGRAM), (standard, f"{STANDARD}/{name}")]
    shared = f"lib{name}.so.1.0"
    found = next((f / shared for f in (prefix / "lib", *LIBRARY_FOLDERS) if (f / shared).exists()), None)
    if found is not None:
        files.append((found.resolve(), f"{STANDARD}/{shared}"))
    return Interpreter(PROGRAM, (*files, *_system_files(), *packages))


@functools.cache
def own_interpreter(modules: tuple[str, ...]) -> Interpreter:
    """Return the interpreter that we run on, with these entries of its site-packages and no others."""
    folder = Path(sysconfig.get_paths()["purelib"])
    entries = sorted(path for name in modules for path in folder.glob(name))
    return _interpreter(Path(sys.executable), tuple((path, f"{PACKAGES}/{path.name}") for path in entries))


def default_image_folder() -> Path:
    """Return where the job image lies: ``GONGSHU_JOB_IMAGE``, else ``.venv-job`` beside the package."""
    given = os.environ.get("GONGSHU_JOB_IMAGE")
    return Path(given) if given else Path(__file__).resolve().parents[3] / ".venv-job"


def find_image(folder: Path) -> JobImage | None:
    """Return the job image in ``folder``, or ``None`` when it was not built (``make setup-job``) or not to the end."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program, packages, lock = folder / "bin" / "python", folder / "lib" / name / "site-packages", folder / LOCK_NAME
    if not (program.exists() and packages.is_dir() and lock.is_file()):
        return None
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return JobImage(_interpreter(program, ((packages, PACKAGES),)), digest)
