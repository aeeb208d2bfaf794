# The two that matter: `make demo` and `make test`. Both need only cargo.

FUZZ_SECONDS ?= 60
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
PROMPT ?=

.PHONY: demo test test-sdks simulate hostile lint bench bench-gateway fuzz docs

# Plays seven scenes against emulated providers: no key, no network.
# make demo REAL=1 PROMPT="..." plays the first one against the real ones.
demo:
ifdef REAL
	@cargo run -p leverframe -- demo --real $(if $(PROMPT),--prompt "$(PROMPT)")
else
	@cargo run -p leverframe -- demo
endif

# Set WIRE_CORPUS to a folder of recorded provider traffic to test against that as well.
test:
	cargo test --workspace
	cargo test -p leverframe --features otlp --test otlp
	cargo test --manifest-path fuzz/Cargo.toml --lib
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p leverframe-core --lib interleavings

# The official Python and Node SDKs against the gateway; installs them.
test-sdks:
	./tests/sdk/run.sh

# The scenarios of `make test` at full length, with their figures: an hour of
# traffic at 100 requests a second, an outage at 1000, in virtual time.
simulate:
	SIMULATE_FULL=1 cargo test --release -p leverframe-tests --test simulation -- --nocapture --test-threads 1

# The attacks of `make test` at full scale: thousands of slow and silent
# clients, as many as the limit of open files has room for.
hostile:
	HOSTILE_FULL=1 cargo test --release -p leverframe-tests --test hostile -- --nocapture --test-threads 1

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p leverframe --all-targets --features otlp -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

bench:
	cargo bench -p leverframe-benches

# The gateway on one core, beside haproxy (Debian: apt install haproxy), with the
# upstream and the load on another. Prints ratios.
bench-gateway:
	@command -v haproxy >/dev/null || { echo "haproxy is not installed: apt install haproxy" >&2; exit 1; }
	cargo build --release -p leverframe
	cargo bench -p leverframe-benches --bench gateway --no-run
	ulimit -n 8192 && LEVERFRAME_BIN="$(CURDIR)/target/release/leverframe" \
		taskset -c 1 cargo bench -p leverframe-benches --bench gateway

# Each target for FUZZ_SECONDS, on stable: our code has no unsafe, so no sanitizer is needed.
fuzz:
	@command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
	@for target in $(FUZZ_TARGETS); do \
		echo "== $$target"; \
		mkdir -p fuzz/corpus/$$target; \
		cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

# Draws docs/lifecycle.md from the transition table and docs/configuration.md from the configuration's
# structs, and builds the API documentation.
docs:
	UPDATE_DOCS=1 cargo test -p leverframe-tests --test lifecycle_docs --test configuration_docs
	cargo doc --workspace --no-deps
