# Every command of the project. `make` alone prints them.
# Each target installs what it misses: Python packages from the locks into .venv, console assets from npm,
# Debian packages through apt when root. A second run finds the stamps and starts at once.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
BIN := .venv/bin
MACHINE := $(PYTHON) tools/machine.py
STATIC := gongshu/console/static
RUN_STAMP := .venv/stamp-run
DEV_STAMP := .venv/stamp-dev
STATIC_STAMP := $(STATIC)/stamp
JOINT_STAMP := .venv-joint/stamp
JOB_STAMP := .venv-job/stamp
SPARK_STAMP := .venv-spark/stamp
FUZZ_STAMP := build/fuzzer/stamp

TEST_KINDS := $(sort $(filter-out __pycache__,$(notdir $(patsubst %/,%,$(wildcard tests/*/)))))
CODE := $(wildcard gongshu tests tools benchmarks examples)
COMPILE := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

# PYTEST_ARGS passes more to pytest, for example: make test-rules PYTEST_ARGS='-k grants -x'
PYTEST_ARGS ?=
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup setup-job setup-joint setup-spark demo example-gateways check fix lock bench clean test test-spark torture fuzz soak

help: ## Print the commands
	@sed -nE 's/^([a-z%<>-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-16s %s\n' "$${name/\%/<kind>}" "$$text"; done
	@echo
	@echo '  kinds: $(TEST_KINDS)'

# ------------------------------------------------------------------------------------------------------ set-up

setup: $(DEV_STAMP) $(STATIC_STAMP) ## Install everything a developer needs

$(RUN_STAMP): requirements.lock requirements.in pyproject.toml tools/machine.py
	@$(MACHINE) run
	@test -x $(BIN)/python || { echo 'Making .venv …'; $(PYTHON) -m venv .venv; }
	@echo 'Installing Python packages from requirements.lock …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	@echo 'Installing developer packages from requirements-dev.lock …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(STATIC_STAMP): frontend/package-lock.json frontend/.npmrc frontend/copy-assets.mjs frontend/icons.txt $(shell find frontend/src -type f 2>/dev/null)
	@command -v npm >/dev/null || { echo 'Node and npm are missing; run: sudo apt-get install nodejs npm' >&2; exit 1; }
	@if [ frontend/package-lock.json -nt frontend/node_modules/.package-lock.json ]; then \
		echo 'Installing console assets from npm …'; \
		npm --prefix frontend ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; fi
	@node frontend/copy-assets.mjs $(STATIC)
	@touch $@

setup-joint: $(JOINT_STAMP) ## Install joint computing (SPU, about 1 GB) in an environment of its own

$(JOINT_STAMP): requirements-joint.lock
	@test -x .venv-joint/bin/python || { echo 'Making .venv-joint …'; $(PYTHON) -m venv .venv-joint; }
	@echo 'Installing Python packages from requirements-joint.lock …'
	@.venv-joint/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-joint.lock
	@touch $@

setup-job: $(JOB_STAMP) ## Install the environment of Python jobs (about 0.9 GB)

# The lock is kept inside: its digest names the image that a job was frozen with.
$(JOB_STAMP): requirements-job.lock
	@test -x .venv-job/bin/python || { echo 'Making .venv-job …'; $(PYTHON) -m venv .venv-job; }
	@echo 'Installing Python packages from requirements-job.lock …'
	@rm -f .venv-job/requirements-job.lock
	@.venv-job/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-job.lock
	@cp requirements-job.lock .venv-job/requirements-job.lock
	@touch $@

setup-spark: $(SPARK_STAMP) ## Install Spark (cluster and client, about 700 MB) in an environment of its own

$(SPARK_STAMP): requirements-spark-cluster.lock
	@$(MACHINE) spark
	@test -x .venv-spark/bin/python || { echo 'Making .venv-spark …'; $(PYTHON) -m venv .venv-spark; }
	@echo 'Installing Python packages from requirements-spark-cluster.lock …'
	@.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark-cluster.lock
	@touch $@

# --------------------------------------------------------------------------------------------------------- run

demo: $(RUN_STAMP) $(STATIC_STAMP) ## Play the story in a synthetic city and open the console on http://127.0.0.1:8000
	@$(BIN)/gongshu demo $(DEMO_ARGS)

example-gateways: $(RUN_STAMP) $(JOB_STAMP) ## Run three gateways behind HAProxy, kill one under load, tell what happened
	@$(MACHINE) balancer
	@$(BIN)/python -m examples.three_gateways

bench: $(DEV_STAMP) $(JOB_STAMP) ## Measure against the limits of this machine; writes build/bench.json
	@$(MACHINE) bench
	@mkdir -p build
	@$(BIN)/python -m benchmarks

# ------------------------------------------------------------------------------------------------------- tests

test: $(DEV_STAMP) $(JOB_STAMP) $(JOINT_STAMP) $(STATIC_STAMP) ## Run all tests: SQLite, PostgreSQL, browser
	@$(MACHINE) test
	@$(PYTEST) -n $(JOBS) --dist loadfile $(PYTEST_ARGS) tests

# The whole of it: `make test` runs a part, and only where Spark is installed.
test-spark: $(DEV_STAMP) $(SPARK_STAMP) ## Compare DuckDB with a Spark cluster started on loopback
	@GONGSHU_TEST_SPARK=all $(PYTEST) $(PYTEST_ARGS) tests/spark

# The whole of it: `make test` runs a part.
test-joint: $(DEV_STAMP) $(JOINT_STAMP) $(STATIC_STAMP) ## Let two parties' nodes compute together, fail, and lie
	@$(MACHINE) test --advise
	@GONGSHU_TEST_JOINT=all $(PYTEST) $(PYTEST_ARGS) tests/joint

# The whole of it: `make test` runs a part.
torture: $(DEV_STAMP) $(STATIC_STAMP) ## Kill the gateway 1 000 times, cut its power, fill its disk, turn its clock (half an hour)
	@GONGSHU_KILLS=$${GONGSHU_KILLS:-1000} GONGSHU_FAULT_RUNS=$${GONGSHU_FAULT_RUNS:-4000} \
		$(PYTEST) -s $(PYTEST_ARGS) tests/durability

$(FUZZ_STAMP): requirements-fuzz.lock
	@echo 'Installing the fuzzer from requirements-fuzz.lock …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --upgrade --target build/fuzzer -r requirements-fuzz.lock
	@touch $@

# The whole of it: `make test` runs a part.
soak: $(DEV_STAMP) $(STATIC_STAMP) ## Watch the memory of a gateway under load for ten minutes
	@GONGSHU_SOAK_SECONDS=$${GONGSHU_SOAK_SECONDS:-600} $(PYTEST) -s $(PYTEST_ARGS) tests/durability/test_delivery_soak.py

# The whole of it: `make test` runs a part. What breaks a promise is kept in build/fuzz as a file of its own.
FUZZ_SECONDS ?= 600
fuzz: $(DEV_STAMP) $(FUZZ_STAMP) ## Ask the gateway hostile things for ten minutes, led by coverage
	@mkdir -p build/fuzz/corpus
	@GONGSHU_FUZZ_EXAMPLES=5000 $(PYTEST) -q $(PYTEST_ARGS) tests/http/test_delivery_fuzz.py
	@PYTHONPATH=build/fuzzer $(BIN)/python -m tests.fuzz_gateway build/fuzz/corpus \
		-max_total_time=$(FUZZ_SECONDS) -max_len=400 -artifact_prefix=build/fuzz/

test-%: $(DEV_STAMP) $(JOB_STAMP) $(STATIC_STAMP) ## Run one folder of tests
	@$(MACHINE) test --advise
	@test -d tests/$* || { echo 'There is no tests/$*; kinds: $(TEST_KINDS)' >&2; exit 2; }
	@$(PYTEST) $(PYTEST_ARGS) tests/$*

# ------------------------------------------------------------------------------------------------------ checks

check: $(DEV_STAMP) ## Check format, lint, types, import contracts, generated files and locks; changes nothing
	@failed=(); \
	try() { echo "— $$*"; "$$@" || failed+=("$$*"); }; \
	try $(BIN)/ruff format --check --quiet $(CODE); \
	try $(BIN)/ruff check --quiet $(CODE); \
	try $(BIN)/mypy --strict gongshu; \
	try $(BIN)/lint-imports --no-cache --no-logo; \
	try $(BIN)/python tools/generate.py --check; \
	try $(BIN)/python tools/locks.py; \
	if (($${#failed[@]})); then printf 'failed: %s\n' "$${failed[@]}" >&2; exit 1; fi; \
	echo 'all checks passed'

fix: $(DEV_STAMP) ## Repair what a machine can: format, lint, generated files
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)
	@$(BIN)/python tools/translations.py
	@$(BIN)/python tools/generate.py

# Pins stay as they are where they still fit; LOCK_ARGS=--upgrade takes the newest.
LOCK_ARGS ?=

lock: $(DEV_STAMP) ## Rewrite the locks from requirements*.in and package.json
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements.lock requirements.in
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements-dev.lock requirements-dev.in
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements-joint.lock requirements-joint.in
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements-job.lock requirements-job.in
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements-spark-cluster.lock requirements-spark-cluster.in
	@$(COMPILE) $(LOCK_ARGS) --output-file requirements-fuzz.lock requirements-fuzz.in
	@npm --prefix frontend install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error

clean: ## Remove what set-up and runs have made, except var/
	@rm -rf .venv .venv-job .venv-joint .venv-spark build dist frontend/node_modules $(STATIC) .mypy_cache .ruff_cache .pytest_cache .hypothesis
