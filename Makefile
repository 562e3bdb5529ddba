# Everything happens in .venv; `make setup` makes it and may be run again at any time.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test gpu slow lint setup clean

demo: setup
	$(BIN)/edgekd demo --out demo

# A module's tests stay together, since they share what took long to make.
test: setup lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

gpu: setup
	$(BIN)/pytest -m gpu

slow: setup
	$(BIN)/pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo runs
