# make demo       the whole loop in a small world with known truth, and a report of it
# make base       the base that the demo starts from, made again: half an hour
# make test       the tests, in parallel, without the slow ones
# make test-all   what `make test` leaves out
# make check      format, lint, types, floors, size, honesty
#
# PYTHON=python3.12 make …     another interpreter (3.11 or newer) to build .venv with
# TORCH_INDEX=URL make …       a further package index to take torch from: the CPU build, another CUDA
# WORKERS=4 make test          processes for the tests
# SEED=7 make demo             other people, prompts and noise, on the same base

PYTHON ?= python3
TORCH_INDEX ?=
WORKERS ?= 2
SEED ?= 0

BIN := .venv/bin
READY := .venv/ready

.PHONY: help demo base test test-all check clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

demo: $(READY)
	$(BIN)/instructloop demo --seed $(SEED) --out out/demo-$(SEED)

base: $(READY)
	$(BIN)/instructloop lab base

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS)

test-all: $(READY)
	$(BIN)/python -m pytest -q -m slow

check: $(READY)
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

clean:
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "instructloop needs Python 3.11 or newer; name one with PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[train,dev]'
	@touch $@
