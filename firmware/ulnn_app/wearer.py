"""What a wearer teaches an app: examples of classes, checked, learnt, and kept in a file."""

from ulnn_rules.centres import Centres
from ulnn_rules.session import PARTS, Session

_WINDOWS = 3  # of each class, for which a session has room
_LEAST = 64  # pieces, where there are few classes


def centres_of(model, where):
    """The `Centres` of a model's file. Raises ValueError; its text begins with `where`."""
    try:
        return Centres(model)
    except ValueError as e:
        raise ValueError("%s.adapt: %s" % (where, e)) from None


class Wearer:
    """path: of the file of what was learnt. model: the model's path.

    centres: for the `Decider`, which `use` gets then. problem: why what is in the file was not
    taken, or "". teaching: the class whose examples come now, or -1.
    """

    def __init__(self, path, model, where):
        self._path, self._where = path, where
        self.centres = centres_of(model, where)
        self.problem = ""
        try:
            self.centres.load(path)
        except ValueError as e:
            self.problem = str(e)
        self.teaching = -1
        self._before = None

    def use(self, decider):
        """Teach what this decides. Raises ValueError where its windows cannot be examples."""
        self._decider = decider
        most = max(_LEAST, _WINDOWS * PARTS * len(decider.y))
        try:
            self._session = Session(self.centres, decider, most)
        except ValueError as e:
            raise ValueError("%s.adapt: %s" % (self._where, e)) from None

    def names(self):
        """Of the classes."""
        return list(self._decider.labels) or [str(k) for k in range(len(self._decider.y))]

    def teach(self, label):
        """What follows are examples of this class (its name or number), from a new window on.
        Raises ValueError for another one."""
        names = self.names()
        c = label if isinstance(label, int) else names.index(label) if label in names else -1
        if not 0 <= c < len(names):
            raise ValueError("no class %s: the model has %s" % (label, ", ".join(names)))
        self._decider.reset()
        self._session.begin(c)
        self.teaching = c

    def add(self, decider, dt, ended):
        """A step was made. Allocates nothing."""
        if self.teaching >= 0:
            self._session.add(decider.y, dt, ended)

    def taught(self):
        """Learn from the examples since the first `teach`, unless they make decisions about each
        other worse, and save it. Whether they were learnt."""
        self.teaching = -1
        before = self.centres.keep()
        if not self._session.finish():
            return False
        self._before = before
        self._save()
        return True

    def undo(self):
        """Drop the examples that are not learnt yet; without any, what was learnt last, which can
        be undone once. Whether there was something."""
        if self._session.pieces or self.teaching >= 0:
            self._drop()
            return True
        if self._before is None:
            return False
        self.centres.restore(self._before)
        self._before = None
        self._save()
        return True

    def reset(self):
        """Decide as the model does for everybody."""
        self.forget()
        self._save()

    def forget(self):
        """As `reset`; the file stays as it is."""
        self._drop()
        self._before = None
        self.centres.reset()

    def _drop(self):
        self.teaching = -1
        self._session.clear()

    def _save(self):
        self.centres.save(self._path)
        self.problem = ""

    def figures(self):
        """Numbers and texts for `ulnn_app.figures`."""
        names = self.names()
        return {
            "examples": list(zip(names, self.centres.counts)),  # noqa: B905, MicroPython
            "teaching": names[self.teaching] if self.teaching >= 0 else "",
            "pieces": self._session.pieces,
            "dropped": self._session.dropped,
            "problem": self.problem,
        }
