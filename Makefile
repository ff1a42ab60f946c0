# Everything runs in a virtual environment of its own, .venv, made at first use. Needed: Python >= 3.11 and make.
#
#   make demo        upscale an example photo
#   make test        all that is checked before a change is taken: lint, tests, packages
#   make test-slow   tests that take minutes or need the computer for themselves, one after the other
#   make fuzz        long random tests
#   make bench       measure speed, each ratio beside its goal; half an hour on two idle cores
#   make docs        build the documentation's site into site/, strictly
#   make gallery     make the pictures of the cards again; needs `gramgan models pull realesrgan-x4plus`
#   make clean       remove all that make made, .venv too
#
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch from there: the CPU-only build, a tenth of the size.

PYTHON ?= python3
VENV := .venv
TORCH_INDEX ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
# All extras, so that no test is skipped for want of one.
EXTRAS := heic,interop,jxl,metrics,ncnn,onnx,openvino,plot,ray,s3,shards,tensorboard,ui
PIP := $(PY) -m pip --disable-pip-version-check

.PHONY: demo test lint unit package test-bare test-slow fuzz bench docs gallery install install-dev clean

demo: $(VENV)/.installed
	$(BIN)/gramgan upscale examples/chelsea.png -o demo-output/chelsea_x4.png --overwrite
	@echo "The photo, four times larger: $(CURDIR)/demo-output/chelsea_x4.png"

test: lint unit package

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev
	$(PY) -m pytest -n logical --dist loadfile

package: $(VENV)/.installed-dev
	rm -rf dist
	$(PY) -m build
	$(PY) -m twine check --strict dist/*
	$(PY) tools/check_wheel.py dist

# In an environment without any extra: tests that need one skip.
test-bare: $(VENV)/.installed
	$(PIP) install --quiet --group dev
	$(PY) -m pytest -n logical --dist loadfile

test-slow: $(VENV)/.installed-dev
	$(PY) -m pytest -m slow

fuzz: $(VENV)/.installed-dev
	$(PY) -m pytest -m fuzz

bench: $(VENV)/.installed-dev
	set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file"; done
	@echo "== every ratio beside its goal (kept in benchmarks/results)"
	@$(PY) benchmarks/summary.py

docs: $(VENV)/.installed-dev
	$(PY) tools/make_site.py

gallery: $(VENV)/.installed-dev
	$(PY) tools/make_gallery.py

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(VENV)/.python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'gramgan needs Python 3.11 or newer; name one with: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
ifneq ($(TORCH_INDEX),)
	$(PIP) install --index-url $(TORCH_INDEX) torch torchvision
endif
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.python
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml Makefile | $(VENV)/.installed
	$(PIP) install --quiet --editable ".[$(EXTRAS)]" --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist site demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
