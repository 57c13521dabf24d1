"""Write the next migration of the control database from what the stores declare now.

    python tools/revise.py "Keep the reason of a return"

Read what it wrote before committing: Alembic cannot know a renamed column from a dropped one. Before the first release
there is one migration only: delete it first, then make it anew.
"""

import argparse
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import cast

from alembic import command
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Bring an empty database to the newest migration, compare it with the stores, and write the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("message", help="what changes, in the imperative")
    message = parser.parse_args().message
    sys.path.insert(0, str(ROOT))
    from gongshu.server.database import ControlDatabase
    from gongshu.server.migrate import alembic_config

    versions = Path(str(files("gongshu.server").joinpath("migrations", "versions")))
    number = f"{len(list(versions.glob('[0-9]*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        database = ControlDatabase(f"sqlite:///{folder}/empty.db")
        config = alembic_config(database)
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        command.upgrade(config, "head")
        script = command.revision(config, message, autogenerate=True, rev_id=number)
        database.close()
    path = cast(str, cast(ScriptDirectory, script).path)
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix-only", "--quiet", path], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], cwd=ROOT, check=True)
    print(f"wrote {Path(path).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
