"""An I2C bus of CircuitPython, with the methods of MicroPython's that sources use."""


def pin(name):
    """A pin of the board by its name in `board`. Raises ValueError."""
    import board

    found = getattr(board, str(name), None)
    if found is None:
        raise ValueError("board.%s: this board has no such pin" % name)
    return found


class Registers:
    """scl, sda: names in `board`, such as "GP5"; None: the board's own bus. Raises ImportError
    where there is no busio; ValueError and RuntimeError as busio.I2C does. The bus is held until
    `deinit`."""

    def __init__(self, scl, sda, freq):
        if scl is None or sda is None:
            import board

            self._i2c = board.I2C()
        else:
            import busio

            self._i2c = busio.I2C(pin(scl), pin(sda), frequency=freq)
        self._register = bytearray(1)
        if not self._i2c.try_lock():
            raise ValueError("the bus is in use")

    def readfrom_mem_into(self, address, register, into):
        self._register[0] = register
        self._i2c.writeto_then_readfrom(address, self._register, into)

    def readfrom_mem(self, address, register, n):
        found = bytearray(n)
        self.readfrom_mem_into(address, register, found)
        return found

    def writeto_mem(self, address, register, data):
        self._i2c.writeto(address, bytes([register]) + bytes(data))

    def deinit(self):
        self._i2c.unlock()
        self._i2c.deinit()
