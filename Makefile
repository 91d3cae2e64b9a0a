# Every target sets up what it needs in .venv. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
BIN := .venv/bin
# Two workers; one that has done its share takes tests of the other's. PARALLEL= runs the tests one after the other.
PARALLEL ?= -n 2 --dist worksteal
SETUP := .venv/.installed
# Tests write in memory where there are 2 GiB of it: thousands of orders are synced, at 5 ms each on a disk.
IN_SCRATCH = scratch=$$(mktemp -d -p "$$(test "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 2097152 \
	2>/dev/null && echo /dev/shm || echo "$${TMPDIR:-/tmp}")") && chmod 711 "$$scratch" && \
	trap 'rm -rf "$$scratch"' EXIT && TMPDIR="$$scratch"

.DEFAULT_GOAL := help
.PHONY: help demo test test-all soak versions wheel lint fuzz bench fixtures scenes clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(SETUP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "photio-prep needs Python 3.11 or later; try make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

demo: $(SETUP) ## Photo to final picture on our own fixtures, through the free sandbox
	@$(BIN)/photio-prep models pull auto >/dev/null
	@$(BIN)/photio-prep run fixtures/photos --out demo-out --sandbox --overwrite --gate off \
		--description "on a marble table, soft morning light, a plain wall behind" >/dev/null
	@echo; echo "The finals are in demo-out/, the orders (what would be sent, cutouts, answers) in demo-out/orders/"
	@echo "Look at them all: open demo-out/review.html in a browser"

test: $(SETUP) ## Every promise, with the real weights; of long sweeps a sample (4 minutes)
	@$(BIN)/photio-prep models pull u2netp >/dev/null
	@$(BIN)/photio-prep models pull isnet-imgly >/dev/null || test -z "$$CI"
	@$(IN_SCRATCH) $(BIN)/python -m pytest -m "not soak" $(PARALLEL) --basetemp="$$scratch/tests"

test-all: $(SETUP) ## What `make test` leaves out: the rest of the sweeps, and the long tests
	@$(IN_SCRATCH) $(BIN)/python -m pytest -m soak $(PARALLEL) --durations=30 --basetemp="$$scratch/tests"

soak: test-all

versions: $(SETUP) ## The wheel with its extras, on the lowest and the newest versions of what it needs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/python tests/support/versions.py

wheel: $(SETUP) ## The README's first lines, word for word, with the built wheel in an empty environment
	@$(BIN)/python tests/support/wheel.py

lint: $(SETUP) ## Linters and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fuzz: $(SETUP) ## Atheris on pictures and answers, a minute each (SECONDS=600 for longer)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "atheris>=2.3"
	@$(BIN)/python fuzz/fuzz_load.py -max_total_time=$(or $(SECONDS),60)
	@$(BIN)/python fuzz/fuzz_answer.py -max_total_time=$(or $(SECONDS),60)

bench: $(SETUP) ## What it costs, beside rembg (BENCH="--quick --json FILE" for less, and to keep)
	@$(BIN)/photio-prep models pull u2netp >/dev/null
	@test -x .venv-rembg/bin/rembg || ($(PYTHON) -m venv .venv-rembg && .venv-rembg/bin/python -m pip install --quiet \
		--disable-pip-version-check "rembg[cli,cpu]==$$($(BIN)/python -c 'import importlib.metadata as it; print(it.version("rembg"))')")
	@$(BIN)/python -m bench --rembg .venv-rembg/bin/rembg $(BENCH)

fixtures: $(SETUP) ## Render the fixtures again (20 minutes; needs an LLVM library, see fixtures/README.md)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[fixtures]"
	@DRJIT_LIBLLVM_PATH="$${DRJIT_LIBLLVM_PATH:-$(firstword $(wildcard $(HOME)/.rustup/toolchains/*/lib/libLLVM.so*))}" \
		$(BIN)/python fixtures/make.py

scenes: $(SETUP) ## Render 240 scenes with exact alpha and resume (OUT=, COUNT=, START=, DATA=; fixtures/scenes/README.md)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[fixtures]"
	@DRJIT_LIBLLVM_PATH="$${DRJIT_LIBLLVM_PATH:-$(firstword $(wildcard $(HOME)/.rustup/toolchains/*/lib/libLLVM.so*))}" \
		PYTHONPATH=fixtures $(BIN)/python -m scenes "$(or $(OUT),$(HOME)/.cache/photio-prep-scenes)" \
		--count $(or $(COUNT),240) --start $(or $(START),0) $(if $(DATA),--data "$(DATA)")

clean: ## Remove everything that was made here (weights stay in the user's cache)
	rm -rf .venv .venv-rembg demo-out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
