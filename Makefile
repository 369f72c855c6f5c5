# The commands of the checkout. Everything they need is brought into .venv and .run; nothing is installed into the machine,
# except Chromium, a JDK and npm for `make test`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

WORKERS ?= 2
REQUIREMENTS ?= requirements.lock
ARGS ?=
# Of all tests, as measured on 2026-11-28: what `make test` says before it has measured them on the machine at hand.
TEST_MINUTES := 25
# Most tests wait for servers: of two cores, two processes of pytest, each with servers of its own, leave nearly half idle.
SHARED := -n 3 --dist loadfile --no-loadscope-reorder
# Packages of programs that no test runs: `make check` looks whether what they call is there, and takes what it is given.
PROGRAMS := bench deploy docs tests.containers tests.kubernetes tests.machines tests.schema_registry tests.storm
BIN := .venv/bin
export UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo "$(CURDIR)/.run/tools/bin/uv")
# uv fetches a Python only where the machine has none that fits, and then into .run.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_INSTALL_DIR := $(CURDIR)/.run/python
PYTHON_TO_FETCH := 3.13
# Pythons that are tried before those that uv finds: PYTHONS=/usr/bin/python3 where a version manager's comes first on the PATH.
# A distribution's is optimised by profiles; one that a version manager has compiled is not, by default, and takes up to twice the CPU.
PYTHONS ?=
# uv trusts what the machine trusts, where that is a file: a proxy may sign with a certificate of its own. SSL_CERT_FILE names another one.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS := true
endif

help: ## list these targets
	@sed -nE 's/^([a-z]+):.*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: .venv/runtime ## start all that is not already running; WORKERS=2
	@$(BIN)/stream-app up --workers $(WORKERS)

down: .venv/runtime ## stop what up and demo started; data stays
	@$(BIN)/stream-app down

clean: .venv/runtime ## stop it and drop its data, and nothing else
	@$(BIN)/stream-app clean

demo: .venv/runtime ## up, with 13 months of a plausible network, its report, and live traffic
	@$(BIN)/stream-app up --workers $(WORKERS)
	$(BIN)/stream-app demo $(ARGS)

pay: .venv/runtime ## send one payment and say when it shows: ARGS="--operator M1 --amount 12.50"
	@$(BIN)/stream-app pay $(ARGS)

token: .venv/runtime ## print a token: ARGS="--operator M1" ('*' for all)
	@set -f # so that a * in ARGS stays one
	$(BIN)/stream-app token $(ARGS)

quick: .venv/development ## lint, types, and all tests that need no server, in a minute and a half
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy & types=$$!
	$(BIN)/python -m pytest -q $(SHARED) --pure tests || { wait $$types; exit 1; }
	wait $$types

test: .venv/development chromium javac npm ## all tests, with real Kafka, Redis, ClickHouse and Chromium; ARGS for pytest
	@if [ -n "$${ARGS:-}" ]; then exec $(BIN)/python -m pytest $(ARGS); fi
	{ cat .run/tests-took 2>/dev/null || echo "All tests take $(TEST_MINUTES) minutes on 2 cores that do nothing else"; } >&2
	SECONDS=0
	$(BIN)/python -m pytest $(SHARED) -m "not alone"
	$(BIN)/python -m pytest -m alone
	mkdir -p .run
	echo "All tests took $$((SECONDS / 60)) min $$((SECONDS % 60)) s when they passed here last, on $$(date +%F), on $$(nproc) cores" >.run/tests-took

check: .venv/development ## lint, types, and the rules of the house
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy $(addprefix -p ,$(PROGRAMS))
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

bench: .venv/development ## the benchmarks, peers side by side, as a table
	@$(BIN)/python -m bench $(ARGS)

compare: .venv/development ## the monitor beside Burrow and Kafka's own tool, with known truth; writes docs/operations.md
	@$(BIN)/python -m bench.compare $(ARGS)

storm: .venv/development ## faults of all kinds under load, for ten minutes, then everything compared; writes docs/reliability.md
	@$(BIN)/python -m tests.storm $(ARGS)

machines: .venv/development ## demo, pay and down on a new Debian 12, 13 and 14, as root and as a user; needs root and debootstrap
	@$(BIN)/python -m tests.machines $(ARGS)

karapace: .venv/development ## our side of a schema registry against a real Karapace; ARGS: the folder of its sources (git clone --branch 3.16.0)
	@$(BIN)/python -m tests.schema_registry $(ARGS)

kubernetes: .venv/development ## render the Helm chart, hold it against published schemas, write deploy/kubernetes/rendered; needs Go
	@$(BIN)/python -m deploy.kubernetes.check

image: .venv/development ## build the image crm-stats and list what it holds; with OpenTelemetry: REQUIREMENTS=requirements-tracing.lock; needs a Docker engine
	@$(BIN)/python deploy/image.py $(REQUIREMENTS) $(ARGS)

containers: .venv/development ## build the image, run compose.yaml with it, kill and upgrade it under load; needs root, dockerd and debootstrap
	@$(BIN)/python -m tests.containers $(ARGS)

pods: .venv/development ## run the containers of the Helm chart as they are rendered, without a cluster; needs root
	@$(BIN)/python -m tests.kubernetes

lock: .venv/development ## pin the dependencies anew, after pyproject.toml changed
	@"$$UV" pip compile -q --universal --generate-hashes --all-extras --group dev pyproject.toml -o requirements-dev.lock
	"$$UV" pip compile -q --universal --generate-hashes --all-extras pyproject.toml -c requirements-dev.lock -o requirements-extras.lock
	"$$UV" pip compile -q --universal --generate-hashes --extra tracing pyproject.toml -c requirements-dev.lock -o requirements-tracing.lock
	"$$UV" pip compile -q --universal --generate-hashes pyproject.toml -c requirements-dev.lock -o requirements.lock
	"$$UV" pip compile -q --universal --generate-hashes --group compiler -o requirements-compiler.lock
	"$$UV" pip compile -q --universal --generate-hashes docs/subscribers/python/requirements.in -c requirements-dev.lock -o docs/subscribers/python/requirements.txt

advisories: .venv/development ## look up known advisories of all pinned packages; needs the internet
	@$(BIN)/python deploy/advisories.py $(ARGS)

sbom: .venv/development ## write .run/sbom.json: what the service is made of (CycloneDX), from requirements.lock
	@mkdir -p .run
	$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o .run/sbom.json

dashboard: .venv/runtime ## build the dashboard from its sources; needs Node, which nothing else does
	@$(BIN)/python docs/dashboard_figures.py
	cd stream_app/dashboard
	command -v npm >/dev/null || { echo "npm is missing, and only this target needs it: install Node 20 or newer." >&2; exit 1; }
	npm ci --silent --ignore-scripts
	npm run --silent build

pictures: .venv/development chromium ## take the dashboard's pictures of docs/ anew
	@$(BIN)/python docs/pictures.py

docs: .venv/development ## write what of docs/ and deploy/ is made from the sources
	@$(BIN)/python docs/settings_page.py
	$(BIN)/python docs/metrics_page.py
	$(BIN)/python docs/security_page.py
	$(BIN)/python docs/results_lists.py
	$(BIN)/python docs/contract_files.py
	$(BIN)/python docs/sizing_page.py
	$(BIN)/python docs/dashboard_figures.py
	$(BIN)/python docs/kubernetes_page.py
	$(BIN)/python deploy/grafana/dashboard.py

# -- what the targets stand on

.venv/python: $(MAKEFILE_LIST)
	@if ! "$$UV" --version >/dev/null 2>&1; then
	  echo "Fetching uv into .run/tools" >&2
	  python=$$(command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || command -v python3) || {
	    echo "Python and uv are missing: install Python 3.11, 3.12, 3.13 or 3.14, or uv, which fetches one." >&2; exit 1; }
	  "$$python" -m venv .run/tools >/dev/null 2>&1 || {
	    rm -rf .run/tools
	    echo "uv is missing, and $$python can't make an environment to fetch it into: install uv or python3-venv." >&2; exit 1; }
	  .run/tools/bin/pip install --quiet --disable-pip-version-check uv
	fi
	fits() { "$$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1; }
	if ! fits $(BIN)/python; then
	  suitable() {
	    for python in $(PYTHONS); do if fits "$$python"; then echo "$$python"; return; fi; done
	    "$$UV" python find --no-project --system '>=3.11,<3.15' 2>/dev/null
	  }
	  python=$$(suitable) || {
	    echo "No Python 3.11 to 3.14 is there: uv fetches one, into .run/python" >&2
	    UV_PYTHON_DOWNLOADS=manual "$$UV" python install --no-bin $(PYTHON_TO_FETCH) >&2 && python=$$(suitable)
	  } || {
	    echo "No Python 3.11 to 3.14 is there, and uv could not fetch one: install one of them (Debian: apt-get install python3)." >&2; exit 1; }
	  rm -rf .venv && "$$UV" venv --quiet --python "$$python" .venv
	fi
	touch $@

# Compiled here, once: where bytecode may not be written later, each start would compile all of it again, for more than a second.
.venv/runtime: .venv/python requirements-extras.lock requirements-compiler.lock $(wildcard stream_app/kernel/*.[ch]) pyproject.toml
	@echo "Installing what the service needs into .venv" >&2
	"$$UV" pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-extras.lock
	"$$UV" pip install --quiet --python $(BIN)/python --no-deps --editable .
	# Without a compiler, or one that works, all is done in Python: that is said, and no reason to end.
	command -v cc >/dev/null || "$$UV" pip install --quiet --target .run/compiler --no-deps --require-hashes -r requirements-compiler.lock || true
	$(BIN)/python -m stream_app.kernel.build .run/compiler || true
	touch $@

.venv/development: .venv/runtime requirements-dev.lock
	@echo "Installing what its development needs into .venv" >&2
	"$$UV" pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-dev.lock
	touch $@

# Programs of the machine that tests run: Chromium, and what the examples of docs/subscribers are compiled by.
javac: PACKAGE := default-jdk-headless
chromium npm: PACKAGE = $@
chromium javac npm:
	@command -v $@ >/dev/null && exit 0
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  echo "Installing $(PACKAGE)" >&2
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(PACKAGE) >/dev/null
	else
	  echo "$@ is missing, and make test needs it: install it (Debian: apt-get install $(PACKAGE))." >&2; exit 1
	fi

.PHONY: help up down clean demo pay token quick test check bench compare storm machines karapace kubernetes pods image containers lock advisories sbom dashboard pictures docs chromium javac npm
