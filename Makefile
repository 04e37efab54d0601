# `make demo` and `make test` need Rust and nothing else. Where another tool is needed, it is installed into .tools/ first.

TOOLS := $(CURDIR)/.tools
BIN := $(TOOLS)/venv/bin
LISTEN ?= 127.0.0.1:9000
DYNAMODB ?= 127.0.0.1:8000
CONSENT ?= 127.0.0.1:9001
FUNCTION ?= receive
EVENT ?= email.bounced
CLOCK ?= 1
RATE ?= 300
EVENTS ?= 1000000
BUILT := $(or $(CARGO_TARGET_DIR),target)
TARGET ?= $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
TIME ?= 600
# The languages in which the code of the pages and docs/spelling is run. Go is run too if Debian's packages are installed.
REQUIRE_SNIPPETS ?= python $(if $(shell command -v npm),ts)
SNIPPETS = $(BIN)/boto3 $(if $(shell command -v npm),$(TOOLS)/node/installed)
# The official packages that test the emulators: Resend's for Python and Node, and Amazon's.
OFFICIAL = $(BIN)/boto3 $(BIN)/resend $(if $(shell command -v npm),$(TOOLS)/node/installed $(TOOLS)/node/resend)
REQUIRE_OFFICIAL ?= boto3 resend-python $(if $(shell command -v npm),resend-node)
FUNCTIONS := --bin receive --bin protect --bin engage --bin consent --bin act
# The database of advisories is at GitHub, which not every machine can ask: then that one check is left out, and says so.
# The browser that visits the pages of consent, and whether it has to be there.
CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome))
BROWSER = $(TOOLS)/node/installed $(TOOLS)/node/browser
REQUIRE_BROWSER ?= $(if $(shell command -v npm),$(if $(CHROMIUM),1))
ADVISORIES ?= if-reachable
# JSON=1 where a bench is to be read by a program: `make --silent bench JSON=1`.
AS_JSON = $(if $(JSON),--json)

DENY := $(TOOLS)/bin/cargo-deny --workspace --locked
# What needs no account, built without the SDK crates of one. The command `rebound` can all that too.
DEV_COMMAND := cargo run --package rebound-dev --
WITH_TOOLS := PATH="$(BIN):$$PATH" SAM_CLI_TELEMETRY=0
CARGO_LAMBDA := $(WITH_TOOLS) cargo lambda
SAM := $(WITH_TOOLS) sam
# Asks and shows more than sam does. make passes the values of STACK and PARAMETERS unchanged.
DEPLOY := $(WITH_TOOLS) $(BIN)/python3 scripts/deploy.py
OF_STACK = $(if $(STACK),--stack $(STACK))

.PHONY: help demo test lint fmt dev watch invoke build install package deploy update delete bench bench-protect bench-latency soak clean fuzz deny deps bench-growth bench-micro bench-price benched browse contract

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run the whole service in memory, and check it against its contract
	@$(DEV_COMMAND) demo

# Four tests for each core: many wait for a queue's or a feeder's time, and not for the processor.
test: ## run every test, also on the inputs that the fuzzers found
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((4 * $$(getconf _NPROCESSORS_ONLN)))} cargo test --workspace

# Stable Rust has no sanitizers. They would look for what only unsafe code does, which is forbidden here; panics, overflows, endless
# loops and what the targets assert are found without. It needs a C++ compiler, for libFuzzer. What it finds of interest is in
# fuzz/found/, what fails in fuzz/artifacts/. To keep what was found: scripts/corpus.py pack fuzz/found/event fuzz/corpus/event.txt
fuzz: $(TOOLS)/bin/cargo-fuzz ## run libFuzzer on one target after another; the first build takes minutes: TIME=600 seconds each, TARGET=stream for one
	@for target in $(TARGET); do echo "$$target: $(TIME) seconds"; scripts/corpus.py unpack fuzz/corpus/$$target.txt fuzz/found/$$target; \
	PATH="$(TOOLS)/bin:$$PATH" cargo fuzz run --sanitizer none $$target fuzz/found/$$target -- \
		-max_total_time=$(TIME) -max_len=8192 -timeout=10 -dict=fuzz/dictionary -print_final_stats=1 || exit 1; done

lint: deny $(BIN)/cfn-lint $(BIN)/sam $(BIN)/anthropic $(BIN)/moto $(BIN)/cargo-lambda $(OFFICIAL) $(SNIPPETS) $(if $(REQUIRE_BROWSER),$(BROWSER)) ## run every check but the tests: format, clippy, words, links, dependencies, template, deploy script, the code in the pages, requests to Claude, the emulators against other clients and engines, the pages of consent in a browser
	cargo fmt --check
	scripts/arrows.py
	scripts/words.py
	scripts/test_links.py --quiet
	scripts/links.py
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --lib $(FUNCTIONS) -- -D warnings
	scripts/linked_crates.py --check
	scripts/compiled_once.py
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	$(BIN)/cfn-lint template.yaml docs/cloudfront.yaml
	AWS_DEFAULT_REGION=eu-west-1 $(SAM) validate --lint
	$(BIN)/python3 scripts/check_deploy.py
	REQUIRE_ANTHROPIC=1 cargo test --test it engage::conforms
	REQUIRE_SNIPPETS="$(REQUIRE_SNIPPETS)" cargo test --package rebound-cli --test it operate::snippets
	REQUIRE_MOTO=1 cargo test --package rebound-cli --test it second_engine
	REQUIRE_OFFICIAL="$(REQUIRE_OFFICIAL)" cargo test --package rebound-cli --test it official::
	REQUIRE_BROWSER="$(REQUIRE_BROWSER)" CHROMIUM="$(CHROMIUM)" cargo test --package rebound-cli --test it browse:: -- --nocapture

browse: $(BROWSER) ## open the pages of consent in Chromium, in each language, by keyboard alone; the screenshots are in .local/pages
	REQUIRE_BROWSER=1 CHROMIUM="$(CHROMIUM)" PICTURES="$(CURDIR)/.local/pages" \
		cargo test --package rebound-cli --test it browse:: -- --nocapture

# A debug build of the tool: it is built in a minute, and checks in seconds.
deny: $(TOOLS)/bin/cargo-deny ## check licences, duplicates, sources and security advisories of every dependency: ADVISORIES=required fails without the advisories
	$(DENY) check --hide-inclusion-graph -D unmatched-skip -D unnecessary-skip licenses bans sources
	@if GIT_TERMINAL_PROMPT=0 $(if $(shell command -v timeout),timeout 90) $(DENY) fetch db; then \
		$(DENY) check --disable-fetch advisories; \
	elif [ "$(ADVISORIES)" = required ]; then exit 1; \
	else echo "SKIPPED: the check for advisories. Their database can't be fetched from here; what was said is above."; fi

deps: ## build the functions, and write the list of crates in each of them to docs/dependencies.md
	scripts/linked_crates.py

fmt: ## format the code
	cargo fmt

dev: ## run the whole service in one process: LISTEN=127.0.0.1:9000 DYNAMODB=127.0.0.1:8000 CONSENT=127.0.0.1:9001 CLOCK=600; FOLLOWUPS=send make dev sends follow-ups, to a stub of Resend
	@$(DEV_COMMAND) dev --listen $(LISTEN) --dynamodb $(DYNAMODB) --consent $(CONSENT) --clock $(CLOCK)

watch: $(BIN)/cargo-lambda ## run the real functions with `cargo lambda watch`, on the embedded AWS, which invokes them as Lambda would
	@cargo build --package rebound-dev
	@mkdir -p .local && rm -f .local/aws.env
	@$(BUILT)/debug/rebound-dev dev --aws-only --dynamodb $(DYNAMODB) --consent $(CONSENT) --invoke http://$(LISTEN) > .local/aws.env & aws=$$!; \
	trap 'kill $$aws 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	until grep -qs REBOUND_LOCAL .local/aws.env; do kill -0 $$aws 2>/dev/null || exit 1; sleep 0.1; done; \
	echo "the function URL: http://$(LISTEN)/lambda-url/receive/ (once it is built)"; \
	echo "unsubscribe links: http://$(CONSENT)/u/TOKEN; make invoke FUNCTION=consent EVENT=visit has one"; \
	echo "what was sent: GET $$(sed -n 's/^RESEND_BASE_URL=//p' .local/aws.env), a stub of Resend; FOLLOWUPS=send sends follow-ups to it"; \
	echo "what was published: GET $$(sed -n 's/^AWS_ENDPOINT_URL_SNS=//p' .local/aws.env)"; \
	$(CARGO_LAMBDA) watch --invoke-address $(word 1,$(subst :, ,$(LISTEN))) --invoke-port $(word 2,$(subst :, ,$(LISTEN))) \
		--env-file .local/aws.env

invoke: $(BIN)/cargo-lambda ## invoke a function of `make watch` with a sample: EVENT=email.bounced, signed now; or FUNCTION=protect EVENT=urgent, FUNCTION=engage EVENT=batch, FUNCTION=consent EVENT=one_click, FUNCTION=act EVENT=tick
	@mkdir -p .local
	@if [ $(FUNCTION) = receive ] || [ $(FUNCTION) = consent ]; then $(DEV_COMMAND) sample $(EVENT) > .local/event.json; \
	else cp events/$(FUNCTION)/$(EVENT).json .local/event.json; fi
	@if [ $(FUNCTION) = engage ]; then for what in delivered opened clicked; do $(DEV_COMMAND) sample email.$$what \
		--id msg_sample_$$what --post http://$(LISTEN)/lambda-url/receive/ || exit 1; done; fi
	@$(CARGO_LAMBDA) invoke $(FUNCTION) --invoke-address $(word 1,$(subst :, ,$(LISTEN))) \
		--invoke-port $(word 2,$(subst :, ,$(LISTEN))) --data-file .local/event.json

contract: ## compare what the code assumes about Resend's API with the API: RESEND_API_KEY=re_… CONTRACT="--from me@example.com", or CONTRACT=--local
	@cargo run --quiet --package rebound-dev --example contract -- $(CONTRACT) $(AS_JSON)

build: $(BIN)/cargo-lambda ## build the zip file of each function, for this machine's processor: target/lambda/*/bootstrap.zip
	$(CARGO_LAMBDA) build --release $(FUNCTIONS) --output-format zip

# Not optimised: that would take minutes, and it waits for the network, not for the processor.
install: ## install the command `rebound` with cargo, so that it is in your PATH
	cargo install --debug --locked --path crates/rebound-cli

package: $(BIN)/sam $(BIN)/cargo-lambda ## build with sam what would be deployed: PARAMETERS="Architecture=x86_64"
	@$(DEPLOY) package

deploy: $(BIN)/sam $(BIN)/cargo-lambda ## build and deploy the stack with sam: PARAMETERS="AlertEmail=you@example.com" STACK=staging; YES=1 does not ask
	@$(DEPLOY) deploy $(OF_STACK) $(if $(YES),--yes)

update: $(BIN)/sam $(BIN)/cargo-lambda ## deploy new code to one function of the stack: FUNCTION=receive STACK=staging
	@$(DEPLOY) update $(FUNCTION) $(OF_STACK)

delete: $(BIN)/sam ## delete the stack, except its tables: STACK=staging
	$(SAM) delete $(if $(STACK),--stack-name $(STACK))
	@echo "The tables stay: they hold the suppression list. The next make deploy takes them in."

bench: benched ## measure receive next to a baseline (one PutItem with the same runtime), and batches of protect and engage: JSON=1 prints JSON
	@$(BUILT)/tools/bench --binaries $(BUILT)/release $(AS_JSON)

bench-growth: benched ## measure the cost of an event while 0, 100,000 and 1,000,000 events are stored: STORED=0,1000
	@$(BUILT)/tools/bench --binaries $(BUILT)/release growth $(if $(STORED),--stored $(STORED)) $(AS_JSON)

# What is measured, as it is deployed, and what measures it.
benched:
	@cargo build --release $(FUNCTIONS)
	@cargo build --release --package rebound-measured --bin bench-baseline --bin bench-hello --bin bench-allocations
	@cargo build --profile tools --package rebound-bench --bin bench --bin bench-price

bench-micro: ## measure verification, parsing, policy and verdict in nanoseconds, next to the official verifier
	cargo build --release --package rebound-measured --bin bench-micro
	$(BUILT)/release/bench-micro

bench-price: benched ## compute the AWS cost of a million everyday webhooks, from measured use: PRICE="--rate 10 --events 3000"
	@$(BUILT)/tools/bench-price --binaries $(BUILT)/release $(PRICE) $(AS_JSON)

bench-protect: ## measure protect on 100,000 delivered events, in DynamoDB units and time: RATE=300 events per second
	cargo run --release --package rebound-bench --bin bench-stream -- protect --rate $(RATE)

bench-latency: ## measure the time from a complaint to its alert, and of an opt-out, in the service of `make dev`
	cargo run --release --package rebound-bench --bin bench-stream -- latency

soak: ## send many webhooks to a service that is killed repeatedly, and whose calls fail, and check the follow-ups that are sent: EVENTS=1000000, SOAK="--kill-every 30 --faults 0.02"
	cargo build --profile tools --package rebound-dev --package rebound-bench --bin rebound-dev --bin bench-soak
	@$(BUILT)/tools/bench-soak --events $(EVENTS) $(SOAK) $(AS_JSON)

clean: ## delete everything that was built or installed here
	rm -rf target fuzz/target fuzz/found .tools .local .aws-sam

# Not optimised, as it only starts what is.
$(TOOLS)/bin/cargo-fuzz:
	cargo install --quiet --debug --locked --root $(TOOLS) cargo-fuzz

$(TOOLS)/bin/cargo-deny:
	cargo install cargo-deny --locked --debug --no-default-features --quiet --root $(TOOLS)

$(BIN)/python3:
	python3 -m venv $(TOOLS)/venv

# Of anthropic, boto3, moto and resend, which have no program of that name, only the mark that they are installed is in there.
$(BIN)/cargo-lambda $(BIN)/cfn-lint $(BIN)/anthropic $(BIN)/boto3 $(BIN)/resend: $(BIN)/python3
	$(BIN)/pip install --quiet --disable-pip-version-check $(notdir $@)
	@touch $@

$(BIN)/moto: $(BIN)/python3
	$(BIN)/pip install --quiet --disable-pip-version-check 'moto[server]'
	@touch $@

$(TOOLS)/node/installed:
	npm install --silent --no-audit --no-fund --prefix $(TOOLS)/node @aws-sdk/client-dynamodb typescript @types/node punycode
	@touch $@

$(TOOLS)/node/resend:
	npm install --silent --no-audit --no-fund --prefix $(TOOLS)/node resend
	@touch $@

$(TOOLS)/node/browser:
	npm install --silent --no-audit --no-fund --prefix $(TOOLS)/node puppeteer-core axe-core
	@touch $@

$(BIN)/sam: $(BIN)/python3
	$(BIN)/pip install --quiet --disable-pip-version-check aws-sam-cli
	@touch $@
