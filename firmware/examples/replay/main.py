"""A recording instead of a sensor: what the model decides about it, and what it took."""

import ulnn_app

ulnn_app.run("settings.json")
ulnn_app.status()
