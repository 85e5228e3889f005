# `make demo` shows the program, `make test` tests it; both do their own set-up in .venv.
VENV := .venv
BIN := $(VENV)/bin
# Each of the processes that share the tests would compile all of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-lowest test-newest coverage check format hooks bench chaos liveness kills siege mutants mysql image wheel smoke lock docs pictures completions reference clean

demo: $(VENV)/installed
	$(BIN)/hammerwork demo

# Tests wait, too, so six processes share them on two cores; more only disturb each other. Other tests: make test ARGS="-k sqlite -x"
test test-lowest test-newest coverage: ARGS ?= --numprocesses 6 --dist worksteal
test: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/pytest $(ARGS)

# The tests with the lowest versions that pyproject.toml allows: make test-lowest ARGS="tests/unit tests/commands"
test-lowest: build/lowest/installed $(VENV)/test-tools
	build/lowest/bin/pytest $(ARGS)

# The tests of what depends on their versions, with the newest Python and PostgreSQL that can be had here: plans, statements,
# connections and their ends, pages, units.
NEWEST := $(addprefix tests/,acceptance/test_pages.py database/connection database/test_plans.py database/test_races.py \
	database/test_statement_counts.py database/test_worst_statistics.py database/tree runtime/api runtime/isolation unit)
test-newest: build/newest/installed $(VENV)/test-tools
	PATH="$(abspath build/newest/bin):$$PATH" build/newest/bin/pytest $(ARGS) -m "not mysql" $(NEWEST)

# The lines and branches that the tests reach, with a floor for the whole suite: make coverage ARGS="tests/unit"
coverage: FLOOR := $(if $(filter command,$(firstword $(origin ARGS))),--fail-under=0)
coverage: $(VENV)/installed $(VENV)/test-tools
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report $(FLOOR)

check: $(VENV)/installed $(VENV)/web-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	npm --prefix tests/web run --silent types
	npm --prefix tests/web run --silent lint

# Writes Python as `make check` wants it, as far as ruff can.
format: $(VENV)/installed
	$(BIN)/ruff check --fix-only --quiet $(ARGS) .
	$(BIN)/ruff format --quiet $(ARGS) .

# Lets git check each commit by .pre-commit-config.yaml.
hooks: ARGS ?= install
hooks: $(VENV)/installed $(VENV)/web-tools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pre-commit
	$(BIN)/pre-commit $(ARGS)

bench: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m benchmarks $(ARGS)

# Kills workers and servers for an hour: make chaos ARGS="--databases sqlite --kills 50"
chaos: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m chaos $(ARGS)

# Checks the model of docs/explain/liveness.md: make liveness ARGS="--url postgresql://user@host/empty --steps 50000"
liveness: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m chaos.liveness $(ARGS)

# Besieges the web server for some minutes, and asks it for all that it refuses: make siege SIEGE_SECONDS=300
SIEGE_SECONDS ?= 60
siege: $(VENV)/installed $(VENV)/test-tools
	SIEGE_SECONDS=$(SIEGE_SECONDS) $(BIN)/pytest -o faulthandler_timeout=0 tests/web/api/test_siege.py \
		tests/web/api/test_openapi.py::test_schemathesis_finds_nothing $(ARGS)

# Kills workers and programs of streams at each millisecond of a write, on three databases: make kills KILLS=60
KILLS ?= 60
kills: $(VENV)/installed $(VENV)/test-tools
	KILLS=$(KILLS) $(BIN)/pytest -o faulthandler_timeout=0 tests/runtime/events/test_kills.py $(ARGS)

# Changes the core in small ways, and says what no test notices: make mutants ARGS="--number 200 --seed 7"
mutants: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m mutants $(ARGS)

# Unpacks MySQL proper, which the tests start where HAMMERWORK_TEST_MYSQLD names it.
MYSQL ?= /opt/hammerwork-mysql
mysql:
	tests/mysql.sh $(MYSQL)

# Runs the commands of deploy/Dockerfile in a bare root, and the program that they install: as root, with the package index.
image: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m tests.image $(ARGS)

# Builds the wheel of a release, once pyproject.toml says where the project lives.
wheel: $(VENV)/installed
	@for name in Repository Issues Documentation Changelog; do grep -q "^$$name = \"https://" pyproject.toml || \
		{ echo "[project.urls] in pyproject.toml has no $$name: docs/develop/releasing.md says what to add"; exit 1; }; done
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

# Starts what CI does not run whole, each in its shortest form, so that a broken target is seen. Beside chaos, which watches
# how late a heartbeat is, one of the others runs at a time.
FAULTS := $(foreach fault,freezes restarts outages forgets swallows frozen-backends clock-steps wrong-clocks full-notify,--$(fault) 1)
SMOKES := $(addprefix smoke-,demo format hooks mysql wheel chaos kills image lowest bench-starts bench-lists bench-trees siege pictures \
	coverage lock liveness mutants)
.PHONY: $(SMOKES)
smoke: $(VENV)/installed $(VENV)/test-tools
	$(MAKE) --jobs 2 --output-sync=target $(SMOKES)
	$(MAKE) completions reference
	git diff --exit-code --stat -- completions docs/reference hammerwork_cli/web/static/client.d.ts

smoke-demo:
	$(MAKE) demo
smoke-format:
	$(MAKE) format ARGS=--diff
smoke-hooks:
	$(MAKE) hooks ARGS=validate-config
smoke-mysql: # it downloads a system, so only what one has unpacked is started
	sh -n tests/mysql.sh
	test ! -x $(MYSQL)/mysqld || $(MAKE) mysql
smoke-wheel: # in a copy that says where the project lives
	rm -rf build/wheel && mkdir -p build/wheel
	git ls-files -z | xargs -0 cp --parents -t build/wheel
	for name in Repository Issues Documentation Changelog; do \
		sed -i "/^\[project.urls\]/a $$name = \"https://example.org\"" build/wheel/pyproject.toml; \
	done
	mkdir build/wheel/.venv && touch build/wheel/.venv/installed
	$(MAKE) -C build/wheel wheel BIN=$(abspath $(BIN))
	$(BIN)/python -m zipfile -t build/wheel/dist/*.whl
smoke-chaos:
	$(MAKE) chaos ARGS="--kills 8 $(FAULTS) --stream 120 --seed 5"
smoke-image:
	$(MAKE) image ARGS=--if-possible
smoke-lowest: build/lowest/installed
	$(MAKE) test-lowest ARGS="tests/unit/timeline"
smoke-bench-starts:
	mkdir -p build
	$(MAKE) bench ARGS="--jobs 300 --databases sqlite --parts startup live bulk events streams --runs 1 --output build/bench.json"
smoke-bench-lists:
	$(MAKE) bench ARGS="--jobs 300 --databases mysql --parts lists duties --runs 1"
smoke-bench-trees:
	$(MAKE) bench ARGS="--jobs 300 --databases postgres --parts trees workers --runs 1"
smoke-siege:
	$(MAKE) siege SIEGE_SECONDS=1 ARGS="-k half_open"
smoke-pictures:
	$(MAKE) pictures ARGS=build/pictures
smoke-coverage:
	$(MAKE) coverage ARGS="tests/unit/timeline"
smoke-lock: build/tools/bin/uv
	$(MAKE) lock LOCKS=build
smoke-kills:
	$(MAKE) kills KILLS=1 ARGS="-k sqlite"
smoke-liveness:
	$(MAKE) liveness ARGS="--steps 300"
smoke-mutants:
	$(MAKE) mutants ARGS=--list

# Pins the dependencies with their hashes, for every platform: for users, and for developers (make LOCKED=1 in a fresh clone).
PIN := build/tools/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header pyproject.toml
lock: LOCKS ?= .
lock: EXTRAS := --extra web --extra encryption --extra opentelemetry --extra sentry
lock: build/tools/bin/uv
	$(PIN) $(EXTRAS) --output-file $(LOCKS)/requirements.lock
	$(PIN) --all-extras --output-file $(LOCKS)/requirements-streams.lock
	$(PIN) --all-extras --group dev --group docs --output-file $(LOCKS)/requirements-dev.lock

# Makes a site of docs/ in build/docs; a warning, a link or an anchor that leads nowhere is an error.
docs: $(VENV)/docs-tools tests/mermaid/node_modules
	$(BIN)/sphinx-build --nitpicky --fail-on-warning --keep-going --quiet docs build/docs
	@echo "The site begins at build/docs/index.html"

# Takes the pictures of the documentation anew.
pictures: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m tests.pictures $(ARGS)

completions: $(VENV)/installed
	$(BIN)/python completions/generate.py

# Writes the pages of docs/reference, and the types in client.d.ts, that follow from the program.
reference: $(VENV)/installed
	$(BIN)/python -m docs.generate

clean:
	rm -rf $(VENV) tests/mermaid/node_modules tests/web/node_modules tests/generators/node_modules build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/installed: pyproject.toml tests/setup.sh
	tests/setup.sh venv $(VENV)
	@touch $@

build/tools/bin/uv: | $(VENV)/installed
	$(BIN)/python -m venv build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check uv

build/lowest/installed: pyproject.toml build/tools/bin/uv
	$(BIN)/python -m venv --clear build/lowest
	build/tools/bin/uv pip install --quiet --python build/lowest/bin/python --resolution lowest-direct \
		--editable '.[web]' --group dev
	@touch $@

build/newest/installed: pyproject.toml tests/setup.sh | $(VENV)/installed
	mkdir -p build
	tests/setup.sh newest build/newest
	@touch $@

$(VENV)/docs-tools: pyproject.toml | $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

tests/mermaid/node_modules: tests/mermaid/package-lock.json tests/setup.sh
	tests/setup.sh mermaid

$(VENV)/web-tools: tests/web/package-lock.json tests/setup.sh | $(VENV)/installed
	tests/setup.sh web $@

GENERATORS := tests/generators/package-lock.json tests/generators/requirements.txt
$(VENV)/test-tools: tests/mermaid/package-lock.json tests/web/package-lock.json $(GENERATORS) tests/setup.sh | $(VENV)/installed
	tests/setup.sh tests $@
