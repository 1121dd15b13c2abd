# Everything runs in .venv, which the first command makes. `make help` lists the targets.
#
#   PYTHON       interpreter to make .venv with; default: the first of 3.10 to 3.12 found
#   TORCH_INDEX  where torch comes from, e.g. https://download.pytorch.org/whl/cpu for a build
#                without CUDA; default: pip's own index
#   ARGS         more arguments for the command of a target: make test ARGS='-k geometry -x'

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
ARGS ?=

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.12 python3.11 python3.10; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$p"; break; }; done)
endif

# With a ROS installation sourced, rclpy and numpy are the installation's.
ifdef ROS_DISTRO
VENV_FLAGS := --system-site-packages
CONSTRAINTS := constraints-ros.txt
EXTRAS := sim,physics,bags,demos,runtimes,backbones,people,hardware,viewer,test
else
VENV_FLAGS :=
CONSTRAINTS := constraints.txt
EXTRAS := ros,sim,physics,bags,demos,runtimes,backbones,people,hardware,viewer,test
endif

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)

.PHONY: help install demo test test-long faults lint check fmt bench clean
.DEFAULT_GOAL := help

help:			## this list
	@sed -n 's/^\([a-z-]*\):.*##\( .*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

install: $(STAMP)	## make .venv with everything in it

$(STAMP): setup.py pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo 'No Python 3.10, 3.11 or 3.12 found; name one: make PYTHON=/path/to/python3.12 install' >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUPPORTED)' || { echo '$(PYTHON) is not Python 3.10 to 3.12' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo 'This Python cannot make a virtual environment: apt install python3-venv' >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV_FLAGS) $(VENV)
	@echo 'Installing torch first: minutes and gigabytes, unless TORCH_INDEX names a CPU index.'
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(PIP) -e '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)		## the eye searches a room for 30 s; report, moving picture and a page to watch
	@mkdir -p demo
	$(BIN)/gaze-robot bringup --world procedural --duration 30 --report demo/report.json --picture demo/eye.gif --viewer $(ARGS)

test: $(STAMP)		## every test that needs no device, but for the longest
	$(BIN)/python -m pytest -m 'not hardware and not long' $(ARGS)

test-long: $(STAMP)	## the longest: rest of the fault table, the page in a browser, a minute of faults
	$(BIN)/python -m pytest -m 'long and not hardware' $(ARGS)

faults: $(STAMP)	## break a robot of real processes in every way; one line each, docs/faults.md
	FAULT_TABLE=docs/faults.md $(BIN)/python -m pytest -q test/faults $(ARGS)

lint: $(STAMP)		## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint		## lint and the quick tests: run it before a commit
	$(BIN)/python -m pytest -m 'not slow and not ros and not long and not hardware' $(ARGS)

fmt: $(STAMP)		## put imports in order and fix what ruff can fix
	$(BIN)/ruff check --fix .

bench: $(STAMP)		## milliseconds per stage, views and steps per second, on this machine
	$(BIN)/python bench/stages.py $(ARGS)
	$(BIN)/gaze-robot bench render

clean:			## remove what the other targets made
	rm -rf $(VENV) build install log demo *.egg-info
