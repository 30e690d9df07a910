# make lab   - everything a learner needs, and JupyterLab opens on lesson 1, in a copy of the learner's own (my-lessons/)
# make test  - everything that must pass
# make quick - the tests that start no kernel and take no time, for the inner loop
# make lint  - style, types, and whether every import is declared
# make demo  - grade a messy sample class and show what comes out
# make table - the course in numbers: exercises, points, CPU seconds, the bank of wrong answers
# make fuzz  - thousands of mutated notebooks, scripts, archives and YAMLs through `course collect`; FUZZ="FILES ARCHIVES SEED"
# make bench - how fast a class is graded, against stock nbgrader (docs/speed.md), and lesson 6's layer; hours. BENCH="--lessons 1 --rounds 1" for a part
# make site  - the website, in build/site; SITE="--with-solutions" for instructors
# make pdf   - the whole course as one PDF, printed from the site by Chromium
# make pictures - README's pictures, drawn and photographed anew
# make lanes - all lessons with other versions: the lowest, Colab's, Debian's, no bubblewrap, conda's names; LANES="lowest colab" for some
# make build - both editions of the notebooks, from the texts in solutions/
# make drift - are they what the texts make?
# make clean - .venv/ and build/ go; a classroom stays

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
DEMO := build/demo
LAB :=  # further words for `jupyter lab`, such as --no-browser
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=120
WORKERS := 4  # on two processors: others run while hostile and endless submissions wait for their limits
export OMP_NUM_THREADS := 1
unexport PYTHONDONTWRITEBYTECODE  # else every process would compile the course anew

.PHONY: lab test quick lint style types drift demo table build site pdf pictures bench fuzz lanes clean

lab: .venv/learner
	$(BIN)/python lab.py $(LAB)

test: .venv/instructor  # drift is among the tests
	@$(MAKE) --no-print-directory --jobs=2 types style
	@echo "== tests, and nbval: the solutions print what they printed"
	$(BIN)/python -m pytest tests solutions $(NBVAL) -n $(WORKERS) --dist=loadgroup

quick: .venv/instructor
	$(BIN)/python -m pytest tests -m "not kernel and not slow" -p no:nbval -n 2 --dist=loadgroup -q

lint: style types

style: .venv/instructor
	@echo "== style"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "== imports that are not declared"
	$(BIN)/deptry helpers
	$(BIN)/deptry course tests --config course/pyproject.toml

types: .venv/instructor
	@echo "== types"
	$(BIN)/mypy

drift: .venv/instructor
	@echo "== generated notebooks against their texts"
	$(BIN)/course build --check

demo: .venv/instructor
	@$(BIN)/python -m tests.demo $(DEMO)

site: .venv/instructor
	$(BIN)/course site $(SITE)

pdf: .venv/instructor
	$(BIN)/course site --pdf

pictures: .venv/instructor
	$(BIN)/python -m docs.pictures.make

build: .venv/instructor
	$(BIN)/course build

# torch comes first and by its pin, so that nothing asks for a newer one: gigabytes, where the index gives the build for graphics cards. A .venv
# of an older Python, or one that was left unfinished, is made anew.
.venv/learner: constraints.txt pyproject.toml
	@echo "== making .venv (a few minutes the first time)"
	@$(BIN)/python -c "import sys, pip; sys.exit(sys.version_info < (3, 11))" 2> /dev/null || { \
		$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
			echo "$(PYTHON) is $$($(PYTHON) -V), and the course needs Python 3.11 or newer: say which, as in \`make PYTHON=python3.12 lab\`"; exit 1; }; \
		$(PYTHON) -m venv --clear .venv; }
	$(PIP) torch
	$(PIP) --editable '.[lab]'
	@touch $@

.venv/instructor: .venv/learner course/pyproject.toml
	@echo "== adding the instructor's tools"
	$(PIP) --editable '.[lab]' --editable 'course[dask,postgresql,site]'
	@touch $@

table: .venv/instructor
	@$(BIN)/python -m tests.bank

bench: .venv/instructor
	$(BIN)/python -m tests.bench $(BENCH)

fuzz: .venv/instructor
	$(BIN)/python -m tests.fuzz $(FUZZ)

lanes: .venv/instructor
	lanes/all.sh $(LANES)

clean:
	rm -rf .venv build
