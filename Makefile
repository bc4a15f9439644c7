# make call    set up what is missing and serve the call page on http://localhost:8080
# make test    set up what is missing, with the test tools, then check and test everything
# make setup   leave .venv/bin/splatcall ready (both of the above start with it)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := setup

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := $(BIN)/pip --disable-pip-version-check
PORT ?= 8080
LOAD_PORT ?= 8090
LOAD_USERS ?= 2
LOAD_TIME ?= 60s
CLIP ?=
CLIPS ?=
export PATH := $(abspath $(BIN)):$(PATH)

# what a bare Debian 12 lacks: (a) to build, (b) for MediaPipe, (c) for the browser tests
APT_BUILD := python3-venv python3-dev
APT_MEDIAPIPE := libgl1 libglib2.0-0 libegl1 libgles2
NPM_CHROMIUM := @sparticuz/chromium@153.0.0

NATIVE_SOURCES := $(wildcard codec/native/CMakeLists.txt codec/native/src/*)

.PHONY: setup setup-test call test check format load bench clean

## set-up, each step with a stamp so that a second call is quick

setup: $(STAMPS)/native $(STAMPS)/models

$(STAMPS)/system:
	@missing=""; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || { echo "splatcall needs Python 3.11, $(PYTHON) is $$("$(PYTHON)" -V 2>&1)" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import ensurepip, os, sysconfig as s; open(os.path.join(s.get_path("include"), "Python.h"))' \
	    2>/dev/null || missing="$(APT_BUILD)"; \
	"$(PYTHON)" -c 'import ctypes; [ctypes.CDLL(n) for n in ("libGL.so.1", "libEGL.so.1", "libGLESv2.so.2", "libgthread-2.0.so.0")]' \
	    2>/dev/null || missing="$$missing $(APT_MEDIAPIPE)"; \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        apt-get update -qq; \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	    else \
	        echo "system packages are missing; as root run:" >&2; \
	        echo "    apt-get install -y --no-install-recommends $$missing" >&2; \
	        case "$$missing" in *python3-venv*) exit 1;; esac; \
	        echo "going on without them: importance by MediaPipe will be off" >&2; \
	    fi; \
	fi
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/builders: constraints.txt | $(STAMPS)/system
	$(PIP) install -q -c constraints.txt scikit-build-core nanobind cmake ninja
	@touch $@

# run-time packages and the native module, built into build/native, which is kept: an edit rebuilds in seconds
$(STAMPS)/native: $(STAMPS)/builders pyproject.toml codec/__init__.py $(NATIVE_SOURCES)
	$(PIP) install -q -c constraints.txt --no-build-isolation -e .
	@touch $@

$(STAMPS)/models: codec/importance/fetch.py | $(STAMPS)/native
	$(BIN)/python -m codec.importance.fetch
	@touch $@

setup-test: setup $(STAMPS)/test $(STAMPS)/node $(STAMPS)/browser

$(STAMPS)/test: pyproject.toml constraints.txt | $(STAMPS)/native
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[test]'
	@touch $@

$(STAMPS)/node: client_web/package.json client_web/package-lock.json | $(STAMPS)/test
	cd client_web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Chromium: the system's, else through apt as root, else the npm build behind a small start script
$(STAMPS)/browser: | $(STAMPS)/test
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
	    mkdir -p $(VENV)/chromium; \
	    npm install --prefix $(VENV)/chromium --no-audit --no-fund --loglevel=error $(NPM_CHROMIUM); \
	    cd $(VENV)/chromium; \
	    TMPDIR="$$PWD" AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x node --input-type=module -e \
	        'import c from "@sparticuz/chromium"; console.log(await c.executablePath())'; \
	    printf '#!/bin/sh\nhere=%s\nLD_LIBRARY_PATH="$$here/al2023/lib:$$here/lib" exec "$$here/chromium" "$$@"\n' "$$PWD" \
	        > ../bin/chromium; \
	    chmod +x ../bin/chromium; \
	fi
	@touch $@

## what people run

call: setup
	$(BIN)/splatcall serve --port $(PORT)

test: check
	$(BIN)/pytest

check: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy codec server tests loadtest
	cd client_web && npx tsc --noEmit -p .
	node --test --test-reporter=dot "client_web/**/*.test.js"
	$(BIN)/hadolint docker/Dockerfile

format:
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

# two callers for a minute against a server of their own; locust's CSV and HTML in loadtest/out
load: setup $(STAMPS)/test
	@mkdir -p loadtest/out
	@$(BIN)/splatcall serve --port $(LOAD_PORT) & server=$$!; trap 'kill $$server; wait $$server || true' EXIT; \
	for attempt in {1..60}; do \
	    $(BIN)/python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$(LOAD_PORT)/healthz')" 2>/dev/null && break; \
	    sleep 0.5; \
	done; \
	$(BIN)/locust -f loadtest/locustfile.py --headless --only-summary --users $(LOAD_USERS) --spawn-rate 2 \
	    --run-time $(LOAD_TIME) --host http://127.0.0.1:$(LOAD_PORT) \
	    --csv loadtest/out/call --html loadtest/out/call.html

bench: setup $(STAMPS)/test
	mkdir -p out
	$(BIN)/splatcall bench speed --json out/speed.json $(if $(CLIP),--clip $(CLIP))
	$(if $(CLIPS),$(BIN)/splatcall bench rd --clips $(CLIPS) --json out/rd.json --plot out/rd.png --cache out/rd)

clean:
	rm -rf $(VENV) build dist client_web/node_modules loadtest/out out .mypy_cache .pytest_cache .ruff_cache
