"""A model whose outputs are values, in the place of a `Decider`: it decides nothing."""

from array import array

from ulnn_rules.decider import UNSURE
from ulnn_rules.readout import Window


class Values:
    """y: outputs of the last step, array('h'). rule: `Meaning` of the file; model: the engine's,
    which is reset at the end of a window if the rule asks for it."""

    labels = ()
    label = ""
    decision = UNSURE
    margin = 0

    def __init__(self, rule, model):
        self.rule = rule
        self.y = array("h", [0] * rule.output_size)
        self.window = Window(rule.readout, rule.output_size, rule.window, rule.ticks)
        self._model = model
        self.reset()

    def reset(self):
        self.window.start()
        self._model.reset()

    def step(self, x, dt):
        """Run the model. Returns None: nothing is decided."""
        self._model.step(x, self.y, dt)
        if self.window.add(self.y, dt):
            self.window.start()
            if self.rule.reset:
                self._model.reset()
