# Each target sets up .venv by itself. Afterwards `source .venv/bin/activate` gives dvc, mlflow and python directly.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test torture verify paper prune stages lint bench lock

repro: .venv/ready ## the whole comparison, stages side by side; reruns only what a change touches
	lobule repro

test: .venv/ready ## all tests, offline
	OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile

torture: .venv/ready ## kills, faults, bad inputs and corruption, hours; ARGS=--short for minutes
	python -m tests.torture $(ARGS)

verify: .venv/ready ## trains VARIANT (STUDY/VARIANT-PLAN) again: are its scores identical, within the band, or outside?
	lobule verify $(VARIANT)

paper: .venv/ready ## the papers' budgets, sources and weights into the parameters
	lobule paper

prune: .venv/ready ## takes stages that have left the pipeline out of the lock files
	lobule prune

stages: ## studies/stages.dvc.yaml into every study; pannuke has stages of its own
	@for folder in studies/*/; do name=$$(basename "$$folder"); case "$$name" in \
	    pannuke) ;; \
	    *[!A-Za-z0-9._-]*|[._-]*) echo "studies/$$name is no name of a study; rename the folder." >&2; exit 1 ;; \
	    *) sed "s/{study: NAME}/{study: $$name}/" studies/stages.dvc.yaml > "$$folder/dvc.yaml" ;; esac; done

lint: .venv/ready ## style and types
	ruff check && ruff format --check && mypy

bench: .venv/ready ## speed and memory, as ratios within one run, and where the time of a dvc repro goes
	python -m benchmarks.instance_metrics
	python -m benchmarks.convert_pannuke --tiles 300
	python -m benchmarks.tile_slide
	python -m benchmarks.repro_time
	python -m benchmarks.loader --sides 128
	python -m benchmarks.papers_size --folder $$(mktemp -d) --scale 0.02

lock: .venv/ready ## newest versions that fit pyproject.toml, with hashes
	uv pip compile --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
	    --python-version 3.11 --group dev pyproject.toml --output-file requirements.lock
	echo uv | uv pip compile --upgrade --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
	    --python-version 3.11 --output-file requirements-uv.lock -

# Made anew when a lock file changes, so that it never holds more or less than the lock says. Lobule itself is installed
# as it lies here, which gives the command.
.venv/ready: pyproject.toml requirements.lock requirements-uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lobule needs Python 3.11 or newer, not " + sys.version.split()[0] + "; set PYTHON=")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	.venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --require-hashes -r requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	touch $@
