"""Events to an MQTT broker (3.1.1, QoS 1), on a socket that is never waited for.

A broker's acknowledgement means little: brokers lose what they have acknowledged. So an event is
delivered when a retained message of the collector says that it is on the disk there:

    PREFIX/event/DEVICE   lines of JSON, from the device
    PREFIX/ack/DEVICE     {"log": "9f3a01c2", "boot": 7, "seq": 120}, from the collector

Only looking up a host's name waits, for the network's name server; an address in numbers does not.
"""

import json
import select
import socket
from binascii import a2b_base64
from struct import pack

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_diff, ticks_ms
from ulnn_sinks import base

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TABLE = {
    "host": Key(str, low=1),
    "port": Key(int, 0, 0, 65535),
    "prefix": Key(str, "ulnn", low=1),
    "user": Key(str, ""),
    "password": Key(str, ""),
    "tls": Key(bool, False),
    "ca": Key(str, ""),
    "keep_alive": Key(int, 60, 4, 3600),
    "batch": Key(int, 1024, 256, 16384),
    "resend_ms": Key(int, 10000, 100, 300000),
    "gather_s": Key(int, 0, 0, 240),
}
_CLOSED, _OPENING, _GREETING, _JOINING, _OPEN = range(5)
_PATIENCE_MS = 15000  # for a broker that has to answer
_LARGEST = 1024  # bytes of a packet from the broker
_CONNACK, _PUBLISH, _SUBACK = 0x20, 0x30, 0x90


def _text(text):
    data = text.encode()
    return pack(">H", len(data)) + data


def packet(kind, *parts):
    """An MQTT packet of these parts."""
    left = sum([len(part) for part in parts])
    head = bytearray((kind,))
    while True:
        head.append(left & 0x7F | (0x80 if left > 0x7F else 0))
        left >>= 7
        if not left:
            break
    for part in parts:
        head += part
    return head


class Sink(base.Sink):
    """One broker. It connects by itself, and again with growing waits when it is gone.

    tls: on, with the certificates of `ca` (a file, PEM or DER) to check the broker's; without
    `ca` anybody could be the broker. batch: bytes of lines in one message. resend_ms: until what
    is not acknowledged is sent again, doubled each time. gather_s: for how long events wait for
    others to go with them, which takes fewer bytes; an alarm waits for nothing.
    """

    def __init__(self, settings, log, where):
        self._state = _CLOSED
        self._socket: "Any" = None
        self._number = 0  # of a message
        self._chunk = bytearray(128)
        super().__init__("mqtt", check(settings, TABLE, where), log)

    def attach(self):
        super().attach()
        self.stop()
        settings = self.settings
        again, gather = settings["resend_ms"], 1000 * settings["gather_s"]
        self.delivery = base.Delivery(self, settings["batch"], again, gather_ms=gather)
        self._events = settings["prefix"] + "/event/" + self.log.device
        self._acks = settings["prefix"] + "/ack/" + self.log.device

    def stop(self):
        if self._socket:
            try:
                self._socket.close()
            except OSError:
                pass
        self._socket = None
        self._state = _CLOSED
        self._out = b""
        self._in = bytearray()

    def fail(self, error):
        super().fail(error)
        self.delivery.clear()

    def status(self):
        found = super().status()
        found["connected"] = self._state == _OPEN
        return found

    def poll(self):
        if self._state == _CLOSED:
            if self.backoff.is_over():
                self._open()
        elif self._state == _OPENING:
            self._opening()
        else:
            self._read()
            if self._out:
                self._flush()
            elif self._state == _OPEN:
                self._publish()
            self._keep()

    # ---- the connection -----------------------------------------------------------------------

    def _open(self):
        settings = self.settings
        port = settings["port"] or (8883 if settings["tls"] else 1883)
        address = socket.getaddrinfo(settings["host"], port, 0, socket.SOCK_STREAM)[0][-1]
        self._heard = self._said = ticks_ms()
        self._state = _OPENING
        self._socket = self._raw = socket.socket()
        self._raw.setblocking(False)
        try:
            self._raw.connect(address)
        except OSError as e:
            if e.errno not in (115, 119, 128):  # EINPROGRESS: Linux, lwip, ESP-IDF
                raise
        self._poller = select.poll()
        self._poller.register(self._raw, select.POLLOUT)

    def _opening(self):
        ready = self._poller.poll(0)
        if not ready:
            return self._keep()
        if ready[0][1] & ~select.POLLOUT:
            raise OSError("%s does not answer" % self.settings["host"])
        settings = self.settings
        if settings["tls"]:
            self._socket = _secured(self._raw, settings)
        user, password = settings["user"], settings["password"]
        flags = 2 | (0x80 if user else 0) | (0x40 if password else 0)
        parts = [_text("MQTT"), bytes((4, flags)), pack(">H", settings["keep_alive"])]
        parts.append(_text(self.log.device + "-" + self.log.ring.log))
        parts += [_text(word) for word in (user, password) if word]
        self._send(packet(0x10, *parts), _GREETING)

    def _keep(self):
        """Say something now and then; give up a broker that does not."""
        now = ticks_ms()
        keep_ms = 1000 * self.settings["keep_alive"]
        open_ = self._state == _OPEN
        if ticks_diff(now, self._heard) > (keep_ms if open_ else _PATIENCE_MS):
            raise OSError("%s fell silent" % self.settings["host"])
        if open_ and not self._out and ticks_diff(now, self._said) > keep_ms // 2:
            self._send(packet(0xC0), _OPEN)

    # ---- what goes out ------------------------------------------------------------------------

    def _send(self, data, state):
        self._out = memoryview(data)
        self._state = state
        self._flush()

    def _flush(self):
        n = self._socket.write(self._out)
        if n:
            self._said = ticks_ms()
            self._out = self._out[n:]

    def _publish(self):
        delivery = self.delivery
        if delivery.build() and delivery.is_late():
            self._number = self._number % 0xFFFF + 1
            name, number = _text(self._events), pack(">H", self._number)
            self._send(packet(0x32, name, number, delivery.lines), _OPEN)
            delivery.sent()

    # ---- what comes in ------------------------------------------------------------------------

    def _read(self):
        n = self._socket.readinto(self._chunk)
        if n is None:
            return
        if n == 0:
            raise OSError("%s closed the connection" % self.settings["host"])
        self._heard = ticks_ms()
        self._in += memoryview(self._chunk)[:n]
        while self._take():
            pass

    def _take(self):
        """Take one packet out of what came in, if it is there."""
        data, size, at = self._in, 0, 1
        while True:
            if at >= len(data):
                return False
            size |= (data[at] & 0x7F) << 7 * (at - 1)
            at += 1
            if not data[at - 1] & 0x80:
                break
            if at > 4:
                raise OSError("%s speaks no MQTT" % self.settings["host"])
        if size > _LARGEST:
            raise OSError("%s sent a packet of %d bytes" % (self.settings["host"], size))
        if len(data) < at + size:
            return False
        self._in = data[at + size :]
        self._obey(data[0], data[at : at + size])
        return True

    def _obey(self, kind, body):
        if self._state == _GREETING:
            if kind != _CONNACK or len(body) != 2 or body[1]:
                code = body[1] if kind == _CONNACK and len(body) == 2 else -1
                raise OSError("%s refuses the connection (%d)" % (self.settings["host"], code))
            self._send(packet(0x82, b"\0\1", _text(self._acks), b"\0"), _JOINING)
        elif kind == _SUBACK:
            if self._state != _JOINING or body[-1] > 2:
                raise OSError("%s refuses %s" % (self.settings["host"], self._acks))
            self._state = _OPEN
            self.problem = ""
            self.backoff.reset()
        elif kind & 0xF0 == _PUBLISH:
            size = body[0] << 8 | body[1]
            try:
                ack = json.loads(bytes(body[2 + size :]))
                self.delivery.acknowledge(ack["log"], ack["boot"], ack["seq"])
            except (ValueError, KeyError, TypeError):
                pass  # not of a collector of ours


def _certificates(data):
    """Each certificate of a PEM file, and what is DER as it is: boards know only that."""
    if b"-----BEGIN" not in data:
        return [data]
    parts = data.split(b"-----BEGIN CERTIFICATE-----")[1:]
    return [a2b_base64(part.split(b"-----END")[0]) for part in parts]


def _secured(raw, settings):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings["ca"]:
        with open(settings["ca"], "rb") as f:
            for certificate in _certificates(f.read()):
                context.load_verify_locations(cadata=certificate)
        context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
    else:
        context.verify_mode = ssl.CERT_NONE  # type: ignore[attr-defined]
    return context.wrap_socket(
        raw, server_hostname=settings["host"], do_handshake_on_connect=False
    )
