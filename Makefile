# Everything happens in .venv; `make setup` makes it and may be run again at any time.
PYTHON ?= python3
# `make lowest` has an environment of its own, with the oldest Python and the oldest packages that edgekd works with.
LOWEST_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python3.10) python3.10)
LOWEST_TESTS ?= tests
# How long `make fuzz` and `make soak` take.
MINUTES ?= 10
SEED ?= 0
BIN := .venv/bin

.PHONY: demo station test gpu slow faults browser screenshots fuzz soak station-soak lowest lint docs setup clean

demo: setup
	$(BIN)/edgekd demo --out demo

# A whole station on the demo's detector and images, with a PLC that is simulated too: a line a part. Ctrl-C ends it.
station: setup
	test -f demo/run/detector.onnx || $(BIN)/edgekd demo --out demo
	$(BIN)/edgekd station --simulate --run demo/run

# A module's tests stay together, since they share what took long to make. Coverage is that of branches. A test that ends
# its process ends the run and is named: with another process in its place, xdist may wait for ever for the rest.
test: setup lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --max-worker-restart 0 --durations 40 --cov --cov-report term

gpu: setup
	$(BIN)/pytest -m gpu

slow: setup
	$(BIN)/pytest -m slow

# Every fault of a station, with real counterparts: a broker, cameras on the network, a full disk. All of its tests, since
# most inject some; those marked `faults` take seconds each and are not in `make test`. One at a time, since they measure
# time; what a machine lacks is skipped with its reason, and fails where EDGEKD_REQUIRE_COUNTERPARTS is 1.
faults: setup
	$(BIN)/pytest -m "not slow and not gpu" --durations 20 tests/station

# The page of a simulated station in a real browser: everything, with a detector that is taught for three minutes. A part
# of it is in `make test`. Needs Chromium.
browser: setup
	$(BIN)/pytest -m "not gpu" --durations 20 tests/browser

screenshots: setup
	test -f demo/run/detector.onnx || $(BIN)/edgekd demo --out demo
	$(BIN)/python .ci/make_screenshots.py --run demo/run docs/images/page

# Minutes of inspecting while faults are injected: every frame accounted for, memory flat. Its full disk needs root.
soak: setup
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --seed $(SEED) --json build/soak.json

# Two stations of one process with their PLCs at full speed while faults are injected. Its full disk needs root.
station-soak: setup
	$(BIN)/python -m tests.station.soak --minutes $(MINUTES) --seed $(SEED) --json build/station_soak.json

# Damaged and odd files for everything that reads files: what is found, and its inputs, goes to build/fuzz.
fuzz: setup
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED) --out build/fuzz

lowest: .venv-lowest/.ready
	.venv-lowest/bin/pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(LOWEST_TESTS)

lint: setup docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The commands' reference is written from the commands; the theme's note about its successor would look like a warning.
docs: setup
	$(BIN)/python .ci/write_cli_reference.py docs/reference/cli.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# pip gives up where the bounds do not fit together.
.venv-lowest/.ready: pyproject.toml .ci/lowest.py
	$(LOWEST_PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check packaging tomli
	.venv-lowest/bin/python .ci/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-lowest/constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-lowest demo runs site
