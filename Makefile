# The two commands: `make demo` and `make test`. Each does its own set-up, in .venv and build/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= virtual:cortex-m7
BUILD_INPUTS := pyproject.toml setup.py tools/constraints.txt tools/setup.sh native_module/sources.txt \
    $(wildcard native_module/core/* native_module/kernels/* native_module/bindings/cpython/*)
CLAIMS := PYTHONPATH=host:host/bench:native_module/bench $(BIN)/python -m claims
C_SOURCES := native_module boards tests
STUBS := stm32 esp32 rp2
FIRMWARE := $(wildcard firmware/ulnn*.py) firmware/deployment/ulnn_boot.py $(patsubst %/,%,$(wildcard firmware/ulnn_*/))

.PHONY: help setup demo test bench bench-train bench-wired bench-qat bench-start bench-host bench-data bench-line bench-events bench-machines bench-ecg bench-adapt claims check lint firmware-types format picture docs vectors natmods boards \
    dist test-install clean

help:
	@echo "make demo [PORT=/dev/ttyACM0]  train, convert, deploy, stream, prove; writes build/demo/report.html"
	@echo "make test                      every check, on the virtual boards too"
	@echo "make bench [CMSIS_DIR=...]     count every kernel; writes native_module/BENCHMARKS.md"
	@echo "make bench-host                training speed, accuracy of wired networks and of integers;"
	@echo "                               writes host/BENCHMARKS.md (bench-train, bench-wired, bench-qat alone)"
	@echo "make bench-start               how a dense CfC should start; writes host/docs/start.md"
	@echo "make bench-line                the serial line under damage; writes host/docs/line.md"
	@echo "make bench-events              bytes and missed events beside raw; writes host/docs/events.md"
	@echo "make bench-machines            what warns before machines fail; writes host/docs/machines.md"
	@echo "make bench-ecg                 beats of an ECG, found and named; writes host/docs/ecg.md"
	@echo "make bench-adapt               what a wearer teaches, and unknown; writes host/docs/adapt_figures.md"
	@echo "make claims [CLAIM=x] [FULL=1] the article's claims, measured; writes host/CLAIMS.md where FULL"
	@echo "make dist                      source, wheels and packages for mip into dist/"
	@echo "make test-install              what make dist makes, installed and tried where nothing else is"
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

bench-start: setup
	$(BIN)/python host/bench/bench_start.py

bench-host: setup
	$(BIN)/python host/bench/bench_host.py

bench-wired: setup
	$(BIN)/python host/bench/bench_wired.py

bench-data: setup
	$(BIN)/python host/bench/bench_data.py

bench-line: setup
	$(BIN)/python host/bench/bench_line.py

bench-events: setup
	$(BIN)/python host/bench/bench_events.py

bench-machines: setup
	$(BIN)/python host/bench/bench_machines.py

bench-ecg: setup
	$(BIN)/python host/bench/bench_ecg.py

bench-adapt: setup
	$(BIN)/python host/bench/bench_adapt.py

# One seed without FULL=1; COUNT=1: FULL, but of kept trainings alone; PAGE=1: writes the page again.
claims: setup
	$(CLAIMS) $(CLAIM:%=--claim %) $(if $(FULL),--full) $(if $(COUNT),--count) $(if $(PAGE),--page)

# Lint first: it is quick and says the most.
test: setup lint check

lint: setup firmware-types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CLAIMS) --check
	find $(C_SOURCES) -name '*.[ch]' -o -name '*.cpp' | xargs $(BIN)/clang-format --dry-run -Werror

# The stubs of all ports have the same names: each set has a folder.
build/stubs/%/stamp: tools/constraints.txt | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --constraint tools/constraints.txt --target build/stubs/$* micropython-$*-stubs
	touch $@

firmware-types: $(STUBS:%=build/stubs/%/stamp) build/stubs/stdlib/stamp
	for port in $(STUBS); do echo "firmware on $$port:"; \
	    MYPYPATH=build/stubs/$$port:build/stubs/stdlib:build/stubs/stdlib/stdlib:firmware \
	    $(BIN)/mypy --config-file firmware/mypy.ini --cache-dir build/mypy/$$port --custom-typeshed-dir build/stubs/stdlib \
	    $(FIRMWARE) || exit 1; done

check: setup
	ULNN_NO_SKIP=1 $(BIN)/python -m pytest -n logical --dist loadfile --durations=20

# pip downloads what the wheel depends on.
test-install: setup
	ULNN_NO_SKIP=1 $(BIN)/python -m pytest tests/install

dist: setup
	$(BIN)/python tools/make_dist.py

picture: setup
	$(BIN)/python tools/picture.py

docs: setup
	$(BIN)/pdoc --docformat google -o build/docs ulnn_host.api '!ulnn_host.api.TYPE_CHECKING'

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
	find $(C_SOURCES) -name '*.[ch]' -o -name '*.cpp' | xargs $(BIN)/clang-format -i

clean:
	rm -rf build dist $(VENV) host/*.egg-info host/ulnn.*.so
