"""Beats of a heart from an analogue front end: how many of each kind, at every hundredth."""

import ulnn_app


def count(app):
    decisions = app.figures()["decisions"]
    if sum([n for _, n in decisions]) % 100 == 0:
        print(", ".join(["%d %s" % (n, name) for name, n in decisions]))


ulnn_app.run("settings.json", on_decision=count)
