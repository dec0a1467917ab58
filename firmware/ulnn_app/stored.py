"""What an app has stored on the board, and how it is removed."""

import os

from ulnn_app.measures import Faults
from ulnn_app.settings import read


def forget(app, settings, files):
    """What `ulnn_app.forget` does. app: the one that runs or ran last, or None."""
    settings = app.settings if app else read(settings)
    folder = settings["events"]["folder"]
    paths = list(files)
    try:
        paths += ["%s/%s" % (folder, name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        pass
    for sink in settings["sinks"]:
        if sink["kind"] == "file":
            paths += [sink["path"], sink["path"] + ".old"]
    alarms = settings["alarm"]
    if alarms:
        paths += [s["file"] for s in (alarms if isinstance(alarms, list) else [alarms])]
    if settings["adapt"]:
        paths.append(settings["adapt"])
    found = [path for path in paths if _is_there(path)]
    if app:
        if app.reports:
            app.reports.log.forget()
            app.reports.log.summary.take()
        if app.alarm:
            app.alarm.forget()
        if app.wearer:
            app.wearer.forget()
        app.faults = Faults()
        app.decider.reset()
    for path in found:
        if _is_there(path):
            os.remove(path)
    print("removed: %s" % (", ".join(found) or "nothing was stored"))
    return found


def _is_there(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
