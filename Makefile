# Everything that a person or CI runs. `make` alone lists it.
#
# Modules are found, not listed, and each is built by itself: GOWORK=off, so
# that what is tested is what ships.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ROOT := $(CURDIR)
RUN := $(ROOT)/.run
TOOLS := $(ROOT)/.tools/bin
export GOWORK := off
# There is no module at the root, so git tells the version, not the go command.
export GOFLAGS := -buildvcs=false
export PATH := $(TOOLS):$(PATH)
# Its findings hold absolute paths: shared between checkouts, one that is gone
# makes exclusions and nolint comments of another miss.
export GOLANGCI_LINT_CACHE := $(ROOT)/.tools/cache/golangci-lint

MODULES := $(patsubst %/go.mod,%,$(wildcard proto/go.mod pkg/go.mod services/*/go.mod test/go.mod))
SERVICES := $(notdir $(patsubst %/main.go,%,$(wildcard services/*/main.go)))
# Services are released apart, by tags services/<name>/vX.Y.Z: each is called by its own
# newest one, and by what came after it. VERSION=v1.2.3 says otherwise.
VERSION ?=
version = $(or $(VERSION),$(patsubst services/$(1)/%,%,$(shell git describe --tags --match 'services/$(1)/v*' --always --dirty 2>/dev/null || echo devel)))
# The way to Cloud Storage by gRPC, which nobody here takes: a fifth of a binary, and
# 11 MiB of each process that keeps objects.
TAGS := disable_grpc_modules
ldflags = -X github.com/envision/resiliency/pkg/service.Version=$(call version,$(1))

# What `make test-unit ARGS='-run TestX'` adds to go test.
ARGS ?=
UNIT_FLAGS := -race -shuffle=on -timeout=10m
# One package at a time: each has a stack of its own, and two cores are few.
INTEGRATION_TIMEOUT ?= 40m
INTEGRATION_FLAGS = -count=1 -p=1 -timeout=$(INTEGRATION_TIMEOUT) -tags=integration
# The end-to-end tests watch race-built services and mostly wait for them. Their
# own process carries the traffic of all: raced itself, it takes a third of the
# machine from what it tests. E2E_FLAGS=-race for a look at it.
E2E_FLAGS ?= -parallel=4

comma := ,
say = @printf '==> %s\n' '$(1)'

##@ Use

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: machine cluster-tools build ## Run 200 real Jobs through the system and check every record
	@$(RUN)/bin/rig demo

.PHONY: up
up: machine cluster-tools build ## Start the system and leave it running; .run/env tells where
	@$(RUN)/bin/rig up

.PHONY: down
down: $(RUN)/bin/rig ## Stop what `make up` started
	@$(RUN)/bin/rig down

.PHONY: status
status: $(RUN)/bin/rig ## Show what is running
	@$(RUN)/bin/rig status

##@ Test

.PHONY: test
test: machine-race ## Run all tests: units, then integration on the real control plane and emulators
	@rm -rf $(RUN)/test; rc=0; \
	$(MAKE) test-unit || rc=1; \
	$(MAKE) test-integration || rc=1; \
	$(MAKE) test-report || rc=1; \
	exit $$rc

.PHONY: test-unit
test-unit: test-tools ## Run the unit tests of every module with the race detector
	@mkdir -p $(RUN)/test; rc=0; \
	for m in $(MODULES); do \
		printf '==> unit tests of %s\n' $$m; \
		(cd $$m && gotestsum --format=pkgname --format-hide-empty-pkg --hide-summary=skipped \
			--jsonfile=$(RUN)/test/unit-$${m//\//-}.json -- $(UNIT_FLAGS) $(ARGS) ./...) || rc=1; \
	done; exit $$rc

.PHONY: test-integration
test-integration: machine-race cluster-tools test-tools pages-tools build-race $(RUN)/bin/rig ## Run the integration tests against race-built services
	@mkdir -p $(RUN)/test; rc=0; \
	for m in $(MODULES); do \
		files=$$(cd $$m && grep -rlE '^//go:build .*\bintegration\b' --include='*_test.go' . || true); \
		[ -n "$$files" ] || continue; \
		tests=$$(cd $$m && grep -hoE '^func Test\w+\(t ' $$files | sed 's/func //; s/(t //' | sort -u | paste -sd '|'); \
		printf '==> integration tests of %s: real Kubernetes control plane and emulators\n' $$m; \
		with=; [ $$m = test ] || with="$(RUN)/bin/rig exec --dir $(RUN)/exec --tools $(TOOLS) --in $$m --"; \
		for part in all e2e; do \
			case $$part in all) flags=-race;; e2e) flags='$(E2E_FLAGS)';; esac; \
			packages=$$(dirname $$files | sort -u | grep $$([ $$part = e2e ] || echo -v) -x ./e2e || true); \
			[ -n "$$packages" ] || continue; \
			(case $$m in test) cd test;; esac; $$with gotestsum --format=testname \
				--jsonfile=$(RUN)/test/integration-$${m//\//-}-$$part.json -- $(INTEGRATION_FLAGS) $$flags -run "^($$tests)\$$" $(ARGS) $$packages) || rc=1; \
		done; \
	done; exit $$rc

.PHONY: test-report
test-report: ## Sum up the last `make test`; fails when no integration test ran
	@go -C test run ./cmd/testreport $(RUN)/test

# One test at a time: at full size each takes all that the control plane can give,
# 20,000 Jobs in all, and side by side they would measure one another.
.PHONY: soak
soak: ## Run the integration tests at full size (over an hour)
	@rm -rf $(RUN)/test; rc=0; \
	SOAK=1 $(MAKE) build test-integration E2E_FLAGS=-parallel=1 INTEGRATION_TIMEOUT=120m || rc=1; \
	$(MAKE) test-report || rc=1; \
	exit $$rc

.PHONY: bench
bench: machine cluster-tools build ## Measure, and write .run/bench/report.json
	@$(RUN)/bin/rig bench

##@ Build

.PHONY: tools
tools: ## Build every pinned tool once (minutes the first time)
	@tools/build.sh cluster proto test pages lint

# Before anything is built for minutes: can it run here at all?
.PHONY: machine machine-race
machine: $(RUN)/bin/rig
	@$(RUN)/bin/rig check
machine-race: $(RUN)/bin/rig
	@$(RUN)/bin/rig check --race --browser --python

.PHONY: cluster-tools
cluster-tools:
	@tools/build.sh cluster

.PHONY: build
build: $(RUN)/bin/rig ## Build the services and the rig into .run/bin
	@$(foreach s,$(SERVICES), \
		printf '==> build %s\n' $s; \
		go -C services/$s build -tags $(TAGS) -ldflags '$(call ldflags,$s)' -o $(RUN)/bin/$s .;)

.PHONY: build-race
build-race: ## Build the services with the race detector into .run/bin-race
	@$(foreach s,$(SERVICES), \
		printf '==> build %s with the race detector\n' $s; \
		go -C services/$s build -race -tags $(TAGS) -ldflags '$(call ldflags,$s)' -o $(RUN)/bin-race/$s .;)

# What the nodes of the cluster are, which need not be what this machine is.
PLATFORM ?= linux/amd64
# REGISTRY=europe-west4-docker.pkg.dev/my-project/resiliency names it for a registry.
REGISTRY ?=
image-name = $(if $(REGISTRY),$(REGISTRY)/)$(SERVICE):$(call version,$(SERVICE))

.PHONY: image
image: one-service ## Build the image of a service: make image SERVICE=status-updater
	$(call say,build image $(image-name))
	@docker build --platform=$(PLATFORM) -f services/$(SERVICE)/Dockerfile --build-arg VERSION=$(call version,$(SERVICE)) -t $(image-name) .

.PHONY: version
version: one-service ## Show what a service is called: make version SERVICE=status-updater
	@echo $(call version,$(SERVICE))

.PHONY: one-service
one-service:
	@[ -n "$(filter $(SERVICE),$(SERVICES))" ] || { echo 'say which: SERVICE=, one of $(SERVICES)' >&2; exit 1; }

# The go command knows best whether it is up to date.
.PHONY: $(RUN)/bin/rig
$(RUN)/bin/rig:
	$(call say,build the rig)
	@go -C test build -o $@ ./cmd/rig

.PHONY: test-tools
test-tools:
	@tools/build.sh test

.PHONY: pages-tools
pages-tools:
	@tools/build.sh pages

.PHONY: lint-tools
lint-tools:
	@tools/build.sh lint

.PHONY: proto-tools
proto-tools:
	@tools/build.sh proto

##@ Keep

.PHONY: gen
gen: proto-tools ## Generate Go and Python from the schemas
	$(call say,generate proto/gen and the Python contract)
	@cd proto && buf generate && buf build --as-file-descriptor-set --exclude-imports --exclude-source-info \
		-o ../pkg/jobs/python/envision_resiliency/contract.binpb

.PHONY: tidy
tidy: ## Tidy every module
	@for m in $(MODULES); do printf '==> tidy %s\n' $$m; go -C $$m mod tidy; done

.PHONY: fmt
fmt: ## Format all Go code
	@gofmt -w $(MODULES)

.PHONY: lint
lint: lint-go lint-proto ## Lint Go and the schemas

.PHONY: lint-go
lint-go: lint-tools
	@rc=0; for m in $(MODULES); do \
		printf '==> lint %s\n' $$m; \
		(cd $$m && golangci-lint run --config $(ROOT)/.golangci.yml ./...) || rc=1; \
	done; exit $$rc

.PHONY: lint-proto
lint-proto: proto-tools
	$(call say,lint proto)
	@cd proto && buf lint && buf format --diff --exit-code && buf build -o /dev/null
	@.ci/breaking

.PHONY: check
check: ## Check formatting, go vet, go.mod files and schemas: the quick part of verify
	$(call say,gofmt)
	@test -z "$$(gofmt -l $(MODULES) | tee /dev/stderr)"
	@rc=0; for m in $(MODULES); do \
		printf '==> vet and tidy %s\n' $$m; \
		go -C $$m vet -tags=integration ./... || rc=1; \
		go -C $$m mod tidy -diff || rc=1; \
	done; exit $$rc
	@$(MAKE) lint-proto

.PHONY: verify
verify: ## Regenerate, check and lint: the tree must not change
	@before=$$(.ci/fingerprint); $(MAKE) gen; \
	[ "$$before" = "$$(.ci/fingerprint)" ] || { git status --short proto pkg/jobs/python; echo 'what is generated is not what the schemas give: commit the result of make gen' >&2; exit 1; }
	@$(MAKE) check
	@$(MAKE) lint-go
	$(call say,verified: nothing to regenerate$(comma) tidy$(comma) format or lint)

.PHONY: clean
clean: ## Stop the system and delete what was built, but not the tools
	@if [ -x $(RUN)/bin/rig ]; then $(RUN)/bin/rig down; fi
	@rm -rf $(RUN)
