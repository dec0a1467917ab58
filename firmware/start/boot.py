# Runs first. Ctrl-C interrupts whatever comes, and errors in interrupt handlers can be read.
import micropython

micropython.kbd_intr(3)
micropython.alloc_emergency_exception_buf(100)
