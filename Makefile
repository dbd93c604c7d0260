# Everything from a bare Python with pip: a virtual environment made by uv from the versions in
# requirements.txt. What is already done is skipped.
PYTHON ?= python3
VENV := .venv
UV := .uv/bin/uv
KEYCASH := $(VENV)/bin/keycash
INSTALLED := $(VENV)/.installed
SUPERSET_VENV := .venv-superset
SUPERSET_INSTALLED := $(SUPERSET_VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed
RACE ?= all
AUDIT := $(UV) tool run --quiet pip-audit@2.10.1 --strict --no-deps --disable-pip \
  --progress-spinner off --requirement

.DEFAULT_GOAL := help
.PHONY: help run up test crash fuzz histories memory bench check audit format lock clean

help: ## Show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(UV):
	@echo "Fetching uv ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv uv

$(INSTALLED): requirements.txt pyproject.toml | $(UV)
	@test -x $(VENV)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@echo "Installing the packages of requirements.txt ..."
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --requirement requirements.txt
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $@

$(SUPERSET_INSTALLED): superset/requirements.txt | $(UV)
	@test -x $(SUPERSET_VENV)/bin/python || $(UV) venv --quiet --python ">=3.11,<3.13" $(SUPERSET_VENV)
	@echo "Installing Superset ..."
	@VIRTUAL_ENV=$(SUPERSET_VENV) $(UV) pip install --quiet --compile-bytecode \
	  --requirement superset/requirements.txt
	@touch $@

# The rivals of the benchmarks, with versions that the platform need not share.
$(BENCH_INSTALLED): benchmarks/requirements.txt | $(UV)
	@test -x $(BENCH_VENV)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BENCH_VENV)
	@echo "Installing the rivals of the benchmarks ..."
	@VIRTUAL_ENV=$(BENCH_VENV) $(UV) pip install --quiet --requirement benchmarks/requirements.txt
	@touch $@

run: $(INSTALLED) ## Run the whole pipeline once, without a UI
	@exec $(KEYCASH) run

up: $(INSTALLED) $(SUPERSET_INSTALLED) ## Start the living platform; Ctrl-C stops it
	@exec $(KEYCASH) up

test: $(INSTALLED) $(SUPERSET_INSTALLED) ## Run the whole test suite
	$(VENV)/bin/pytest --numprocesses auto --maxprocesses 3 --dist loadgroup

crash: $(INSTALLED) ## Kill a load 200 times at random moments, and compare with the model
	KEYCASH_KILLS=200 $(VENV)/bin/pytest keycash_assets_tests/test_crashes.py

fuzz: $(INSTALLED) ## Load 10,000 documents damaged at random, and compare with the model
	KEYCASH_MUTANTS=10000 $(VENV)/bin/pytest -s keycash_assets_tests/test_fuzzing.py

histories: $(INSTALLED) ## Load 500 histories of 40 steps each in every way, and compare with the model
	HYPOTHESIS_PROFILE=long $(VENV)/bin/pytest keycash_assets_tests/test_invariants.py \
	  keycash_assets_tests/test_record_typing.py

bench: $(INSTALLED) $(BENCH_INSTALLED) $(SUPERSET_INSTALLED) ## Race the platform against its rivals; RACE=small runs one
	@exec $(VENV)/bin/python -m benchmarks $(RACE)

memory: $(INSTALLED) ## Load an object of 2 GB, a document of 500 MB and 100,000 objects; show the memory
	KEYCASH_MEMORY=long $(VENV)/bin/pytest -s keycash_assets_tests/test_memory.py

check: $(INSTALLED) ## Check formatting, lint, types and import rules
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# A version that is known to be vulnerable goes first: a service that knows of nothing finds nothing.
audit: | $(UV) ## Ask PyPI whether any version that we install is known to be vulnerable
	@echo "jinja2==2.10" | $(AUDIT) /dev/stdin 2>/dev/null | grep -qE "GHSA|PYSEC|CVE" || { echo \
	  "Nothing was audited: PyPI's vulnerability service (its JSON API)" \
	  "does not answer from here. Run it again where it can be reached." >&2; exit 1; }
	@found=0; for file in requirements.txt superset/requirements.txt benchmarks/requirements.txt; do \
	  echo "$$file"; $(AUDIT) $$file || found=1; done; exit $$found

format: $(INSTALLED) ## Format the code and apply the safe lint fixes
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: | $(UV) ## Write the requirements.txt files anew from pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.10 --extra dev --no-emit-index-url \
	  --no-header --output-file requirements.txt pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.10 --extra bench --no-emit-index-url \
	  --no-header --output-file benchmarks/requirements.txt pyproject.toml

clean: ## Remove the virtual environment and the tools; local data in .keycash stays
	rm -rf $(VENV) $(SUPERSET_VENV) $(BENCH_VENV) .uv build *.egg-info
