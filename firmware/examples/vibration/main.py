"""Vibration of a machine from an analogue accelerometer: a lamp while something is wrong."""

import machine

import ulnn_app

lamp = machine.Pin(15, machine.Pin.OUT, value=0)


def show(app):
    lamp.value(app.decider.decision > 0)  # class 0: all is well
    print(app.decider.label)


ulnn_app.run("settings.json", on_decision=show)
