# make demo    trains a small WaveNet on simulated dialogues, lets it babble and scores it against humans
# make test    runs the tests, on up to four cores
# make lint    checks style
# Each makes a virtual environment first if there is none; VENV=folder and PYTHON=python3.11 choose which.

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALLED := $(VENV)/.installed
RUN := $(VENV)/bin/python

.PHONY: demo test lint install
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(RUN) -m zoo.train --model=wavenet --minutes=4 --name=demo
	$(RUN) -m zoo.generate --run=runs/demo --duet --seconds=30 --out=reports/demo/duet.wav
	$(RUN) -m eval.compare --runs=runs/demo --noaudio --out=reports/demo

test: $(INSTALLED)
	$(RUN) -m pytest -n auto --maxprocesses=4 --dist=loadfile

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

install: $(INSTALLED)

$(INSTALLED): setup.py constraints.txt babblezoo.pth
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "error: babblezoo needs Python 3.11 or 3.12, not $$($(PYTHON) -V); name one: make PYTHON=python3.11"; exit 2; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --no-compile -c constraints.txt -e '.[voices,test]'
	touch $@
