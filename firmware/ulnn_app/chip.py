"""What the app asks of the chip: the watchdog, and light sleep."""

import time

try:
    import machine
except ImportError:  # a PC
    machine = None


class Watchdog:
    """Resets the board when it was not fed for `ms`; nothing where `ms` is 0.

    Raises ValueError where the board has none, or not for so long.
    """

    def __init__(self, ms):
        self.ms = ms
        self._timer = self._dog = None
        if ms and not hasattr(machine, "WDT"):
            raise ValueError("watchdog_ms: this board has no machine.WDT; set 0")

    def start(self):
        if self.ms:
            if self._timer:
                self._timer.deinit()
                self._timer = None
            try:
                self._dog = machine.WDT(timeout=self.ms)
            except TypeError:  # boards whose argument has no name
                self._dog = machine.WDT(0, self.ms)

    def feed(self):
        if self._dog:
            self._dog.feed()

    def keep(self):
        """Feed it by a timer from now on: it cannot be stopped, and a person wants the prompt."""
        if not self._dog or self._timer:
            return
        self._dog.feed()
        for number in (-1, 0):
            try:
                self._timer = machine.Timer(number)
                self._timer.init(period=max(1, self.ms // 4), callback=self._on_time)
                return
            except (AttributeError, ValueError, OSError, TypeError):
                self._timer = None
        print("ulnn_app: the watchdog will reset this board in %d ms" % self.ms)

    def _on_time(self, timer):
        self._dog.feed()


def check_light_sleep():
    """Raises ValueError where times of samples would be wrong after `machine.lightsleep`."""
    if not hasattr(machine, "lightsleep"):
        raise ValueError('sleep: this board has no machine.lightsleep; set "none"')
    start = time.ticks_us()
    machine.lightsleep(20)
    if time.ticks_diff(time.ticks_us(), start) < 15000:
        raise ValueError(
            'sleep: ticks_us stops in light sleep here, so gaps would be lost; set "none"'
        )
