"""The settings of an app, and whether source and model fit each other. A board checks them before
it starts; the PC, before it deploys."""

import json

import ulnn_sources
from ulnn_rules import channels
from ulnn_rules.counts import Counts
from ulnn_rules.settings import Key, check

TABLE = {
    "model": Key(str, low=1),
    "source": Key(dict, {}),
    "channels": Key(list, [], high=1024),
    "units": Key(str, "same", choices=channels.RULES),
    "poll_ms": Key(int, 2, 1, 60000),
    "print": Key(str, "changes", choices=("changes", "all", "nothing")),
    "watchdog_ms": Key(int, 0, 0, 3600000),
    "sleep": Key(str, "none", choices=("none", "light")),
    "device": Key(str, "", high=64),
    "policy": Key(str, "", high=255),
    "adapt": Key(str, "", high=255),
    "sinks": Key(list, [], high=4),
    "events": Key(dict, {}),
    "alarm": Key(None, {}),  # ulnn_app.alarm checks it
}
EVENTS = {
    "folder": Key(str, "events", low=1),
    "files": Key(int, 8, 2, 64),
    "decisions": Key(str, "changes", choices=("changes", "all", "none")),
    "summary_s": Key(int, 300, 0, 86400),
}


def read(settings, where="settings"):
    """The settings, a dict or the path of a JSON file, checked, with every key of TABLE.

    Raises ValueError; its text begins with `where`, or with the path."""
    if isinstance(settings, str):
        where = settings
        try:
            with open(where) as f:
                settings = json.load(f)
        except OSError:
            raise ValueError("%s: no such file" % where) from None
        except ValueError as e:
            raise ValueError("%s: not JSON: %s" % (where, e)) from None
    found = check(settings, TABLE, where)
    for k, name in enumerate(found["channels"]):
        Key(str, low=1).check(name, "%s.channels[%d]" % (where, k))
    found["events"] = check(found["events"], EVENTS, where + ".events")
    _check_sinks(found["sinks"], found["source"], where)
    if found["alarm"] not in ({}, []):
        try:
            from ulnn_app.alarm import checked  # not on every heap

            found["alarm"] = checked(found["alarm"], where + ".alarm")
        except ImportError as e:
            raise ValueError("%s.alarm: not on this board: %s" % (where, e)) from None
    return found


def _check_sinks(sinks, source, where):
    if sinks:
        import ulnn_sinks  # not on every board
    for k, sink in enumerate(sinks):
        at = "%s.sinks[%d]" % (where, k)
        try:
            ulnn_sinks.check(sink, at)
        except ImportError as e:
            raise ValueError("%s: not on this board: %s" % (at, e)) from None
        both = sink["kind"] == "serial" and source.get("kind") == "lines"
        if both and source.get("port", "stdin") == "stdin" and sink.get("acknowledged", True):
            raise ValueError("%s: the source reads the same port; set acknowledged to false" % at)


def source_of(settings, where="settings"):
    """The source that checked settings describe. Raises ValueError; ImportError where it needs
    what is not on this board."""
    return ulnn_sources.make(settings["source"], where + ".source")


def fit(settings, source, meaning, scaling, where="settings"):
    """The `Counts` from a source to a model, by `Meaning` and `Scaling` of its file.

    Raises ValueError where channels, units or ranges do not fit.
    """
    try:
        inputs = settings["channels"] or meaning.channels
        order = channels.order(source.names, inputs, scaling.input_size)
        names = [source.names[k] for k in order]
        units = [source.units[k] for k in order]
        by = channels.factors(names, units, meaning.units, settings["units"])
        each = [1.0] * len(source.names)
        for k, channel in enumerate(order):
            each[channel] = by[k]
        scale = channels.product(source.scale, each)
        return Counts(scaling, scale, channels.product(source.offset, each), order)
    except ValueError as e:
        raise ValueError("%s: %s%s" % (where, e, withheld(source))) from None


def withheld(source):
    """What a policy has to do with a channel that is missing, for the end of an error."""
    names = getattr(source, "withheld", ())
    return "; the policy keeps %s from the network" % ", ".join(names) if names else ""
