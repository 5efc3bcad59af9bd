# Every command of the project; a bare `make` lists them, and a repeat installs nothing.
PYTHON ?= python3
STUBS  ?= client
SCHEMA ?= service

BIN   := .venv/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check
BUF   := $(BIN)/buf
TOGETHER := --dist loadfile --no-loadscope-reorder
NEEDS := pyproject.toml client/pyproject.toml constraints.txt

# A dead interpreter or a killed installation outdates every stamp; $(call setup,…) then starts over.
ALIVE := $(BIN)/python -c '' 2>/dev/null && test ! -e .venv/installing
ifeq ($(shell test ! -e .venv || { $(ALIVE); } || echo broken),broken)
NEEDS += broken
endif

# $(call setup,REQUIREMENT): both parts in one command, for no index knows the client of a fresh clone.
define setup
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
@{ $(ALIVE) && $(PIP) --version; } >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
@touch .venv/installing
$(PIP) install --quiet -c constraints.txt -e ./client -e $(1) || { rm .venv/installing; exit 1; }
@rm .venv/installing
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help serve stack stack-secrets demo assess test test-fast check proto triton proto-release bench drift replicas accuracy pretrain deploy image image-test sbom broken

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

serve: .venv/serve.done  ## serve the shipped foundation model on 127.0.0.1; SONOBA_* variables set it up
	$(BIN)/sonoba serve

stack: .venv/serve.done  ## serve with re-evaluator, Prometheus and Alertmanager on this machine (docs/one-machine.md)
	$(BIN)/python -m deploy.stack

COMPOSE_SECRETS ?= stack/compose
stack-secrets: $(addprefix $(COMPOSE_SECRETS)/,admin.token webhook.token)  ## make the secrets that deploy/compose.yaml mounts

# Containers have users of their own, so they may be read by all, in a folder where nobody else comes.
$(COMPOSE_SECRETS)/%.token:
	@umask 077 && mkdir -p $(@D) && head -c 32 /dev/urandom | base64 | tr -d '=' >$@.new && chmod 444 $@.new && mv $@.new $@

demo: .venv/demo.done  ## serve, predict on the bundled data and plot the answers
	$(BIN)/sonoba demo

assess: .venv/assess.done  ## assess the shipped data: may a model of it be started? writes out/assess/report.html
	$(BIN)/sonoba assess service/demo_data/bikeshare.csv --group week --target log_bikers --in-order --out out/assess/report.html

# Thousands of processes start in the tests: what is compiled is kept, whatever the environment says.
test test-fast: export PYTHONDONTWRITEBYTECODE :=
# Tests run in several processes: threads of arithmetic below them would only wait for each other.
test test-fast: export OPENBLAS_NUM_THREADS ?= 1
test test-fast: export OMP_NUM_THREADS ?= 1

test: .venv/dev.done  ## run every test; those that need torch only where it is present
	$(BIN)/python -m pytest -q -n 3 $(TOGETHER) -m "not image"

test-fast: .venv/dev.done  ## run the tests that take less than half a second each
	$(BIN)/python -m pytest -q -n 2 $(TOGETHER) -m "not slow"

check: .venv/dev.done .venv-proto/done  ## format, lint, strict types, stub drift, contract, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	.ci/stubs-are-fresh
	$(BUF) format --diff --exit-code proto
	$(BUF) lint proto
	$(BUF) breaking proto --against proto/released.binpb
	$(BIN)/python -m pytest -q tests/test_architecture.py

proto: .venv-proto/done  ## regenerate the stubs after a change of the contract
	.venv-proto/bin/python -m grpc_tools.protoc -Iproto --python_out=$(STUBS) --pyi_out=$(STUBS) \
	  --grpc_python_out=$(STUBS) proto/sonoba/v1/*.proto
	.venv-proto/bin/python -m grpc_tools.protoc -Iproto \
	  --descriptor_set_out=$(SCHEMA)/open_inference.binpb proto/inference/open_inference.proto

deploy: .venv-deploy/done  ## install the tools that render and check deploy/kustomize; no cluster is asked

triton: .venv-triton/done  ## install the public client that the tests of the Open Inference Protocol call

proto-release: .venv/dev.done  ## make the contract as it stands the one that later changes must not break
	$(BUF) build proto --exclude-source-info -o proto/released.binpb

bench: .venv/dev.done .venv-peers/done  ## measure speed and memory on this machine, then `make drift`
	$(BIN)/python -m bench.serving
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.drift --gate

drift: .venv/dev.done  ## measure whether the monitor is right when it calls, and print its gates
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.drift --gate

replicas: .venv/dev.done  ## restart, replace, kill, add and remove replicas under load, the long form: about 13 minutes
	$(BIN)/python -m bench.replicas --gate

hostility: .venv/dev.done  ## overload, crowds, damaged requests and a soak, the long forms: about 40 minutes
	$(BIN)/python -m bench.serving.overload --gate
	$(BIN)/python -m bench.serving.connections
	$(BIN)/python -m bench.hostility.fuzz --minutes 10
	$(BIN)/python -m bench.hostility.soak --minutes 20

image:  ## build the image with docker, podman or buildah; IMAGE_FLAGS='--target pretrain' the other one
	$(PYTHON) deploy/image/build.py $(IMAGE_FLAGS)

image-test: .venv/dev.done .venv-sbom/done  ## build the image on a bootstrapped Debian and run it, as root, without a daemon
	$(BIN)/python -m pytest -q -m image tests/deploy/test_image.py

sbom: .venv-sbom/done  ## build the image, and list its software in out/image: SPDX and CycloneDX
	$(PYTHON) deploy/image/build.py --save out/image/sonoba.tar $(IMAGE_FLAGS)
	SYFT_CHECK_FOR_APP_UPDATE=false .venv-sbom/bin/syft scan --quiet docker-archive:out/image/sonoba.tar \
	  --output spdx-json=out/image/sonoba.spdx.json --output cyclonedx-json=out/image/sonoba.cyclonedx.json

accuracy: .venv/dev.done  ## measure errors and intervals on real groups; SETS=FOLDER takes others than the shipped
	$(BIN)/python -m bench.accuracy $(if $(SETS),--sets $(SETS))

pretrain: .venv/dev.done  ## train the foundation model's steps again; needs torch, installs none
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  echo "pretraining needs torch, which comes in a CPU and a CUDA build: see README, Pretraining" >&2; exit 1; }
	$(BIN)/sonoba pretrain-foundation

.venv/serve.done: $(NEEDS)
	$(call setup,.)
	@touch $@

.venv/demo.done: $(NEEDS)
	$(call setup,'.[demo]')
	@touch $@ .venv/serve.done

.venv/assess.done: $(NEEDS)
	$(call setup,'.[assess]')
	@touch $@ .venv/demo.done .venv/serve.done

.venv/dev.done: $(NEEDS)
	$(call setup,'.[dev]')
	@touch $@ .venv/assess.done .venv/demo.done .venv/serve.done

# Places of their own (.venv-NAME, of .ci/NAME-requirements.txt) for what the server shall not share: `proto`, `triton` and
# `peers` want another protobuf (the generator Python 3.11-3.13), `deploy` and `checkov` bring libraries, `sbom` is seventy megabytes.
.venv-%/done: .ci/%-requirements.txt
	@.venv-$*/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@
