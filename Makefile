# humpback's commands for people. `make demo` and `make test` need only Python 3.11+, git and make on
# Debian or Ubuntu; deploy/bootstrap.sh brings the rest.

DEMO_DIR ?= demo
CACHE_DIR ?= .cache

BIN := .venv/bin
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv)
CODE := jobs transforms model_ops schemas expectations tests benchmarks docs

DEMO_RECIPE = --recipe jobs/recipes/demo.toml --lake $(DEMO_DIR)/lake \
	--set 'base_model="$(DEMO_DIR)/base"' \
	--set 'ingest_documents.paths=["$(DEMO_DIR)/corpus/*.warc.gz"]' \
	--set 'ingest_conversations.paths=["$(DEMO_DIR)/corpus/seed.jsonl"]'

.DEFAULT_GOAL := help
.PHONY: help demo test unit mutants docs lint format bootstrap

help: ## say what each target does
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: bootstrap ## the whole loop on real pages with a real model, ending in DEMO_DIR/report.html
	@$(MAKE) --no-print-directory --jobs=2 $(DEMO_DIR)/base $(DEMO_DIR)/corpus
	@$(BIN)/humpback run $(DEMO_RECIPE) --report $(DEMO_DIR)/report.html

.PHONY: $(DEMO_DIR)/base $(DEMO_DIR)/corpus
$(DEMO_DIR)/base:
	@$(BIN)/python -m model_ops.training.base_model --out $@

$(DEMO_DIR)/corpus:
	@$(BIN)/python -m jobs.demo --out $@ --cache $(CACHE_DIR)/packages

# Neither Spark's tests nor a model's keep two cores busy, so one process has the models while the other begins with Spark.
test: bootstrap ## every check: style, types, import rules, lock, and all tests, those without a JVM first
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint unit
	@$(BIN)/python -m pytest -q --ignore tests/unit --numprocesses 2

unit: bootstrap ## the tests that need no JVM
	@$(BIN)/python -m pytest -q tests/unit

mutants: bootstrap ## change the code that keeps the contract in many places, one at a time, and name what no test notices
	@$(UV) sync --quiet --locked --inexact --group mutants
	@$(BIN)/mutmut run
	@$(BIN)/mutmut results | sed '/: no tests$$/d'

docs: bootstrap ## the documentation as a site, docs/_build/index.html; a warning is an error
	@$(UV) sync --quiet --locked --inexact --group docs
	@$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs docs/_build

lint: bootstrap ## style, types, import rules and the lock file
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(UV) lock --check

format: bootstrap ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

bootstrap: ## bring uv, Java and the locked environment, where they are missing
	@deploy/bootstrap.sh
