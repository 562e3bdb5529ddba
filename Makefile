# Everything happens in .venv; `make setup` makes it and may be run again at any time.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test gpu slow lint docs setup clean

demo: setup
	$(BIN)/edgekd demo --out demo

# A module's tests stay together, since they share what took long to make.
test: setup lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

gpu: setup
	$(BIN)/pytest -m gpu

slow: setup
	$(BIN)/pytest -m slow

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

clean:
	rm -rf .venv demo runs site
