# The front door. Every target brings what it needs: Debian packages when run as root (named in one line otherwise),
# Python packages in virtual environments beside this file, pinned in tools/requirements/.
#
#   make run    make test    make help

BUILD ?= build
MESON_OPTIONS ?=
FUZZ_SECONDS ?= 60
PREFIX ?= /usr/local
export NNM_SHARED ?= $(abspath ../shared)

VENV := .venv
SETUP := tools/setup.sh
PROGRAM := $(BUILD)/nn-meter

.DEFAULT_GOAL := build
.PHONY: help run build test bench accuracy python wheel train fuzz lint format docs doors hybrids torchvision examples install clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: build ## build, then predict the bundled models on all devices
	@tools/demo.sh $(PROGRAM)

build: $(BUILD)/build.ninja ## build/nn-meter, optimised
	@ninja -C $(BUILD) $(NINJA_FLAGS)

$(BUILD)/build.ninja:
	@$(SETUP) packages build
	@$(SETUP) packages fetch || echo 'setup: built without nn-meter fetch' >&2
	@meson setup $(BUILD) --buildtype=release --prefix=$(abspath $(PREFIX)) $(MESON_OPTIONS)

build-sanitize/build.ninja:
	@$(SETUP) packages build
	@$(SETUP) packages fetch || true
	@meson setup build-sanitize --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false $(MESON_OPTIONS)

test: build build-sanitize/build.ninja ## everything that must hold: unit, corpus, layers, headers, parity, wild models
	@tools/test.sh $(PROGRAM) $(BUILD) build-sanitize

bench: build python ## side by side with nn-meter 2.0; writes docs/bench.md
	@$(SETUP) venv $(VENV) tools/requirements/test.txt
	@ninja -C $(BUILD) --quiet bench/bench_predict tools/time_kernels bench/measure
	@reference=; $(SETUP) venv .venv-nn-meter-2.0 tools/requirements/nn-meter-2.0.txt && \
	  reference='--reference .venv-nn-meter-2.0'; \
	$(VENV)/bin/python bench/bench.py --program $(PROGRAM) --bench-program $(BUILD)/bench/bench_predict \
	  --python .venv-fit/bin/python $$reference --write docs/bench.md $(BENCH_OPTIONS)

accuracy: build python ## error on models, families and devices never seen (an hour and a half; ACCURACY_OPTIONS=--quick: two minutes)
	@.venv-fit/bin/python tools/accuracy/protocol.py --shared $(NNM_SHARED) --build $(BUILD) $(ACCURACY_OPTIONS)
	@case "$(ACCURACY_OPTIONS)" in *--quick*) ;; *) \
	  .venv-fit/bin/python tools/accuracy/baselines.py --shared $(NNM_SHARED) ;; esac
	@python3 tools/accuracy/accuracy.py --program $(PROGRAM) --shared $(NNM_SHARED) $(ACCURACY_OPTIONS)

python: ## the Python package nn_meter, in .venv-fit with what nn_meter.fit needs
	@$(SETUP) packages build python
	@$(SETUP) venv .venv-fit tools/requirements/fit.txt
	@$(SETUP) package .venv-fit build-python

wheel: ## the Python package as dist/*.whl, for Python 3.9 and later on this or another Linux
	@$(SETUP) packages build python
	@$(SETUP) packages fetch || echo 'setup: built without nn-meter fetch' >&2
	@$(SETUP) venv .venv-wheel tools/requirements/wheel.txt
	@$(SETUP) wheel .venv-wheel build-python dist

train: build python ## train the shipped predictors anew (torch, the public benchmark)
	@.venv-fit/bin/python tools/train/train.py --build $(BUILD) --shared $(NNM_SHARED) $(TRAIN_OPTIONS)

fuzz: ## libFuzzer on every reader, FUZZ_SECONDS each
	@$(SETUP) packages build fuzz
	@tools/fuzz.sh build-fuzz $(FUZZ_SECONDS)

lint: ## format, static analysis, layers, file sizes, Python, shell
	@$(SETUP) packages build lint
	@$(SETUP) venv .venv-lint tools/requirements/lint.txt
	@tools/lint.sh

format: ## rewrite the C and Python sources in the project's format
	@$(SETUP) packages lint
	@$(SETUP) venv .venv-lint tools/requirements/lint.txt
	@tools/lint.sh --write

docs: build ## rewrite the generated regions of README.md and docs/
	@ninja -C $(BUILD) --quiet tools/lists
	@python3 tools/generate_docs.py --program $(PROGRAM) --lists $(BUILD)/tools/lists

doors: build ## the same networks through every door (Keras, torch; 20 minutes, 4 GB); writes docs/doors.md
	@$(SETUP) venv .venv-doors tools/requirements/doors.txt
	@python3 tools/doors.py --program $(PROGRAM) --python .venv-doors/bin/python --write docs/doors.md $(DOORS_OPTIONS)

hybrids: build ## LeViT, MobileViT, Swin and others on the phones (timm, transformers; 20 minutes, 2 GB); writes docs/hybrids.md
	@$(SETUP) venv .venv-hybrids tools/requirements/hybrids.txt
	@python3 tools/hybrids/hybrids.py --program $(PROGRAM) --python .venv-hybrids/bin/python \
	  --write docs/hybrids.md $(HYBRIDS_OPTIONS)

torchvision: build ## export torchvision's networks anew (torch; an hour, 8 GB); writes src/torchvision, docs/torchvision.md
	@$(SETUP) packages build python
	@$(SETUP) venv .venv-torchvision tools/requirements/torchvision.txt
	@$(SETUP) package .venv-torchvision build-python
	@ninja -C $(BUILD) --quiet tools/list_values
	@.venv-torchvision/bin/python -W ignore tools/torchvision/make_graphs.py --build $(BUILD) $(TORCHVISION_OPTIONS)
	@ninja -C $(BUILD) $(NINJA_FLAGS)
	@python3 tools/torchvision/time_networks.py $(PROGRAM) --write docs/torchvision.md
	@$(SETUP) package .venv-torchvision build-python
	@.venv-torchvision/bin/python -m pytest -q -rs -p no:cacheprovider tests/python/package/test_torchvision.py

examples: ## export the bundled models anew (torch)
	@$(SETUP) venv .venv-fit tools/requirements/fit.txt
	@.venv-fit/bin/python examples/export.py

install: build ## into PREFIX, default /usr/local
	@meson install -C $(BUILD)

clean: ## remove what was built; the virtual environments and downloads stay
	rm -rf build build-sanitize build-fuzz build-python build-python-sanitize dist
