"""The figures of an app as a person reads them."""


def _short(v):
    return "%.0f" % v if v >= 1000 else "%.3g" % v


def duration(us):
    """Microseconds in the unit that fits: "350 us", "2.1 s", "16 min"."""
    for size, name in ((3600000000, "h"), (60000000, "min"), (1000000, "s"), (1000, "ms")):
        if us >= (2 * size if size > 1000000 else size):
            return "%s %s" % (_short(us / size), name)
    return "%d us" % us


def sampling(f):
    """ "50 Hz, gaps to 2.1 s"."""
    usual = f["period_us"]
    if not usual:
        return "no two samples yet"
    if usual < 1900000:
        rate = "%s Hz" % _short(1000000 / usual)
    else:
        rate = "a sample every %s" % duration(usual)
    if f["near"] < f["others"]:
        text = "irregular, %s to %s" % (duration(f["shortest_us"]), duration(f["longest_us"]))
    elif f["longest_us"] > 3 * usual:
        text = "%s, gaps to %s" % (rate, duration(f["longest_us"]))
    else:
        text = rate
    return text


def fault(seconds, times, text):
    """A line of the log."""
    return "%6d s  %s%s" % (seconds, text, " (%d times)" % times if times > 1 else "")


def events(f):
    """Lines on the figures of a log of events."""
    raw, sent = f["raw_bytes"], f["sent_bytes"]
    share = ", %.1f %% of the %d of the samples" % (100 * sent / raw, raw) if raw else ""
    withheld = ", %d withheld by the policy" % f["withheld"] if f["withheld"] else ""
    lines = [
        ("events", "%d delivered, %d waiting, %d missed, %d dropped%s" % (
            f["delivered"], f["waiting"], f["missed"], f["dropped"], withheld)),
        ("sent", "%d bytes%s" % (sent, share)),
    ]  # fmt: skip
    for sink in f["sinks"]:
        lines.append(("to", sink["kind"] + (": " + sink["problem"] if sink["problem"] else "")))
    return lines


def adapted(f):
    """What a wearer taught."""
    if f["problem"]:
        return "no: " + f["problem"]
    counted = ["%s %d" % pair for pair in f["examples"] if pair[1]]
    text = "by %s" % ", ".join(counted) if counted else "by nothing yet"
    if f["teaching"] or f["pieces"]:
        text += "; %d quarters of a window wait for taught()" % f["pieces"]
    if f["dropped"]:
        text += ", %d had no room" % f["dropped"]
    return text + ("; now %s" % f["teaching"] if f["teaching"] else "")


def _alarm(entry):
    """A line of the history of alarms."""
    start, seconds, utc, lasted, highest, level, seen = entry
    at = "%d s after start %d" % (seconds, start + 1)
    if utc:
        at += ", %d s UTC" % utc
    return "%s: %d s, up to %d over %d%s" % (
        at, lasted, highest, level, ", acknowledged" if seen else "")  # fmt: skip


def alarm(f):
    """Lines on the figures of an alarm."""
    if f["state"] == "learning":
        text = "learning (%s), %d of %d blocks" % (f["learns"], f["blocks"], f["of"])
    else:
        text = "%s, %d of %d, %d so far" % (f["state"], f["value"], f["level"], f["alarms"])
    if not f["allowed"]:
        text += ", not in a state to watch"
    if "name" in f:
        text = "%s: %s" % (f["name"], text)
    return [("alarm", text)] + [("", _alarm(entry)) for entry in f["history"]]


def status(f):
    """All lines of `figures`."""
    counted = ["%s %d" % pair for pair in f["decisions"]]
    lines = [
        ("model", "%s (%s), sha256 %s, %s engine" % (
            f["model"], f["cells"], f["sha256"][:12], f["engine"])),
        ("state", f["state"]),
        ("sampling", sampling(f)),
        ("samples", "%d, %d lost before, %d faults, %d restarts" % (
            f["samples"], f["dropped"], f["faults"], f["restarts"])),
        ("times", "%d longer than the model knows (clamped)" % f["clamped"]),
        ("a step", "p50 %s, p95 %s, max %s" % tuple(
            [duration(f[key]) for key in ("p50_us", "p95_us", "max_us")])),
        ("memory", "%d bytes used, %d free" % (f["used"], f["free"])),
        ("up", duration(f["seconds"] * 1000000) if f["seconds"] else "less than a second"),
    ]  # fmt: skip
    if counted:
        now = "%s, margin %d" % (f["decision"], f["margin"])
        lines[6:6] = [("decisions", ", ".join(counted)), ("now", now)]
    alarms = f["alarm"]
    for each in alarms if isinstance(alarms, list) else [alarms] if alarms else []:
        lines += alarm(each)
    if f["adapt"]:
        lines.append(("adapted", adapted(f["adapt"])))
    if f["events"]:
        lines += events(f["events"])
    return "\n".join(["%-10s %s" % line for line in lines])
