# The commands of the project. `make help` lists them.
VENV := .venv
PIP_INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# The first Python from 3.11 to 3.13 found here; `make PYTHON=/path/to/python ...` overrides.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install repro repair results ui diff plots notebooks demo serve check test test-scale bench bench-scale verify kill sample readme lock clean

help:
	@awk 'BEGIN {FS = ":.*## *"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build

install: $(VENV)/installed  ## create .venv with the locked packages

$(VENV)/bin/python:
	@case "$(CURDIR)" in *%*) echo "MLflow cannot be used from a folder with % in its path:" \
		"rename $(CURDIR), then run this command again."; exit 1;; esac
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found: install one, or run" \
		"'make PYTHON=/path/to/python $(MAKECMDGOALS)'."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "Install Python's venv module" \
		"(Debian: python3-venv), then run this command again."; exit 1; }

$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing $$(grep -c == requirements.txt) locked packages into $(VENV)" \
		"(about 3 GB; some minutes the first time)"
	@$(PIP_INSTALL) --quiet 'pip>=25.1'  # shows the progress of the installation
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/installed-demo: requirements/demo.txt $(VENV)/installed
	@$(PIP_INSTALL) -r requirements/demo.txt
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed-demo
	@$(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

$(VENV)/installed-scale: requirements/scale.txt $(VENV)/installed-dev
	@$(PIP_INSTALL) -r requirements/scale.txt
	@touch $@

# Without --remote, DVC warns that there is no default remote, though data.dvc names one. Imported data
# has no remote until one is added.
repro: install repair  ## run the whole pipeline, log it to MLflow, show the results
	@set -- pull $$(sed -n 's/^  remote: /--remote /p' data.dvc) data.dvc; \
		test $$# -gt 2 || dvc remote default > /dev/null 2>&1 || set -- checkout data.dvc; \
		echo "dvc $$*"; dvc "$$@" || { \
		test -z "$$(git ls-files --deleted .dvc/remote)" || echo "Files of the sample's remote" \
		"are missing: run 'git checkout .dvc/remote', then run this command again."; \
		test "$$1" = pull || echo "The imported data is not on this computer and no DVC remote has" \
		"it: import it, or add a remote (docs/own_data.md)."; exit 1; }
	dvc repro
	-python -m rakuten sync
	@$(MAKE) --no-print-directory results

# DVC writes dvc.lock and its list of files in use in place: a kill at that moment truncates them.
# If that is at the end of a line, stages of git's dvc.lock are missing, or the outputs of the last one.
STAGE := ^  [^ ]*:$$
LOST = git show HEAD:./dvc.lock 2> /dev/null | grep '$(STAGE)' | grep -vxFf dvc.lock | grep -xFf dvc.yaml; \
	test $$(grep -c '$(STAGE)' dvc.lock) -eq $$(grep -c '^    outs:$$' dvc.lock) || echo outputs
repair:  ## restore dvc.lock if a killed run has truncated it, or a merge has left conflicts in it
	@reason=$$(LC_ALL=C git rev-parse --git-dir 2>&1) || { echo "$$reason"; case "$$reason" in \
		*"not a git repository"*) echo "DVC needs one: clone the project with git, or run 'git init" \
		"&& git add -A && git commit -m start'.";; esac; exit 1; }
	@test ! -e dvc.lock || { test -z "$$(tail -c 1 dvc.lock)" && dvc stage list > /dev/null 2>&1 && \
		test -z "$$($(LOST))"; } || \
		git checkout $$(git ls-files --unmerged dvc.lock | sed -n '1s/.*/--ours/p') dvc.lock
	@test ! -e .dvc/tmp/rwlock || python -m json.tool .dvc/tmp/rwlock > /dev/null 2>&1 \
		|| rm .dvc/tmp/rwlock

results: install  ## show the results of the last `make repro`
	@python -m rakuten readme show
	@echo
	@echo "Compare the runs in a browser:  make ui"

##@ Compare

ui: install  ## open the runs in MLflow: http://127.0.0.1:5000
	python -m rakuten ui

# `make BASE=v1.0 diff` compares with another branch. The shell reads the name, make does not: it could
# hold a command.
diff: install  ## compare metrics and parameters with the branch main, in Markdown
	@base=$${BASE:-$$(git rev-parse --quiet --verify origin/main > /dev/null && echo origin/)main}; \
		echo "### Validation metrics" && echo && dvc metrics diff --md "$$base" && \
		echo "### Parameters" && echo && dvc params diff --md "$$base"

plots: install  ## write the plots of dvc.yaml as a web page, also usable offline: dvc_plots/
	-python -m rakuten plots
	dvc plots show about results training

notebooks: $(VENV)/installed-dev  ## open the notebooks in JupyterLab
	jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/03_results.ipynb

##@ Use

demo: $(VENV)/installed-demo  ## classify products in a browser: http://127.0.0.1:8501
	@python -m demo

serve: install  ## serve the champion: POST to http://127.0.0.1:5001/invocations
	@python -m rakuten serve

##@ Check

check: $(VENV)/installed-dev  ## lint, check import layers and types, run the quick tests
	ruff check
	ruff format --check
	lint-imports
	mypy
	python -m pytest

test: check $(VENV)/installed-scale  ## run `make check`, then the slow tests and those at scale
	python -m pytest -m "slow or scale" -rs -n 3 --dist loadgroup --no-loadscope-reorder

test-scale: $(VENV)/installed-scale  ## run the tests with Ray, Spark (needs Java) and an S3 server
	python -m pytest -m scale -rs

bench: $(VENV)/installed-dev  ## measure speed and memory: reports/benchmarks.md (minutes)
	python -m benchmarks

bench-scale: $(VENV)/installed-scale  ## measure Ray; estimate the cost of 100 million products (20 minutes)
	python -m benchmarks.scale
	python -m benchmarks.cost

verify: install  ## rebuild two clean clones and compare every byte
	python tests/verify_rebuild.py

kill: install  ## kill a small pipeline 20 times; check that it finishes with the same outputs (an hour)
	rm -rf build/killed
	git clone --quiet . build/killed/rakuten && ln -s "$(CURDIR)/$(VENV)" build/killed/rakuten/$(VENV)
	cd build/killed/rakuten && python -m rakuten sample --products 108 --floor 4 ../small \
		&& python -m rakuten import ../small
	python tests/kill_and_resume.py build/killed/rakuten
	rm -rf build/killed

##@ Maintain

sample: install  ## generate the synthetic sample again and import it
	rm -rf build/sample
	python -m rakuten sample --products 1350 --seed 1 --quality 36 build/sample
	python -m rakuten import build/sample
	dvc push --remote embedded data.dvc
	printf '  remote: embedded\n  push: false\n' >> data.dvc

readme: $(VENV)/installed-dev  ## update README.md, docs/ and the outputs of the notebooks
	python -m rakuten readme write
	python -m rakuten cards write
	python notebooks/write.py

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command "make lock"
lock:  ## compile the lock files from requirements/*.in (needs uv)
	$(COMPILE) requirements/base.in -o requirements.txt
	for name in demo dev scale; do \
		$(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit; done

clean:  ## remove what `make repro` builds, except the DVC cache and .venv
	rm -rf build dvc_plots mlflow.db mlartifacts
