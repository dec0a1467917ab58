"""Gestures from an MPU-6050: which one each decision is, and how sure it is."""

import ulnn_app


def tell(app):
    gesture = app.decider
    if gesture.decision >= 0:
        print("%s (margin %d)" % (gesture.label, gesture.margin))


ulnn_app.run("settings.json", on_decision=tell)
