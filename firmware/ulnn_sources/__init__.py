"""Where samples come from: sensors, lines of text, recordings. One small class for each; what
they have in common is in `base`.

    source = make({"kind": "replay", "file": "/take.csv", ...}, "source")
    source.start()
    while True:
        if source.take():
            print(source.elapsed, list(source.raw))
"""

from ulnn_rules.settings import of_kind

# kind in the settings: the module with the class `Sensor`. A board imports the one it needs.
KINDS = {name: name for name in ("adc", "i2s", "lines", "lsm", "mpu", "replay")}


def make(settings, where="source"):
    """The source that `settings` describe, not yet started.

    Raises ValueError for settings that do not fit; ImportError where its module is not on this
    board; nothing of the hardware is touched before `start`.
    """
    module, own = of_kind("ulnn_sources", KINDS, settings, where)
    return module.Sensor(own, where)
