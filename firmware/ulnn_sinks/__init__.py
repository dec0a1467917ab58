"""Where events go to, and the log on flash that holds them until they have arrived.

log = Log("pump-3", Ring("/events"))
log.sinks = [make({"kind": "mqtt", "host": "192.168.1.5"}, log)]
while True:
    log.poll()  # never waits
    ...
    log.add("decision", "walking", margin)
"""

# kind in the settings: the module with the class `Sink`. A board imports the one it needs.
KINDS = {"serial": "serial", "file": "file", "mqtt": "mqtt"}


def make(settings, log, where="sink"):
    """The sink that `settings` describe, for the events of `log`; not yet started.

    Raises ValueError for settings that do not fit; ImportError where its module is not on this
    board.
    """
    if not isinstance(settings, dict) or settings.get("kind") not in KINDS:
        raise ValueError("%s.kind: expected one of %s" % (where, ", ".join(sorted(KINDS))))
    module = KINDS[settings["kind"]]
    # MicroPython's __import__ gives the package, whose attribute the module is.
    package = __import__("ulnn_sinks." + module)
    settings = {key: settings[key] for key in settings if key != "kind"}
    return getattr(package, module).Sink(settings, log, where)
