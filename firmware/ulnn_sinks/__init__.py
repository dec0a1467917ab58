"""Where events go to, and the log on flash that holds them until they have arrived.

log = Log("pump-3", Ring("/events"))
log.sinks = [make({"kind": "mqtt", "host": "192.168.1.5"}, log)]
while True:
    log.poll()  # never waits
    ...
    log.add("decision", "walking", margin)
"""

from ulnn_rules.settings import check as check_all
from ulnn_rules.settings import of_kind

# kind in the settings: the module with the class `Sink`. A board imports the one it needs.
KINDS = {"serial": "serial", "file": "file", "mqtt": "mqtt"}


def check(settings, where="sink"):
    """Raise what `make` would, without a log."""
    module, own = of_kind("ulnn_sinks", KINDS, settings, where)
    check_all(own, module.TABLE, where)


def make(settings, log, where="sink"):
    """The sink that `settings` describe, for the events of `log`; not yet started.

    Raises ValueError for settings that do not fit; ImportError where its module is not on this
    board.
    """
    module, own = of_kind("ulnn_sinks", KINDS, settings, where)
    return module.Sink(own, log, where)
