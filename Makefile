# Two commands do everything on a fresh Linux with Python >= 3.11, git and make:
#   make predict   set up .venv, then run the example RNAs to results/preds/<id>.pdb
#   make test      set up .venv if missing, then run the tests
# Variables: PYTHON (interpreter), TORCH (what pip installs as torch), CORES (default: all), JOBS (test processes).
# A third makes the carried weights of stages B and D again, from data that you bring (see `train` below):
#   make train RNA_PREDICT_SHARED=folder

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
TORCH ?= torch==2.13.0
CORES ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 1)
JOBS ?= 2

# What `rna-predict bench reconstruction`, `parity` and `networks` run beside; without their dependencies beyond these,
# which they do not need for that (protenix asks for CUDA builds).
PEER := mp-nerf==1.0.3 einops==0.8.2 protenix==2.0.0 ml_collections==1.1.0 absl-py==2.5.1 optree==0.20.0 rdkit==2026.9.1

VENV := .venv
BIN := $(VENV)/bin
EXAMPLES := $(foreach id,trna_phe add_riboswitch hairpin,results/preds/$(id).pdb)
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# One thread a process: two OpenMP threads on a busy machine make small matrices many times slower.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

RNA_PREDICT := OMP_NUM_THREADS=1 $(BIN)/rna-predict

# Byte code is written once at installation; without it every import of torch takes half a minute.
unexport PYTHONDONTWRITEBYTECODE
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# What `make train` trains on: all-atom chains (index.csv with id, pdb_id, sequence, cluster80, split; chains/<id>.pdb.gz)
# and C1' traces (c1_coords.csv.gz with id, resid, resname, x, y, z; index.csv with id, pdb_id, date).
RNA_PREDICT_SHARED ?= ../shared
ALL_ATOM ?= $(RNA_PREDICT_SHARED)/data/rna3d
TRACES ?= $(RNA_PREDICT_SHARED)/data/rna3d_c1
# Where it works; what is there is not made again, and a training that was stopped goes on.
TRAIN ?= results/geometry
PROFILE ?= small
# 2a64_A holds the whole of 3dhs_A, which validates (docs/decisions/0011-datasets.md).
TRAIN_SET ?= --set 'data.exclude=[2a64_A]'
# A half of the clusters trains for as many passes as the whole.
HALF_SET ?= --set trainer.steps=640 --set validation.every=320
MODELS_SET ?= --per-cluster 1 --config stage_d.models=3
QUALITY_SET ?=
.PRECIOUS: $(TRAIN)/run_without_%/partial.safetensors

# What tests/workflow/slurm_cluster.py runs: without it those tests are skipped.
SLURM := slurmctld slurmd slurm-client munge

.PHONY: predict test test-slow train lint docs install install-test install-slurm install-browser clean
.DEFAULT_GOAL := predict

predict: install
	@$(BIN)/snakemake --cores $(CORES) --quiet host rules -- $(EXAMPLES)
	@echo "Done: $(EXAMPLES)"

test: install-test
	@$(PYTEST) -n $(JOBS) --dist loadfile -m "not slow"

test-slow: install-test
	@$(PYTEST) -m slow

# Traces, leaving out what is near to a chain that does not train; a dataset of both kinds of chains; stage A's pairs
# for all of them; the training; and the weights file, which is rna_predict/weights/geometry_small.safetensors. Then the
# quality network: geometry networks of which each leaves a half of the clusters out, models of each half by the one that
# does not know it, the training on them, and rna_predict/weights/quality_small.safetensors.
train: $(TRAIN)/geometry_small.safetensors $(TRAIN)/quality_small.safetensors

$(TRAIN)/structures/traces/index.csv: | $(VENV)/.installed-train
	@$(RNA_PREDICT) dataset traces $(TRACES)/c1_coords.csv.gz --out $(@D) --prefix c1_ --about $(TRACES)/index.csv --held-out $(ALL_ATOM)/index.csv --clusters-of $(ALL_ATOM)/index.csv

$(TRAIN)/chains/dataset.json: $(TRAIN)/structures/traces/index.csv
	@mkdir -p $(TRAIN)/structures/all_atom
	@ln -sf $(abspath $(ALL_ATOM))/chains/*.pdb.gz $(TRAIN)/structures/all_atom
	@$(RNA_PREDICT) dataset build $(TRAIN)/structures --out $(@D) --index $< --cluster-column cluster --split-column split --min-atoms 0.02 --processes $(JOBS)

$(TRAIN)/stages.json: $(TRAIN)/chains/dataset.json
	@$(RNA_PREDICT) dataset stages $(<D) --no-coordinates --processes $(JOBS) > $@.part
	@mv $@.part $@

$(TRAIN)/run/partial.safetensors: $(TRAIN)/stages.json
	@$(RNA_PREDICT) train geometry --out $(@D) --set network.untrained_profile=$(PROFILE) --set data.dataset=$(TRAIN)/chains $(TRAIN_SET)

$(TRAIN)/run_without_%/partial.safetensors: $(TRAIN)/stages.json
	@$(RNA_PREDICT) train geometry --out $(@D) --set network.untrained_profile=$(PROFILE) --set data.dataset=$(TRAIN)/chains $(TRAIN_SET) --set data.folds=2 --set data.fold=$* $(HALF_SET)

$(TRAIN)/models/models.json: $(TRAIN)/geometry_without_0.safetensors $(TRAIN)/geometry_without_1.safetensors $(TRAIN)/geometry_small.safetensors
	@$(RNA_PREDICT) dataset models $(TRAIN)/chains --out $(@D) --weights $(word 1,$^) --weights $(word 2,$^) --validation-weights $(word 3,$^) $(MODELS_SET) --processes $(JOBS)

$(TRAIN)/run_quality/partial.safetensors: $(TRAIN)/models/models.json
	@$(RNA_PREDICT) train quality --out $(@D) --set network.untrained_profile=$(PROFILE) --set data.dataset=$(<D) $(QUALITY_SET)

$(TRAIN)/geometry_small.safetensors: $(TRAIN)/run/partial.safetensors
	@$(RNA_PREDICT) weights merge $< --untrained $(PROFILE) --out $@

$(TRAIN)/geometry_without_%.safetensors: $(TRAIN)/run_without_%/partial.safetensors
	@$(RNA_PREDICT) weights merge $< --untrained $(PROFILE) --out $@

$(TRAIN)/quality_small.safetensors: $(TRAIN)/run_quality/partial.safetensors
	@$(RNA_PREDICT) weights merge $< --untrained $(PROFILE) --out $@

lint: install-test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint

# The documentation as a site in build/docs; a warning is an error.
docs: install-test
	@$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/docs-trees docs build/docs
	@echo "Done: build/docs/index.html"

install: $(VENV)/.installed

install-test: $(VENV)/.installed-test

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or say make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11." >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module does not work here; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# torch first and pinned: the range in pyproject.toml is then satisfied, and pip fetches no other build.
$(VENV)/.torch: Makefile | $(BIN)/python
	@echo "Installing $(TORCH)"
	@$(PIP) install $(TORCH)
	@touch $@

$(VENV)/.installed: pyproject.toml envs/constraints.txt $(VENV)/.torch
	@echo "Installing rna-predict and what it needs"
	@$(PIP) install -c envs/constraints.txt -e .
	@$(BIN)/python -m compileall -qq -j $(CORES) rna_predict $(VENV)/lib || true
	@touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	@echo "Installing what training needs"
	@$(PIP) install -c envs/constraints.txt -e ".[train]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need"
	@$(PIP) install -c envs/constraints.txt -e ".[test]"
	@$(PIP) install --no-deps $(PEER)
	@$(BIN)/python -m compileall -qq -j $(CORES) $(VENV)/lib || true
	@touch $@

# Debian's packages, where root runs and apt is there; else a line that says what is skipped.
install-slurm:
	@if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null && command -v munged >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SLURM); } >/dev/null 2>&1; \
	then echo "Installed $(SLURM)"; \
	else echo "No Slurm here (needs root and apt-get install $(SLURM)): its tests are skipped"; fi

# Chromium for the tests of the HTML report: Debian's package, where root runs and apt is there.
install-browser:
	@for attempt in found installed; do \
	  for name in chromium chromium-browser google-chrome-stable google-chrome; do \
	    $$name --version >/dev/null 2>&1 && exit 0; done; \
	  [ $$attempt = found ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing chromium" && \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1; \
	done; echo "The tests of the HTML report need Chromium. As root on Debian: apt-get install chromium" >&2; exit 1

clean:
	@rm -rf $(VENV) build rna_predict.egg-info
