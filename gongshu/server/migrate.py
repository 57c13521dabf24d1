"""Brings the control database to the present schema. Migrations are in ``migrations/versions``."""

from importlib.resources import files
from typing import cast

from alembic import command
from alembic.config import Config

from gongshu.base.site import Site
from gongshu.server import answers, rooms  # noqa: F401 - put every table on the one MetaData
from gongshu.server.database import ControlDatabase
from gongshu.server.settings import Settings
from gongshu.server.wiring import make_site


def alembic_config(database: ControlDatabase) -> Config:
    """Return Alembic's configuration for ``database``, without a file."""
    config = Config()
    config.set_main_option("script_location", str(files("gongshu.server").joinpath("migrations")))
    config.attributes["engine"] = database.engine
    return config


def upgrade(site: Site) -> None:
    """Run the migrations that are missing."""
    command.upgrade(alembic_config(cast(ControlDatabase, site.db)), "head")


def open_site(settings: Settings, *, is_demo: bool = False) -> Site:
    """Return the site of ``settings`` with its tables up to date. A home once used for a demo stays a demo."""
    marker = settings.home / "demo"
    if is_demo:
        settings.home.mkdir(parents=True, exist_ok=True)
        marker.touch()
    site = make_site(
        settings.home, database_url=settings.database_url, is_demo=is_demo or marker.exists(), spark=settings.spark
    )  # fmt: skip
    upgrade(site)
    return site
