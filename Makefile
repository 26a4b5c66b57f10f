# Every target sets itself up; only Python >= 3.11, git and make are needed (test-cuda: g++ as well).

.DEFAULT_GOAL := help
.PHONY: help demo test nightly nightly-power nightly-kernels nightly-speed nightly-cuda test-cuda device lint types readme clean require-g++
.DELETE_ON_ERROR:

# The first of these that is new enough and can make environments; `make PYTHON=/path/to/python …` chooses another.
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$name -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$name && break; done)
LAYERS := symbolic numeric properties reports
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

help:
	@echo 'make demo       set up and run the main job on README.md, ending with the path of a report'
	@echo 'make test       set up and run the tests'
	@echo 'make nightly    the tests with a wide, random search'
	@echo 'make nightly-power  what the properties are worth over ten seeds: docs/power.md'
	@echo 'make nightly-kernels  verify and validate every generated NumPy kernel: docs/kernels.md'
	@echo 'make nightly-speed  time the kernels on this machine: docs/speed.md, its picture, README.md; docs/growth.png'
	@echo 'make nightly-cuda   which tier sees which seeded fault of a CUDA kernel: docs/cuda-tiers.md; needs g++, and no GPU'
	@echo 'make test-cuda  compile and emulate the CUDA kernels; needs g++, and no GPU'
	@echo 'make device     on a machine with a GPU: wrappers, verification, tests, speed, sanitizers; results in build/device'
	@echo 'make lint       ruff'
	@echo 'make types      mypy --strict on all five folders'
	@echo 'make readme     run the snippets of README.md'
	@echo 'make clean      remove everything that make made'

demo: .venv/ready
	.venv/bin/kernelproof run README.md -o demo-report

# README.md's snippets are `make readme`.
test: .venv/ready
	.venv/bin/python -m pytest -n 2 --dist worksteal --ignore=tests/test_readme.py

nightly: .venv/ready
	HYPOTHESIS_PROFILE=nightly .venv/bin/python -m pytest -m 'not cuda' --ignore=tests/test_readme.py

# Goes on where it was stopped. The libraries that are installed in .venv are tried, the others are named as not run.
nightly-power: .venv/ready
	.venv/bin/python -m kernelproof.properties.campaign --record build/power.jsonl -o docs/power.md

# Goes on where it was stopped; a kernel whose text has changed is tried anew.
nightly-kernels: .venv/ready
	.venv/bin/python -m kernelproof.reports.kernels --record build/kernels.jsonl -o docs/kernels.md

# What is installed in .venv of torch, onnx and onnxruntime is timed, the rest is named as not installed.
nightly-speed: .venv/ready
	.venv/bin/kernelproof bench --json docs/speed.json
	.venv/bin/python -m kernelproof.reports.speed --from docs/speed.json --docs docs/speed.md --plot docs/speed.png --readme README.md
	.venv/bin/python -m kernelproof.reports.speed.growth --json docs/growth.json --plot docs/growth.png

test-cuda: require-g++ .venv-cuda/ready
	.venv-cuda/bin/python -m pytest -m cuda

# With an environment that is there already, such as one with PyTorch: make device DEVICE_PYTHON=python3 DEVICE='--seconds 300'
DEVICE_PYTHON ?= .venv-cuda/bin/python
device: $(if $(filter .venv-cuda/%,$(DEVICE_PYTHON)),.venv-cuda/ready)
	$(DEVICE_PYTHON) tests/cuda/on_device.py -o build/device $(DEVICE)

# Goes on where it was stopped.
nightly-cuda: require-g++ .venv-cuda/ready
	.venv-cuda/bin/python tests/cuda/tiers.py --record build/cuda-tiers.jsonl -o docs/cuda-tiers.md
	KERNELPROOF_CUDA_PROFILE=standard .venv-cuda/bin/python -m pytest -m cuda tests/cuda

lint: .venv/ready
	.venv/bin/ruff check --output-format concise .

# mypy cannot follow setuptools' package-dir: lay the folders out as the package that they are installed as. Given a package,
# mypy passes over what it cannot find in silence, so the number of files that it checked is compared with the folders.
types: .venv/ready
	@rm -rf build/types && mkdir -p build/types/kernelproof
	@ln -s $(addprefix $(CURDIR)/,$(wildcard kernelproof/*) $(LAYERS)) build/types/kernelproof/
	@cd build/types && $(CURDIR)/.venv/bin/python -m mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache -p kernelproof > report.txt; status=$$?; cat report.txt; exit $$status
	@there=$$(find kernelproof $(LAYERS) -name '*.py' | wc -l | tr -d ' '); \
		grep -q "in $$there source files" build/types/report.txt || \
		{ echo "make types: mypy did not check all $$there files; does every folder have an __init__.py?" >&2; exit 1; }

readme: .venv/ready
	.venv/bin/python -m pytest tests/test_readme.py

clean:
	rm -rf .venv .venv-cuda build dist *.egg-info demo-report .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find kernelproof $(LAYERS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

require-g++:
	@command -v g++ >/dev/null || \
		{ echo "make test-cuda: g++ was not found, and the CUDA tests need it: install g++" >&2; exit 1; }

# The default editable install finds new files by itself. The build runs with the pinned setuptools, not the newest one.
define set_up
	@if [ -z '$(PYTHON)' ] || ! '$(PYTHON)' -c '$(NEW_ENOUGH)' 2>/dev/null; then \
		echo "make: '$(or $(PYTHON),python3)' is not Python 3.11 or newer with the modules venv and ensurepip;" \
			"install one, or name one: make PYTHON=/path/to/python ..." >&2; exit 1; fi
	'$(PYTHON)' -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) -c constraints.txt setuptools
endef

.venv/ready: pyproject.toml constraints.txt
	$(set_up)
	.venv/bin/python $(PIP_INSTALL) -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

.venv-cuda/ready: pyproject.toml constraints.txt constraints-cuda.txt
	$(set_up)
	.venv-cuda/bin/python $(PIP_INSTALL) -c constraints.txt -c constraints-cuda.txt --no-build-isolation -e '.[cuda13]' \
		nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl
	@touch $@
