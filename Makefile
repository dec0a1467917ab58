# The two commands: `make demo` and `make test`. Each does its own set-up, in .venv and build/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= virtual:cortex-m7
BUILD_INPUTS := pyproject.toml setup.py tools/constraints.txt tools/setup.sh native_module/sources.txt \
    $(wildcard native_module/core/* native_module/kernels/* native_module/bindings/cpython/*)
C_SOURCES := native_module boards tests

.PHONY: help setup demo test bench bench-train bench-wired bench-qat bench-host check lint format vectors natmods boards clean

help:
	@echo "make demo [PORT=/dev/ttyACM0]  train, convert, deploy, stream, prove; writes build/demo/report.html"
	@echo "make test                      every check, on the virtual boards too"
	@echo "make bench [CMSIS_DIR=...]     count every kernel; writes native_module/BENCHMARKS.md"
	@echo "make bench-host                training speed, accuracy of wired networks and of integers;"
	@echo "                               writes host/BENCHMARKS.md (bench-train, bench-wired, bench-qat alone)"
	@echo "make setup | lint | check | natmods | boards | format | clean"

setup: $(VENV)/stamp

$(VENV)/stamp: $(BUILD_INPUTS)
	PYTHON=$(PYTHON) sh tools/setup.sh $(VENV)
	touch $@

demo: setup
	$(BIN)/python host/examples/watch/demo.py --port $(PORT)

bench: setup
	$(BIN)/python native_module/bench/count.py

bench-train: setup
	$(BIN)/python host/bench/bench_train.py

bench-qat: setup
	$(BIN)/python host/bench/bench_qat.py

bench-host: setup
	$(BIN)/python host/bench/bench_host.py

bench-wired: setup
	$(BIN)/python host/bench/bench_wired.py

# Lint first: it is quick and says the most.
test: setup lint check

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	find $(C_SOURCES) -name '*.[ch]' | xargs $(BIN)/clang-format --dry-run -Werror

check: setup
	ULNN_NO_SKIP=1 $(BIN)/python -m pytest

vectors: setup
	cd tests && ../$(BIN)/python -m support.make_vectors

natmods: setup
	$(BIN)/python -m ulnn_host.toolchain.natmod

boards: setup
	$(BIN)/ulnn boards build cortex-m7
	$(BIN)/ulnn boards build rv32

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find $(C_SOURCES) -name '*.[ch]' | xargs $(BIN)/clang-format -i

clean:
	rm -rf build $(VENV) host/*.egg-info host/ulnn.*.so
