"""Prove, without a network, that the locks satisfy what asks for them.

    python tools/locks.py

Every line of each requirements*.in is met by a pin with hashes; the locks of .venv agree where they overlap (those of
.venv-job, .venv-joint and the fuzzer stand alone); the installed packages are the pinned ones and fit each other; package-lock.json has
package.json's exact versions. No lock names a host.
"""

import json
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ;[^\\]*)?(?P<hashes> \\)?$", re.MULTILINE)

Pins = dict[str, str]


def read_pins(path: Path) -> Pins:
    """Return {name: version} of a lock; a pin without hashes counts as none."""
    found = PIN.finditer(path.read_text(encoding="utf-8"))
    return {canonicalize_name(pin["name"]): pin["version"] for pin in found if pin["hashes"]}


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a .in file, following ``-r``."""
    requirements: list[Requirement] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            requirements += read_requirements(path.parent / text[3:])
        elif text and not text.startswith("-"):
            requirements.append(Requirement(text))
    return requirements


def unmet(requirements: list[Requirement], pins: Pins, where: str) -> list[str]:
    """Name each requirement that no pin satisfies."""
    faults = []
    for requirement in requirements:
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None:
            faults.append(f"{where}: {requirement.name} has no pin with hashes")
        elif not requirement.specifier.contains(pinned, prereleases=True):
            faults.append(f"{where}: {requirement} is not met by {pinned}")
    return faults


def unmet_by_installed(pins: Pins) -> list[str]:
    """Name each pinned package that is installed otherwise, or needs a package that is not pinned."""
    faults = []
    for name, version in sorted(pins.items()):
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            faults.append(f"{name} {version} is pinned but not installed")
            continue
        if package.version != version:
            faults.append(f"{name} {version} is pinned but {package.version} is installed")
        asked = [Requirement(text) for text in package.requires or ()]
        needed = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
        faults += unmet(needed, pins, f"{name} needs")
    return faults


def unmet_by_npm(folder: Path) -> list[str]:
    """Name each console asset whose exact version is not the locked one."""
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    faults = [
        f"{name}: package.json asks for {version}, the lock has {locked.get(f'node_modules/{name}', {}).get('version')}"
        for name, version in wanted.items()
        if locked.get(f"node_modules/{name}", {}).get("version") != version
    ]
    without_digest = [name for name, entry in locked.items() if name and "integrity" not in entry]
    from_host = [name for name, entry in locked.items() if "resolved" in entry]
    return (
        faults
        + [f"{name} has no digest in package-lock.json" for name in without_digest]
        + [f"{name} names a host in package-lock.json" for name in from_host]
    )


def find_faults(root: Path = ROOT) -> list[str]:
    """Return every fault of the locks, in words."""
    run, dev = read_pins(root / "requirements.lock"), read_pins(root / "requirements-dev.lock")
    faults = unmet(read_requirements(root / "requirements.in"), run, "requirements.lock")
    faults += unmet(read_requirements(root / "requirements-dev.in"), dev, "requirements-dev.lock")
    faults += [
        f"{name}: {version} in requirements.lock, {dev.get(name)} in requirements-dev.lock"
        for name, version in run.items()
        if dev.get(name) != version
    ]
    faults += unmet_by_installed(dev)
    # Environments of their own: they agree with nobody.
    alone = ("requirements-job", "requirements-joint", "requirements-spark-cluster", "requirements-fuzz")
    for name in alone:
        faults += unmet(read_requirements(root / f"{name}.in"), read_pins(root / f"{name}.lock"), f"{name}.lock")
    for name in ("requirements.lock", "requirements-dev.lock", *(f"{one}.lock" for one in alone)):
        if re.search(
            r"://|--(extra-)?index-url|--find-links|--trusted-host", (root / name).read_text(encoding="utf-8")
        ):
            faults.append(f"{name} names a host")
    return faults + unmet_by_npm(root / "frontend")


if __name__ == "__main__":
    found = find_faults()
    print("\n".join(found) or "locks are current")
    sys.exit(1 if found else 0)
