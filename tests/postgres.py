"""A PostgreSQL server for tests: its own folder, its own port, an ordinary user, gone afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

USER, HOST = "grader", "127.0.0.1"
PASSWORD = "se:cret/@%20"  # what a URL would take for its own
QUOTED = "se%3Acret%2F%40%2520"
NOBODY = 65534
NEEDED = "PostgreSQL's server is not installed: apt install --no-install-recommends postgresql"


def binaries() -> Path:
    """The folder of initdb and pg_ctl; where there is none the test is skipped, but never in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[4]))
    at = str(found[-1]) if found else shutil.which("initdb")
    if at is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NEEDED)
    return Path(at).resolve().parent


@dataclass(frozen=True)
class Server:
    """A running server."""

    tools: Path
    folder: Path
    port: int

    def run(self, tool: str, *words: str) -> None:
        """Run one of PostgreSQL's tools as a user that it accepts: not as root."""
        user = (
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            if os.getuid() == 0
            else []
        )
        with (self.folder / "log").open("ab") as log:
            subprocess.run(
                [*user, str(self.tools / tool), "-D", str(self.folder / "data"), *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
            )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-c port={self.port} -c listen_addresses={HOST} -c unix_socket_directories={self.folder} -c fsync=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "server.log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, database: str, password: str = QUOTED) -> str:
        """The address of a database."""
        return f"postgresql://{USER}:{password}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Ask for oneself."""
        return psycopg.connect(
            host=HOST, port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        )

    def fresh(self) -> str:
        """Make an empty database; give its name."""
        name = f"course_{secrets.token_hex(4)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return name


@contextmanager
def server() -> Iterator[Server]:
    """Run a server that knows one user, with a password."""
    tools = binaries()
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as room:
        folder = Path(room)
        (folder / "password").write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (folder, folder / "password"):
                os.chown(path, NOBODY, NOBODY)
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = int(free.getsockname()[1])
        made = Server(tools, folder, port)
        made.run(
            "initdb",
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={folder}/password",
            "-E",
            "UTF8",
            "--no-sync",
        )
        made.start()
        try:
            yield made
        finally:
            made.stop()
