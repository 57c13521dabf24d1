"""Settings: the few things an installation decides, read from the environment once at start."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from gongshu.base.site import SparkCluster
from gongshu.delivery.types import Collector


@dataclass(frozen=True)
class Settings:
    """Where state lies and where the servers listen."""

    home: Path
    database_url: str
    host: str
    console_port: int
    gateway_port: int
    spark: SparkCluster | None = None
    token: str = field(default="", repr=False)
    gateway_name: str = "g1"
    gateway_proxies: frozenset[str] = frozenset()
    gateway_control: str = ""
    traces: Collector | None = None

    @staticmethod
    def from_environment(environment: dict[str, str] | None = None) -> "Settings":
        """Return the settings: ``GONGSHU_HOME`` (``./var``), ``GONGSHU_DATABASE_URL`` (SQLite in the home folder),
        ``GONGSHU_HOST`` (127.0.0.1), ``GONGSHU_PORT`` (8000), ``GONGSHU_GATEWAY_PORT`` (8001), ``GONGSHU_TOKEN`` (nobody),
        ``GONGSHU_GATEWAY_NAME`` (g1), ``GONGSHU_GATEWAY_PROXIES`` (addresses of proxies that are trusted; none),
        ``GONGSHU_GATEWAY_CONTROL`` (address of the control plane, for one of several gateways; none),
        ``GONGSHU_TRACES_ENDPOINT`` (where the gateway's traces go by OTLP over HTTP; nowhere), ``GONGSHU_TRACES_PER_THOUSAND`` (of a
        thousand calls; 10).
        """  # fmt: skip
        read = dict(os.environ) if environment is None else environment
        return Settings(
            home=Path(read.get("GONGSHU_HOME", "var")).absolute(),
            database_url=read.get("GONGSHU_DATABASE_URL", ""),
            host=read.get("GONGSHU_HOST", "127.0.0.1"),
            console_port=int(read.get("GONGSHU_PORT", "8000")),
            gateway_port=int(read.get("GONGSHU_GATEWAY_PORT", "8001")),
            spark=_spark(read),
            token=read.get("GONGSHU_TOKEN", ""),
            gateway_name=read.get("GONGSHU_GATEWAY_NAME", "g1"),
            gateway_proxies=frozenset(read.get("GONGSHU_GATEWAY_PROXIES", "").replace(",", " ").split()),
            gateway_control=read.get("GONGSHU_GATEWAY_CONTROL", ""),
            traces=_traces(read),
        )


def _spark(read: dict[str, str]) -> SparkCluster | None:
    """Return the Spark cluster: ``GONGSHU_SPARK_REMOTE`` (nowhere), ``GONGSHU_SPARK_FOLDER`` (``spark`` in the home folder) and, where
    the cluster knows that folder by another name, ``GONGSHU_SPARK_FOLDER_URL``.
    """  # fmt: skip
    remote = read.get("GONGSHU_SPARK_REMOTE", "")
    if not remote:
        return None
    folder = Path(read.get("GONGSHU_SPARK_FOLDER") or Path(read.get("GONGSHU_HOME", "var")) / "spark").absolute()
    return SparkCluster(remote, folder, (read.get("GONGSHU_SPARK_FOLDER_URL") or folder.as_uri()).rstrip("/"))


def _traces(read: dict[str, str]) -> Collector | None:
    endpoint = read.get("GONGSHU_TRACES_ENDPOINT", "")
    return Collector(endpoint, int(read.get("GONGSHU_TRACES_PER_THOUSAND", "10"))) if endpoint else None
