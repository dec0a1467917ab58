# Starts the app with the board. Ctrl-C gives the prompt; a key then leaves this program.
import os

import ulnn_app

ulnn_app.run(os.getenv("ULNN_SETTINGS", "/settings.json"))
