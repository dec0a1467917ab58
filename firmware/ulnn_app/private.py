"""What the policy of an app lets it see and show."""


class Private:
    """policy: the one in the file `path`. Raises ValueError; its text begins with `where`."""

    def __init__(self, path, where):
        try:
            from ulnn_rules.mask import load  # not on every board

            self.policy = load(path)
        except (ImportError, ValueError) as e:
            raise ValueError("%s.policy: %s" % (where, e)) from None
        self._names = {}

    def source(self, source):
        """A source as the network may see it."""
        from ulnn_sources.masked import Masked

        return Masked(source, self.policy, "network")

    def _logged(self, field, value, without):
        return self.policy.filter({field: value}, "log").get(field, without)

    def _name(self, name):
        if name not in self._names:
            self._names[name] = self._logged("what", name, "withheld")
        return self._names[name]

    def decision(self, label, margin):
        """The last decision as it may be logged; a name that may not be is "withheld"."""
        return self._name(label), self._margin(margin)

    def figures(self, f):
        """Mask those of an app, where they are; decisions that are withheld are counted as one."""
        f["decision"], f["margin"] = self.decision(f["decision"], f["margin"])
        counts = {}
        for label, n in f["decisions"]:
            name = self._name(label)
            counts[name] = counts.get(name, 0) + n
        f["decisions"] = [(name, counts[name]) for name in counts]
        alarms = f["alarm"]
        for a in alarms if isinstance(alarms, list) else [alarms] if alarms else []:
            for key in ("name", "state"):
                if key in a:
                    a[key] = self._name(a[key])
            for key in ("score", "value", "level"):
                a[key] = self._margin(a[key])
            a["history"] = [
                e[:4] + (self._margin(e[4]), self._margin(e[5]), e[6])  # noqa: RUF005, not on boards
                for e in a["history"]
            ]

    def _margin(self, value):
        return self._logged("margin", value, 0)
