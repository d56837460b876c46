# Everything a person does here by name. `make` lists the targets.
# .venv and what is in it appear by themselves, and only when a lock file changed: no target needs preparation.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps
LIGHT := $(VENV)/.installed-light
FULL := $(VENV)/.installed-full
DEV := $(VENV)/.installed-dev

# A .venv whose Python does not run any more, because that Python was removed, is made anew.
ifneq ($(shell $(PY) -c 'print("runs")' 2>/dev/null),runs)
$(shell rm -f $(PY) $(VENV)/.installed-*)
endif

.DEFAULT_GOAL := help
.PHONY: help install install-light run-light run-full test test-all check format lint types layers schema-drift fix bench schema migration \
	lock test-client attack siege kill-loop cluster-loop outage-loop roll-loop roaming-loop clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(DEV) ## .venv with everything needed to run, test and develop

install-light: $(LIGHT) ## .venv with what the light server needs at run time

# ---- run -------------------------------------------------------------------------------------------------

run-light: $(LIGHT) ## the server for one household: SQLite and a local folder, nothing else to install
	@exec $(PY) -m happy serve --flavor light

run-full: $(FULL) ## the server for many: PostgreSQL, Redis, S3 (settings: docs/operating.md)
	@exec compose/run-full

# ---- test and check --------------------------------------------------------------------------------------

# The full flavor's tests are those that need PostgreSQL and Redis; all others are the light one's.
SELECTED_light := not services
SELECTED_full := services
PYTEST = $(if $(filter-out light full,$(flavor)),$(error flavor: expected light or full))$(PY) -m pytest
# Compiled tests are kept, whatever the shell says: to compile them again takes each process ten seconds.
unexport PYTHONDONTWRITEBYTECODE
# Tests wait for disks, servers and time limits for half of their time: one process more than there are cores.
PARALLEL := --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses 4 --dist worksteal

# What t names runs whole, slow or not, and in one process unless t says `-n 2`: it can be debugged and its output seen.
test: $(DEV) ## the tests of every day, in 4 minutes; some: make test flavor=light (or full), make test t="tests/unit -k token"
ifdef t
	@exec $(PYTEST) $(if $(flavor),-m "$(SELECTED_$(flavor))") $(t)
else
	@$(PYTEST) $(PARALLEL) -m "not slow$(if $(flavor), and $(SELECTED_$(flavor)))"; code=$$?; \
		echo 'Slow tests (kill -9, outages, proxies, fuzzing, most of what needs servers of its own) were left out: make test-all runs all.'; exit $$code
endif

test-all: $(DEV) ## all tests, the long proofs too: what continuous integration runs; flavor=light (or full)
	@exec $(PYTEST) $(PARALLEL) $(if $(flavor),-m "$(SELECTED_$(flavor))")

check: format lint types layers schema-drift limits-drift man-drift ## what must hold before a commit

format: $(DEV)
	@$(PY) -m ruff format --check . || { echo "make fix formats these"; exit 1; }

lint: $(DEV)
	@$(PY) -m ruff check .

types: $(DEV)
	@$(PY) -m mypy

layers: $(DEV)
	@$(VENV)/bin/lint-imports --no-logo

schema-drift: $(DEV)
	@$(PY) -m schema.ddl --check
	@$(PY) -m schema.compile --check

.PHONY: limits-drift limits
limits-drift: $(DEV)
	@$(PY) -m tests.support.limits_document --check

limits: $(DEV) ## write docs/limits.md from the limits that the code declares
	@$(PY) -m tests.support.limits_document

.PHONY: commands
commands: $(DEV) ## write docs/commands.md: the output of the commands that it shows
	@$(PY) -m tests.support.commands_document

.PHONY: man man-drift
man: $(DEV) ## write docs/happy-server.1, the manual page, from the commands
	@$(PY) -m tests.support.man_page

man-drift: $(DEV)
	@$(PY) -m tests.support.man_page --check

fix: $(DEV) ## format, and repair what the linter can repair
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(DEV) ## measure this machine into bench-results/*.json; all of it: 5 minutes, make bench only=rpc-32 rounds=5 FLAVOR=full
	@exec $(PY) -m tests.bench $(addprefix --only ,$(only)) $(if $(rounds),--rounds $(rounds)) $(if $(FLAVOR),--flavor $(FLAVOR)) $(foreach option,messages rest,$(if $($(option)),--$(option) $($(option))))

test-client: $(DEV) ## the published command-line clients against this server; flavor=full version=1.2.0 play=prompts cuts=long (docs/test-client.md)
	@exec $(PY) -m tests.client.run $(foreach option,flavor version play cuts,$(if $($(option)),--$(option) $($(option))))

# Those that wait out a time limit are given the time that they need: pytest's own would end them.
attack: $(DEV) ## what a client beside each attack feels, with the real aims, 20 s each; only=slow flavor=full seconds=60
	@HAPPY_ATTACK_SECONDS=$(or $(seconds),20) exec $(PYTEST) -s --timeout 900 $(if $(flavor),-m "$(SELECTED_$(flavor))") tests/attack $(if $(only),-k "$(only)")

siege: $(DEV) ## all attacks at once beside honest clients, the published one too: seconds=3600 flavor=full seed=N
	@exec $(PY) -m tests.attack.siege --seconds $(or $(seconds),300) $(if $(seed),--seed $(seed)) $(if $(flavor),--flavor $(flavor))

kill-loop: $(DEV) ## 20 rounds of kill -9 under load, nothing acknowledged may be lost; seed=N repeats a run
	@exec $(PY) -m tests.e2e.kill_loop $(if $(seed),--seed $(seed)) $(if $(flavor),--flavor $(flavor))

backup-kills: $(DEV) ## kill -9 at 50 random moments of a backup and of a restore, on both flavors; kills=N flavor=light
	@HAPPY_KILLS=$(or $(kills),50) exec $(PYTEST) $(if $(flavor),-m "$(SELECTED_$(flavor))") tests/e2e/test_backup.py -k killed

cluster-loop: $(DEV) ## 60 s of kill -9 among 3 replicas with 200 clients, nobody may miss or repeat a thing; seed=N
	@exec $(PY) -m tests.e2e.cluster_loop $(if $(seed),--seed $(seed)) $(if $(seconds),--seconds $(seconds))

outage-loop: $(DEV) ## PostgreSQL, Redis and both stopped, then silent for 10 s under load; seed=N, seconds=N
	@exec $(PY) -m tests.e2e.outage_loop $(if $(seed),--seed $(seed)) $(if $(seconds),--seconds $(seconds))

roll-loop: $(DEV) ## SIGTERM for one replica after the other under load, no request may fail; seed=N, rounds=N
	@exec $(PY) -m tests.e2e.roll_loop $(if $(seed),--seed $(seed)) $(if $(rounds),--rounds $(rounds))

roaming-loop: $(DEV) ## one client is sent from replica to replica 200 times, 20 of them are killed; seed=N kills=N
	@exec $(PY) -m tests.e2e.roaming_loop --kills $(or $(kills),20) $(if $(seed),--seed $(seed))

# ---- schema ----------------------------------------------------------------------------------------------

schema: $(DEV) ## regenerate schema/sqlite.sql and schema/compiled/*.json from the Python definitions
	@$(PY) -m schema.ddl
	@$(PY) -m schema.compile

migration: $(DEV) ## a new migration: make migration m="add a column"
	@test -n "$(m)" || { echo 'say what it does: make migration m="add a column"'; exit 1; }
	@$(PY) -m schema.migrate new "$(m)"

# ---- release ---------------------------------------------------------------------------------------------

.PHONY: wheel
wheel: $(DEV) ## dist/: the wheel that pipx and uvx install, and the source archive that it is built from
	@$(PY) -m hatchling build

.PHONY: image
image: $(DEV) ## an image made of Debian's packages, where none can be pulled, and started: make image flavor=full arch=arm64
	@image=$$(compose/image-from-debian $(or $(flavor),light) $(arch)) && \
		HAPPY_TEST_ENGINE=podman HAPPY_TEST_IMAGE=$$image $(PYTEST) tests/e2e/test_image.py

# ---- dependencies ----------------------------------------------------------------------------------------

COMPILE := $(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(if $(upgrade),--upgrade)

lock: $(VENV)/bin/uv ## regenerate requirements/*.lock from pyproject.toml; upgrade=1 takes newer releases
	@$(COMPILE) --all-extras pyproject.toml --output-file requirements/dev.lock
	@$(COMPILE) --extra full --constraints requirements/dev.lock pyproject.toml --output-file requirements/full.lock
	@$(COMPILE) --constraints requirements/dev.lock pyproject.toml --output-file requirements/light.lock

$(VENV)/bin/uv: | $(PY)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv

$(PY):
	@requirements/venv.sh $(VENV)

# The larger sets contain the smaller ones in the same versions, hence their stamps too.
$(LIGHT): requirements/light.lock $(PY)
	@echo "Installing the light server into $(VENV) (only after a change of requirements/light.lock)"
	@$(PIP) --require-hashes -r $<
	@touch $@

$(FULL): requirements/full.lock $(PY)
	@echo "Installing the full server into $(VENV) (only after a change of requirements/full.lock)"
	@$(PIP) --require-hashes -r $<
	@touch $(LIGHT) $@

$(DEV): requirements/dev.lock $(PY)
	@echo "Installing the server and its development tools into $(VENV) (only after a change of requirements/dev.lock)"
	@$(PIP) --require-hashes -r $<
	@$(PIP) --no-build-isolation --editable .
	@touch $(LIGHT) $(FULL) $@

clean: ## remove what the tools left behind, .venv included
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
