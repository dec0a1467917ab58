"""An MQTT broker for tests, mosquitto on a port of this machine, and a network that can fail."""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support.pty_board import ENDS_WITH_US

# Debian puts it where only root looks.
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="needs mosquitto (tools/setup.sh installs it)"
)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Broker:
    """mosquitto; more: lines of its configuration. It keeps nothing over a restart."""

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\n{more}\npersistence false\nlog_type error\n"
            f"user {getpass.getuser()}\n"  # root's files stay readable
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert MOSQUITTO
        self._process = subprocess.Popen(
            [*ENDS_WITH_US, MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def end(self, how: int) -> None:
        """End it by a signal."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
        self._process = None


class Network:
    """A way to a port that can be cut: `silent` swallows all bytes, `cut` breaks connections."""

    def __init__(self, target: int) -> None:
        self._target, self.silent = target, False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._ended = False
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """Break all connections."""
        for end in list(self._pairs):
            self._drop(end)

    def _drop(self, end: socket.socket) -> None:
        for one in (end, self._pairs.pop(end, end)):
            self._pairs.pop(one, None)
            one.close()

    def _carry(self) -> None:
        while not self._ended:
            ends = [self._listener, *self._pairs]
            try:
                ready, _, _ = select.select(ends, [], [], 0.05)
            except (OSError, ValueError):  # cut in the meantime
                continue
            for end in ready:
                with contextlib.suppress(OSError):
                    self._accept() if end is self._listener else self._pass_on(end)

    def _accept(self) -> None:
        here, _ = self._listener.accept()
        try:
            there = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            here.close()
            return
        self._pairs |= {here: there, there: here}

    def _pass_on(self, end: socket.socket) -> None:
        other = self._pairs.get(end)
        try:
            data = end.recv(65536)
            if data and other and not self.silent:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(end)
