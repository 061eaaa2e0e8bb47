# beautyrec: `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo month test test-spark check format feature-page docs bench peers clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install the package with everything it can use

$(STAMP): pyproject.toml constraints.txt
	@echo "installing beautyrec and what it uses into $(VENV) (some minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@

demo: $(STAMP) ## the main job: from a log to a line-up, with a report
	$(BIN)/beautyrec demo

month: $(STAMP) ## the tuning month over the simulated Beauty shop
	$(BIN)/beautyrec tune configs/month.toml

test: $(STAMP) ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not spark"

# PySpark is 470 MB, so it comes into .venv with the first run of these tests; without Java they are skipped, and it is not.
SPARK := $(VENV)/.spark
JAVA := $(shell command -v java || ls "$$JAVA_HOME/bin/java" 2>/dev/null)

test-spark: $(STAMP) $(if $(JAVA),$(SPARK)) ## the same features and lists on one machine and on Spark (Java 17 or 21)
	$(BIN)/python -m pytest -m spark -rs tests/features tests/data tests/serving tests/test_engine.py

$(SPARK): pyproject.toml constraints.txt | $(STAMP)
	@echo "installing PySpark into $(VENV) (470 MB, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'
	@touch $@

check: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

feature-page: $(STAMP) ## write docs/features.md from the code
	$(BIN)/python -m beautyrec.features.catalogue > docs/features.md

docs: $(STAMP) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP) ## every benchmark in full; results go to benchmarks/results/
	$(BIN)/python -m benchmarks

# A peer is one text file of requirements; NAME-no-deps.txt beside it lists what is installed without its own.
PEERS := $(patsubst benchmarks/peers/%.txt,.peers/%/.installed,$(filter-out %-no-deps.txt,$(wildcard benchmarks/peers/*.txt)))

peers: $(PEERS) ## environments of other libraries, for benchmarks that run beside them

.peers/%/.installed: benchmarks/peers/%.txt
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	if [ -f benchmarks/peers/$*-no-deps.txt ]; then .peers/$*/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --ignore-requires-python -r benchmarks/peers/$*-no-deps.txt; fi
	@touch $@

clean: ## remove what was built (not .venv)
	rm -rf build dist site .pytest_cache .ruff_cache experiments/demo experiments/beauty-month/run
