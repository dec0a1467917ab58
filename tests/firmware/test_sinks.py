"""The sinks of the board under MicroPython: MQTT beside a broker that is well, silent, refuses or
is secured, and the serial port with `ulnn collect` at its other end."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.broker import Broker, Network, needs_mosquitto
from support.paths import FIRMWARE
from support.pty_board import PtyBoard
from support.unix import needs_micropython, unix
from ulnn_host.board.line import Line
from ulnn_host.data import events
from ulnn_host.fleet.gateway import Gateway
from ulnn_host.fleet.mqtt import Broker as Address
from ulnn_host.fleet.mqtt import Collector, Schedule
from ulnn_host.fleet.store import Store

pytestmark = needs_micropython
PATH = f".frozen:{FIRMWARE}"

SCRIPT = """
import json, time
from array import array
from micropython import heap_lock, heap_unlock
from ulnn_sinks import make
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring

log = Log("d", Ring("ring"), "ab" * 32, channels=2)
log.sinks = [make(json.loads('''{settings}'''), log)]
x = array("h", [1, 2])
longest = polls = 0

def run(ms, until=lambda: False):
    global longest, polls
    end = time.ticks_ms() + ms
    while time.ticks_diff(end, time.ticks_ms()) > 0 and not until():
        t = time.ticks_us()
        log.poll()
        longest = max(longest, time.ticks_diff(time.ticks_us(), t))
        polls += 1
        time.sleep_ms(1)

def idle():
    "Nothing is allocated while there is nothing to say."
    heap_lock()
    for k in range(50):
        log.sample(x)
        log.poll()
    heap_unlock()

{body}
found = log.status()
found.update(longest=longest, polls=polls)
print(json.dumps(found))
"""


def device(folder: Path, body: str, **settings: Any) -> dict[str, Any]:
    """What a device says at its end."""
    text = json.dumps({"kind": "mqtt", "host": "127.0.0.1"} | settings)
    (folder / "device.py").write_text(SCRIPT.format(settings=text, body=body))
    found: dict[str, Any] = json.loads(unix("device.py", cwd=folder, path=PATH).splitlines()[-1])
    print(found)
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


class Collecting:
    """A collector in a thread of this process."""

    def __init__(self, address: Address, folder: Path) -> None:
        self.said: list[str] = []
        self.folder = folder
        self._stop = threading.Event()
        self._store = Store(folder, "here")
        collector = Collector(address, self._store, Schedule(0.02), self.said.append)
        self._thread = threading.Thread(target=collector.run, args=(self._stop,))

    def __enter__(self) -> Collecting:
        self._thread.start()
        for _ in range(200):
            if self.said:
                break
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._store.close()

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = events.read([self.folder]).to_pylist()
        return found


DELIVERS = """
for k in range(30):
    log.add("decision", "walking", k)
run(20000, lambda: log.sinks[0].reader.delivered == 30)
run(30)
idle()
assert not log.faults, log.status()
"""


@needs_mosquitto
def test_it_delivers_and_allocates_nothing_in_between(broker: Broker, tmp_path: Path) -> None:
    with Collecting(Address("127.0.0.1", broker.port), tmp_path / "events") as collecting:
        found = device(tmp_path, DELIVERS, port=broker.port)
        assert (found["delivered"], found["waiting"], found["faults"]) == (30, 0, 0)
    rows = collecting.rows()
    assert [(r["device"], r["boot"], r["seq"], r["margin"]) for r in rows] == [
        ("d", 1, k + 1, k) for k in range(30)
    ]
    assert {r["model"] for r in rows} == {"ab" * 8}
    assert all(abs((r["time"] - r["received"]).total_seconds()) < 60 for r in rows)


@needs_mosquitto
def test_a_retained_acknowledgement_frees_after_a_restart(broker: Broker, tmp_path: Path) -> None:
    """What was delivered before the power went is not sent again."""
    with Collecting(Address("127.0.0.1", broker.port), tmp_path / "events") as collecting:
        first = device(tmp_path, DELIVERS, port=broker.port, batch=16384)
        assert first["delivered"] == 30
    again = device(tmp_path, "run(20000, lambda: log.status()['waiting'] == 0)", port=broker.port)
    assert (again["boot"], again["delivered"], again["waiting"]) == (2, 30, 0)
    assert again["sent_bytes"] < first["sent_bytes"]
    assert len(collecting.rows()) == 30


@needs_mosquitto
def test_a_silent_broker_holds_nothing_up(broker: Broker, tmp_path: Path) -> None:
    """umqtt waits for 8 seconds here."""
    with Network(broker.port) as network:
        network.silent = True
        found = device(tmp_path, "log.add('note', 'a')\nrun(1500)", port=network.port)
    assert found["waiting"] == 1
    assert not found["sinks"][0]["connected"]
    assert found["polls"] > 100
    assert found["longest"] < 500_000


def test_an_address_where_nobody_is(tmp_path: Path) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        found = device(tmp_path, "log.add('note', 'a')\nrun(500)", port=s.getsockname()[1])
    assert (found["waiting"], found["faults"]) == (1, 1)
    assert found["sinks"][0]["problem"] == "127.0.0.1 does not answer"


def test_something_else_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            there, _ = server.accept()
            there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 2000)
            time.sleep(0.5)
            there.close()

        thread = threading.Thread(target=serve)
        thread.start()
        found = device(tmp_path, "run(400)", port=server.getsockname()[1])
        thread.join()
    assert found["faults"] == 1
    assert found["sinks"][0]["problem"].startswith("127.0.0.1 ")


SECURED = """allow_anonymous false
password_file {folder}/users
cafile {folder}/ca.pem
certfile {folder}/ca.pem
keyfile {folder}/key.pem
"""


def certificate(folder: Path) -> None:
    """One that says of itself who it is: ca.pem, key.pem."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
         "ca.pem", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Broker]:
    """A broker with TLS and a password."""
    certificate(tmp_path)
    (tmp_path / "users").write_text("")
    subprocess.run(
        ["mosquitto_passwd", "-b", str(tmp_path / "users"), "anna", "secret"], check=True
    )
    with Broker(tmp_path, SECURED.format(folder=tmp_path)) as running:
        yield running


@needs_mosquitto
def test_tls_and_a_password(secured: Broker, tmp_path: Path) -> None:
    ca = str(tmp_path / "ca.pem")
    address = Address("localhost", secured.port, "ulnn", "anna", "secret", True, ca)
    right = {"host": "localhost", "port": secured.port, "tls": True, "ca": ca, "user": "anna"}
    with Collecting(address, tmp_path / "events") as collecting:
        found = device(tmp_path, DELIVERS, password="secret", **right)
        assert (found["delivered"], found["faults"]) == (30, 0)
        print("longest poll with a handshake, us:", found["longest"])
    assert len(collecting.rows()) == 30
    wrong = device(tmp_path, "run(600)", password="wrong", **right)
    assert wrong["sinks"][0]["problem"] == "localhost refuses the connection (5)"
    plain = device(tmp_path, "run(600)", password="secret", **(right | {"tls": False}))
    assert plain["faults"] > 0
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other")
    right["ca"] = str(tmp_path / "other/ca.pem")
    stranger = device(tmp_path, "run(600)", password="secret", **right)
    assert not stranger["sinks"][0]["connected"]
    print(stranger["sinks"])


SERIAL = """
import sys, time
sys.path[:] = {path!r}
from ulnn_sinks import make
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring
log = Log("board", Ring("ring"))
log.sinks = [make({{"kind": "serial"}}, log)]
print("hello")
for k in range(20):
    log.add("decision", "walking", k)
end = time.ticks_ms() + 60000
while log.status()["waiting"] and time.ticks_diff(end, time.ticks_ms()) > 0:
    log.poll()
    time.sleep_ms(1)
print("done", log.sinks[0].reader.delivered)
"""


DAMAGED_ANSWER = """
from ulnn_rules.events import answer
from ulnn_sinks import make
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring
log = Log("board", Ring("ring"))
log.sinks = [make({"kind": "serial"}, log)]
log.add("decision", "walking", 1)
sink = log.sinks[0]
log.poll()
for line in b"ack \\xff", answer(log.ring.log, *sink.delivery.last).encode():
    sink._answer = bytearray(line)
    sink._answered()
    log.poll()
print(sink.reader.delivered)
"""


def test_a_byte_that_is_no_letter_costs_one_answer(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(DAMAGED_ANSWER)
    assert unix("run.py", cwd=tmp_path, path=PATH).splitlines()[-1] == "1"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PtyBoard]:
    path = [".frozen", str(FIRMWARE), str(tmp_path / "board/lib")]
    with PtyBoard(
        tmp_path / "board", modules={"events_of.py": SERIAL.format(path=path)}
    ) as running:
        yield running


def check_rows(folder: Path) -> None:
    rows = events.read([folder]).to_pylist()
    assert [(r["device"], r["seq"], r["margin"]) for r in rows] == [
        ("board", k + 1, k) for k in range(20)
    ]


def test_a_gateway_on_a_port(board: PtyBoard, tmp_path: Path) -> None:
    """`ulnn collect --port`; a board that is started while it listens."""
    folder = tmp_path / "events"
    command = [sys.executable, "-u", "-m", "ulnn_host", "collect", "--port", board.port, "-o"]
    with subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "listening" in process.stdout.readline()
        board.type(b"import events_of\r\n")
        for _ in range(400):
            journals = list((folder / "journal").glob("*.jsonl"))
            if journals and journals[0].read_bytes().count(b"\n") == 20:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()
    assert "20 events in 20 messages" in said
    check_rows(folder)


def test_a_line_that_does_damage(board: PtyBoard, tmp_path: Path) -> None:
    """Every event arrives, although events and answers are damaged."""
    rng = random.Random(3)

    def damage(data: bytes) -> bytes:
        changed = bytearray(data)
        if len(data) > 10 and rng.random() < 0.1:
            changed[rng.randrange(len(data))] ^= 16 << rng.randrange(3)  # no Ctrl-C
        return bytes(changed)

    store = Store(tmp_path / "events", "here")
    line = Line(board.port, "board")
    gateway = Gateway(line, store)
    board.to_host = board.to_board = damage
    line.write(b"import events_of\r\n" + b"\r\n" * 3)
    end = time.monotonic() + 60
    while not any("done 20" in text for text in gateway.other) and time.monotonic() < end:
        gateway.feed(line.read())
    line.close()
    store.close()
    print("damaged", gateway.damaged, "taken", store.counts.events)
    assert gateway.damaged > 0
    check_rows(tmp_path / "events")
