# Starts the app. Ctrl-C in the first second gives the prompt before anything has started, and a
# file `stop` beside this one keeps it from starting at all. Change it as you like: `ulnn deploy`
# replaces only what it has put here itself.
import os
import time

try:
    os.stat("stop")
    print("The app does not start: there is a file stop")
except OSError:
    print("The app starts in a second; Ctrl-C gives the prompt")
    time.sleep(1)
    import ulnn_app

    ulnn_app.run("settings.json")
