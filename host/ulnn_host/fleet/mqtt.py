"""Collecting from an MQTT 5 broker, beside other collectors of the same fleet."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ..base.errors import UlnnError, one_line
from .store import Ack, Store

GROUP = "ulnn-collect"  # of the shared subscription: one of its members gets each message
IN_FLIGHT = 1000  # messages that the broker sends before it waits for us
PATIENCE = 10.0  # seconds for a broker's first answer
MOST = 5000  # messages to one commit


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how to get in. ca: a file of certificates, "" for the system's."""

    host: str
    port: int = 1883
    prefix: str = "ulnn"
    user: str = ""
    password: str = ""
    tls: bool = False
    ca: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Schedule:
    """commit: seconds for which messages are gathered before they are written together. roll:
    seconds, and bytes of a journal, after which it is turned into Parquet."""

    commit: float = 0.1
    roll: float = 300.0
    roll_bytes: int = 64 << 20


class Collector:
    """A connection that keeps itself up. Use `run`; say gets a line where something changes."""

    def __init__(
        self, broker: Broker, store: Store, schedule: Schedule, say: Callable[[str], None]
    ) -> None:
        self.broker, self.store, self.schedule, self.say = broker, store, schedule, say
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answer: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._client = self._made()
        self._worker = ThreadPoolExecutor(1)
        self._compaction: Future[None] | None = None

    def _made(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, manual_ack=True)
        broker = self.broker
        if broker.user:
            client.username_pw_set(broker.user, broker.password or None)
        if broker.tls:
            client.tls_set(ca_certs=broker.ca or None)
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda client, data, message: self._messages.put(message)
        return client

    # ---- in the thread of the network ---------------------------------------------------------

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, more: Any) -> None:
        if code.is_failure:
            self._answer.put(f"refuses the connection ({code})")
            return
        client.subscribe(f"$share/{GROUP}/{self.broker.prefix}/event/+", qos=1)

    def _on_subscribe(self, client: Any, data: Any, mid: int, codes: Any, more: Any) -> None:
        if codes[0].is_failure:
            self._answer.put(f"refuses the subscription ({codes[0]}); it must be of MQTT 5 with "
                             "shared subscriptions")  # fmt: skip
            return
        self._connected.set()
        self._answer.put("")

    def _on_disconnect(self, client: Any, data: Any, flags: Any, code: Any, more: Any) -> None:
        if self._connected.is_set():
            self._connected.clear()
            self._answer.put(f"connection lost ({code})")

    # ---- in the caller's ----------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set. Raises UlnnError: no broker there, it refuses, the disk
        fails."""
        try:
            self._connect()
            self._loop(stop)
        finally:
            self._client.disconnect()
            self._client.loop_stop()
            self._worker.shutdown()

    def _connect(self) -> None:
        more = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        more.ReceiveMaximum = IN_FLIGHT
        try:
            self._client.connect(self.broker.host, self.broker.port, properties=more)
        except (OSError, ValueError) as error:
            raise self._error(f"cannot be reached ({error})") from error
        self._client.loop_start()
        try:
            answer = self._answer.get(timeout=PATIENCE)
        except queue.Empty:
            raise self._error("does not answer; is it an MQTT broker?") from None
        if answer:
            raise self._error(answer)
        self.say(f"connected to {self.broker}")

    def _error(self, text: str) -> UlnnError:
        return UlnnError(f"broker {self.broker}: {one_line(text)}")

    def _loop(self, stop: threading.Event) -> None:
        rolled = time.monotonic()
        while True:
            stopping = stop.is_set()
            self._take_all()
            if stopping:
                break
            self._say_changes()
            if self._compaction and self._compaction.done():
                self._compaction.result()
                self._compaction = None
            late = time.monotonic() - rolled > self.schedule.roll
            if not self._compaction and (late or self.store.size() > self.schedule.roll_bytes):
                rolled = time.monotonic()
                journals = self.store.close_journal()
                if journals:
                    self._compaction = self._worker.submit(self.store.compact, journals)
        if self._compaction:
            self._compaction.result()

    def _take_all(self) -> None:
        """What comes within the time of a commit, then the commit, then the acknowledgements."""
        taken: list[Any] = []
        acks: dict[str, Ack] = {}
        end = time.monotonic() + self.schedule.commit
        while len(taken) < MOST:
            try:
                message = self._messages.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            taken.append(message)
            ack = self.store.take(message.payload, message.topic.rpartition("/")[2])
            if ack:
                acks[ack.device] = ack
        self.store.commit()
        for ack in acks.values():
            topic = f"{self.broker.prefix}/ack/{ack.device}"
            self._client.publish(topic, ack.payload(), qos=0, retain=True)
        for message in taken:
            self._client.ack(message.mid, message.qos)

    def _say_changes(self) -> None:
        while not self._answer.empty():
            self.say(self._answer.get() or f"connected to {self.broker} again")
