"""Sensors in, decisions out:

    >>> import ulnn_app
    >>> ulnn_app.run("settings.json")     # until Ctrl-C
    >>> ulnn_app.status()

In an asyncio program of your own: `app = ulnn_app.start("settings.json")`, then `await app.task`.
"""

# Modules are imported where they are used: a deployment's stub for this package is not ready yet
# when this file runs.
_app = None


def make(settings="settings.json", source=None):
    """The app that `settings` (a path or a dict) describe, not yet started.

    source: one of your own, in place of the settings' "source". Everything is checked: raises
    ValueError, with one line for the first mistake; OSError, ImportError, MemoryError.
    """
    global _app
    _app = None  # an app before gives its memory back
    import gc

    # Collected often, so that what stays lies close together: a small heap has room for a model.
    threshold = getattr(gc, "threshold", lambda n=0: 0)
    before = threshold()
    threshold(2048)
    try:
        from ulnn_app.loop import App

        _app = App(settings, source)
    finally:
        threshold(before)
    return _app


def start(settings="settings.json", source=None):
    """As `make`, and start the app in the asyncio program that calls this: `app.task`."""
    import asyncio

    app = make(settings, source)
    app.begin()
    app.task = asyncio.create_task(app.main())
    return app


def run(settings="settings.json", source=None, on_decision=None, on_alarm=None):
    """Run the app until Ctrl-C, `stop` or the end of a recording; then the prompt is back.

    on_decision, on_alarm: functions that get the app at each decision, and when an alarm has
    learnt, begins or ends. A mistake is printed in one line.
    """
    import asyncio

    try:
        app = make(settings, source)
        app.begin()
    except (ValueError, OSError, ImportError, MemoryError) as e:
        print("ulnn_app: %s" % e)
        return
    if on_decision:
        app.on_decision.append(on_decision)
    if on_alarm and app.alarm:
        app.alarm.on_alarm.append(on_alarm)
    try:
        asyncio.run(app.main())
        print("ulnn_app: ended after %d samples" % app.samples)
    except KeyboardInterrupt:
        print("ulnn_app: stopped after %d samples; status() and log() say more" % app.samples)
    finally:
        app.close()
        asyncio.new_event_loop()


def stop():
    """End what `run` or `start` started, after the sample that is being worked on."""
    if _app:
        _app.stop()


def status():
    """Print what runs, or ran last: model, sampling, times, counts, decisions, memory."""
    if not _app:
        print("nothing has run here yet: ulnn_app.run()")
        return
    from ulnn_app import words

    print(words.status(_app.figures()))


def figures():
    """What `status` prints, as a dict of numbers and texts; {} before anything has run."""
    return _app.figures() if _app else {}


def faults():
    """(seconds when it came first, times in a row, text) of the last faults, the oldest first."""
    return _app.faults.entries() if _app else []


def acknowledge(name=None):
    """Somebody has seen the alarm of this name, or all. Whether one was raised; ValueError without
    an alarm, or one of that name."""
    return _alarm(name).do("acknowledge")


def snooze(minutes, name=None):
    """End the alarm of this name, or all, and raise none for so many minutes. False: it still
    learns. ValueError as of `acknowledge`."""
    return _alarm(name).do("snooze", max(1, int(60 * minutes)))


def relearn(name=None):
    """Learn what is usual and the threshold again, after a repair: the alarm of this name, or all.
    The history stays. ValueError as of `acknowledge`."""
    return _alarm(name).do("relearn")


def _alarm(name):
    if not (_app and _app.alarm):
        raise ValueError('no app with an alarm has run here: see "alarm" in its settings')
    return _app.alarm if name is None else _app.alarm.named(name)


def forget(*files, settings="settings.json"):
    """Remove what the app has stored on the board, print it, and return the paths.

    Events go, from flash and from the files of sinks, and so do faults, what the model has seen,
    and what a wearer taught. files: paths of more to remove, which your own program has stored,
    such as recordings. settings: of an app that has not run since the start. What was
    deployed stays, and so do the policy, its key and its budget. Raises ValueError for settings
    that do not fit, OSError where the disk refuses.
    """
    from ulnn_app import stored

    return stored.forget(_app, settings, files)


def teach(label, seconds=0):
    """What comes now are examples of this class, its name or number.

    With an app that runs this returns at once. seconds: at the prompt, run the app so long for
    it; the one that ran last goes on, else that of settings.json. `taught` ends the session.
    Raises ValueError for a class that the model does not have, and without "adapt" in the
    settings.
    """
    if seconds and not _app:
        make()
    _wearer().teach(label)
    if seconds:
        import asyncio

        try:
            asyncio.run(_app.again(seconds))
        finally:
            _app.close()
            asyncio.new_event_loop()


def taught():
    """Learn from all that was taught since, and print what came of it.

    Whether it was learnt: what makes decisions about other examples worse is not. It is saved, and
    the next decision uses it. Raises OSError where the disk refuses.
    """
    wearer = _wearer()
    kept = wearer.taught()
    from ulnn_app import words

    print(words.adapted(wearer.figures()) if kept else "nothing learnt: it made decisions worse")
    return kept


def undo():
    """Forget what was taught last, once. Whether there was something."""
    return _wearer().undo()


def reset():
    """Forget all that was taught: decide as for everybody."""
    _wearer().reset()


def _wearer():
    if not _app or not _app.wearer:
        raise ValueError('nothing can be taught: no app, or no "adapt" in its settings')
    return _app.wearer


def log():
    """Print the last faults; a line each."""
    from ulnn_app import words

    for entry in faults():
        print(words.fault(*entry))
    if not faults():
        print("no faults")
