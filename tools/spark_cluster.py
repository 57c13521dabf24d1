"""A small Spark standalone cluster on this machine's loopback: a master, two workers and a Spark Connect server.

    .venv/bin/python tools/spark_cluster.py

Starts them from the ``pyspark`` package in .venv-spark, prints the remote to connect to, and stops them at Ctrl-C. Tests
and measurements use ``running_cluster``. Everything listens on 127.0.0.1 on free ports; all state lies in one folder.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-spark"
WORKERS = 2
START_SECONDS = 120
STOP_SECONDS = 20
HOST = "127.0.0.1"
PR_SET_PDEATHSIG = 1
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
LOGGING = """
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""


class ClusterFailedError(Exception):
    """A part of the cluster ended or did not come up in time; the message is the end of what it said."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: where Spark Connect listens."""

    remote: str


def find_home() -> Path | None:
    """Return the folder of the ``pyspark`` package with its JARs, or ``None`` when ``make setup-spark`` was not run."""
    found = sorted(ENVIRONMENT.glob("lib/python3*/site-packages/pyspark/bin/spark-class"))
    return found[0].parent.parent if found else None


def free_port() -> int:
    """Return a port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Ask the kernel to end this process with the one that started it, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Part:
    """One process of the cluster. ``wait_for`` returns when it says that it is ready."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Start it in a process group of its own."""
        self._lines: list[str] = []
        self._said = threading.Condition()
        self._process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of the kernel, no lock is taken
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._said:
                self._lines.append(line)
                self._said.notify_all()
        with self._said:
            self._lines.append("")
            self._said.notify_all()

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Block until ``pattern`` was said so many times; raise when the process ends or takes too long."""

        def ready() -> bool:
            return sum(bool(re.search(pattern, line)) for line in self._lines) >= times or self._has_ended()

        with self._said:
            is_ready = self._said.wait_for(ready, timeout=START_SECONDS)
            if not is_ready or self._has_ended():
                raise ClusterFailedError("".join(self._lines[-60:]))

    def _has_ended(self) -> bool:
        return self._lines[-1:] == [""]

    def stop(self) -> None:
        """End the process and everything that it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        if self._process.stderr is not None:
            self._process.stderr.close()


def _environment(home: Path, folder: Path) -> dict[str, str]:
    logging = folder / "log4j2.properties"
    logging.write_text(LOGGING)
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC", "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": HOST, "SPARK_LOCAL_HOSTNAME": HOST, "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(folder / "local"), "SPARK_CONF_DIR": str(folder),
        "SPARK_DAEMON_JAVA_OPTS": f"-Dlog4j2.configurationFile=file:{logging} -XX:TieredStopAtLevel=1",
        **({"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}),
    }  # fmt: skip


@contextlib.contextmanager
def running_cluster(
    *, memory_mb: int = 1024, executor_mb: int = 768, driver_mb: int = 768, settings: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """Run a cluster for the block: a master, two workers of one core, a Spark Connect server. Always stopped."""
    home = find_home()
    if home is None:
        raise ClusterFailedError("Spark is not installed; run: make setup-spark")
    with tempfile.TemporaryDirectory(prefix="gongshu-spark-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        environment = _environment(home, folder)

        def start(command: list[str], **extra: str) -> Part:
            part = Part(command, environment | extra, folder)
            stack.callback(part.stop)
            return part

        runner, master_port, port = str(home / "bin" / "spark-class"), free_port(), free_port()
        url = f"spark://{HOST}:{master_port}"
        listen = ["--host", HOST, "--webui-port", "0"]
        master = start([runner, "org.apache.spark.deploy.master.Master", *listen, "--port", str(master_port)])
        master.wait_for(r"New state: ALIVE")
        for number in range(WORKERS):
            start([
                runner, "org.apache.spark.deploy.worker.Worker", *listen, "--cores", "1", "--memory", f"{memory_mb}m",
                "--work-dir", str(folder / f"worker-{number}"), url,
            ])  # fmt: skip
        master.wait_for(r"Registering worker", WORKERS)
        chosen = {
            "spark.connect.grpc.binding.address": HOST, "spark.connect.grpc.binding.port": str(port),
            "spark.driver.host": HOST, "spark.driver.bindAddress": HOST, "spark.ui.enabled": "false",
            "spark.executor.memory": f"{executor_mb}m", "spark.executor.cores": "1", "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.sql.catalogImplementation": "in-memory",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties",
            **(settings or {}),
        }  # fmt: skip
        options = [part for key, value in chosen.items() for part in ("--conf", f"{key}={value}")]
        submit = [str(home / "bin" / "spark-submit"), "--class", CONNECT, "--master", url]
        server = start([*submit, *options, "--name", "gongshu"], SPARK_DAEMON_MEMORY=f"{driver_mb}m")
        server.wait_for(r"Spark Connect server started")
        yield Cluster(f"sc://{HOST}:{port}")


def main() -> int:
    """Run a cluster until it is interrupted."""
    try:
        with running_cluster() as cluster:
            print(f"GONGSHU_SPARK_REMOTE={cluster.remote}", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except ClusterFailedError as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
