# Needs GNU make and Python 3.11 or later; everything else is installed into .venv,
# pinned and checked by hash. Another Python: make run PYTHON=python3.13

PYTHON ?= python3
# Processes that run tests: as many as there are processors, or a number; 0 is this one.
WORKERS ?= auto
BIN := .venv/bin
ROOMS := cloud contributor_tools ingest maintainer_tools vault
SOURCES = $(shell find $(ROOMS) tests -type f -not -name '*.pyc')

# Debian's packages, each with the program of its name.
CEPH := ceph-mon ceph-osd ceph-mgr radosgw
INSTALL_CEPH = (for program in $(CEPH); do command -v $$program || exit 1; done) >/dev/null || \
	{ apt-get update && apt-get install --yes --no-install-recommends $(CEPH); }

.DELETE_ON_ERROR:
.PHONY: run store test test-stores test-template install check mutants storm storm-record store-faults store-faults-record power-cuts fault-sweep fuzz soak lock clean help
.PHONY: bench bench-collect bench-function bench-growth bench-overload bench-peers bench-proof bench-timing chart

run: .venv/run.stamp  ## Make a demo pod if there is none and serve it on this machine
	@$(BIN)/shared-pod demo demo-pod

store: .venv/all.stamp  ## Serve an object store in memory on this machine, for trying; keys in store.credentials
	@$(BIN)/python -m tests.support.store_to_try

test: .venv/all.stamp  ## Run every test, measuring what they cover
	@rm -f .coverage
	@$(MAKE) --no-print-directory .coverage

test-template: .venv/all.stamp .venv/template.stamp  ## Test template.yaml also as it is transformed when it is deployed
	$(BIN)/python -m pytest tests/cloud/test_template.py

test-stores: .venv/all.stamp .venv/stores/made.stamp  ## Test with real stores; installs Ceph from Debian if it is not there, as root
	@$(INSTALL_CEPH)
	$(BIN)/python -m pytest tests/stores

install: .venv/all.stamp  ## Put the command, all extras and the tools into .venv

check: .venv/all.stamp  ## Format, lint, types, architecture, coverage; tests first if they are out of date
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory .coverage
	$(BIN)/coverage report --include='vault/*' --fail-under=100
	$(BIN)/coverage report --omit='vault/*' --fail-under=85
	if [ -f template.yaml ]; then $(BIN)/cfn-lint template.yaml; fi

bench: .venv/all.stamp  ## Print the speed of a real server, beside handlers that store nothing
	$(BIN)/python -m benchmarks.ingest

bench-proof: .venv/all.stamp  ## Print what receipts, client ids and an audit cost
	$(BIN)/python -m benchmarks.proof

bench-collect: .venv/all.stamp  ## Print what segments cost: making one, and collecting many
	$(BIN)/python -m benchmarks.collect

bench-function: .venv/all.stamp  ## Print how fast a function starts, and takes an item, in its real runtime
	$(BIN)/python -m benchmarks.function

bench-peers: .venv/all.stamp .venv/peers/base  ## Print its speed beside PocketBase, which is built first and needs Go
	$(BIN)/python -m benchmarks.peers .venv/peers/base

bench-growth: .venv/all.stamp  ## Fill one vault with ITEMS items, and print what each size costs; resumable
	$(BIN)/python -m benchmarks.growth --items $(or $(ITEMS),1000000) --ids $(or $(IDS),ordered) \
	  --folder $(or $(FOLDER),growth)

chart: .venv/all.stamp  ## Draw docs/growth.svg again from docs/growth.json
	$(BIN)/python -m benchmarks.chart

soak: .venv/all.stamp  ## Load a server for MINUTES, and see that nothing is lost and nothing grows
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),60)

bench-overload: .venv/all.stamp  ## Print what floods do to somebody else's items
	$(BIN)/python -m benchmarks.overload

mutants: .venv/all.stamp  ## Take every defence out once, and show that its test notices
	$(BIN)/python -m tests.mutants

storm: .venv/all.stamp  ## Kill a loaded server KILLS times (SEED=...), and count what is left
	$(BIN)/python -m tests.storm --kills $(or $(KILLS),200) --seed $(or $(SEED),storm)

storm-record: .venv/all.stamp  ## Put what the storm's ledger says into docs/durability.md
	$(BIN)/python -m tests.storm --record

store-faults: .venv/all.stamp  ## ROUNDS of failing stores (STORE=ceph), networks and clocks (SEED=...), and count what is left
	@[ "$(STORE)" != ceph ] || { $(INSTALL_CEPH); }
	$(BIN)/python -m tests.store_faults --rounds $(or $(ROUNDS),1) --seed $(or $(SEED),store) \
	  --store $(or $(STORE),moto) $(addprefix --items ,$(ITEMS)) $(addprefix --kills ,$(KILLS))

store-faults-record: .venv/all.stamp  ## Put what their ledger says into docs/durability.md
	$(BIN)/python -m tests.store_faults --record

bench-timing: .venv/all.stamp  ## Print what the time of a refusal tells about its reason
	$(BIN)/python -m benchmarks.timing

power-cuts: .venv/all.stamp  ## Cut the power of real runs CUTS times (SEED=...), and count what is lost
	$(BIN)/python -m tests.power --cuts $(or $(CUTS),200) --seed $(or $(SEED),power)

fault-sweep: .venv/all.stamp  ## Fail every call the vault's files are touched by, once each, and look at what is left
	$(BIN)/python -m tests.power --faults

fuzz: .venv/all.stamp .venv/fuzz.stamp  ## Feed every parser, and the door, for MINUTES minutes (TARGET=... SEED=...)
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1) \
	  $(addprefix --target ,$(TARGET)) $(if $(KEEP),--keep)

lock: .venv/all.stamp  ## Write requirements/ again from pyproject.toml; LOCK=--upgrade takes new versions
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) \
	  --extra aws --extra dev --extra export --extra serve \
	  --output-file requirements/all.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --extra serve \
	  --constraint requirements/all.txt --output-file requirements/run.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --extra aws --extra serve \
	  --constraint requirements/all.txt --output-file requirements/image.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --extra fuzz \
	  --constraint requirements/all.txt --output-file requirements/fuzz.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --extra template \
	  --constraint requirements/all.txt --output-file requirements/template.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --no-config --extra aws \
	  --generate-hashes --strip-extras --no-emit-options \
	  --constraint requirements/all.txt --output-file requirements/function.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet $(LOCK) --no-config \
	  --generate-hashes --strip-extras --allow-unsafe --no-emit-options \
	  --output-file requirements/stores.txt requirements/stores.in

clean:  ## Remove everything made here but pods
	rm -rf .venv .coverage .coverage.* .fuzz .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf build dist *.egg-info
	find $(ROOMS) tests benchmarks -name __pycache__ -exec rm -rf {} +

help:  ## Print this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

# The data of the last whole test run. It is as good as the sources it measured.
.coverage: .venv/all.stamp $(SOURCES) pyproject.toml
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/coverage combine --quiet

.venv/peers/base: .venv/made.stamp
	GOBIN=$(CURDIR)/.venv/peers go install github.com/pocketbase/pocketbase/examples/base@v0.36.8

# Stores for tests have an environment of their own: they are started, not imported.
.venv/stores/made.stamp: requirements/stores.txt .venv/made.stamp
	@echo "Installing $< into .venv/stores ..."
	@$(BIN)/python -m venv --clear .venv/stores
	@.venv/stores/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/%.stamp: requirements/%.txt pyproject.toml .venv/made.stamp
	@echo "Installing requirements/$*.txt into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or later is needed. Name one: make $(MAKECMDGOALS) PYTHON=python3.13'; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@touch $@
