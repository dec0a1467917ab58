"""`ulnn collect`: events of devices to Parquet files."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UlnnError
from .options import out

if TYPE_CHECKING:
    from ..fleet.store import Store


def collect(
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of events")],
    mqtt: Annotated[
        str | None, typer.Option(metavar="HOST[:PORT]", help="MQTT 5 broker to collect from")
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="serial port of a board with the sink serial")
    ] = None,
    name: Annotated[
        str, typer.Option(help="of this collector, where several share the folder")
    ] = "",
    prefix: Annotated[str, typer.Option(help="with which the topics begin")] = "ulnn",
    user: Annotated[
        str, typer.Option(help="at the broker; the password is in ULNN_MQTT_PASSWORD")
    ] = "",
    tls: Annotated[bool, typer.Option("--tls", help="encrypt, and check the broker")] = False,
    ca: Annotated[str, typer.Option(help="certificates to check it with (.pem)")] = "",
    by: Annotated[str, typer.Option(help="files by device and day, or by day only")] = "device",
    commit: Annotated[float, typer.Option(help="seconds for which messages are gathered")] = 0.1,
    roll: Annotated[float, typer.Option(help="seconds between Parquet files")] = 300.0,
    baud: Annotated[int, typer.Option(help="baud rate of the port, where it has one")] = 115200,
) -> None:
    """Collect events from an MQTT broker, or from a board on a serial port, until Ctrl-C.

    An event is acknowledged to its device when it is safe on the disk. Collectors of one broker
    share its devices.

    Example: ulnn collect --mqtt broker.local -o events
    """
    from ..base.extras import need

    if bool(mqtt) == bool(port):
        raise UlnnError("say --mqtt HOST or --port PORT, one of them")
    need("pyarrow", "ulnn collect")
    if mqtt:
        need("paho", "ulnn collect --mqtt")
    from ..fleet.store import Store

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    store = Store(output, name, by)
    try:
        store.adopt()
        if mqtt:
            from ..fleet.mqtt import Broker, Collector, Schedule

            host, number_ = _address(mqtt, 8883 if tls else 1883)
            password = os.environ.get("ULNN_MQTT_PASSWORD", "")
            broker = Broker(host, number_, prefix, user, password, tls or bool(ca), ca)
            Collector(broker, store, Schedule(commit, roll), _say).run(stop)
        else:
            _from_port(str(port), baud, store, stop, roll)
    finally:
        store.close()
    counts = store.counts
    _say(f"{counts.events:,} events in {counts.messages:,} messages, {counts.bytes:,} bytes")
    if counts.refused:
        _say(f"{counts.refused:,} lines were no event; the first: {counts.reason}")


def _say(text: str) -> None:
    out.print(text, highlight=False)


def _address(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon:
        return text, port
    if not number.isdigit() or not 0 < int(number) < 65536 or not host:
        raise UlnnError(f"--mqtt {text}: expected HOST or HOST:PORT")
    return host.strip("[]"), int(number)


def _from_port(port: str, baud: int, store: Store, stop: threading.Event, roll: float) -> None:
    from ..board.line import Line
    from ..board.link import resolved
    from ..fleet.gateway import Gateway

    with resolved(port) as path:
        line = Line(path, port, baud)
        gateway = Gateway(line, store)
        try:
            _say(f"listening to {port}")
            gateway.run(stop, roll)
        finally:
            line.close()
            if gateway.damaged:
                _say(f"{gateway.damaged:,} lines were damaged")
            if gateway.other and not store.counts.events:
                _say(f"the board printed no event; its last line: {gateway.other[-1]}")
