# Both `make demo` and `make test` install what is missing. CARGO_TARGET_DIR is honoured.

CARGO ?= cargo
# With arguments: make demo DEMO_ARGS="--csv commits.csv.gz"
DEMO_ARGS ?=
# What releases have and builds on the way to one do without.
RELEASE_FEATURES = otlp
# With some of them: make test FEATURES=otlp
FEATURES ?=
with_postgres = bin=$$(bash .ci/ensure-postgres) || exit 1; [ -z "$$bin" ] || export HIGHWATER_PG_BIN="$$bin";

.PHONY: demo test soak bench lint docs release

demo:
	@$(with_postgres) $(CARGO) run --quiet --locked -- demo $(DEMO_ARGS)

test:
	@$(with_postgres) $(CARGO) test --locked --features "$(FEATURES)"

soak:
	@$(with_postgres) HIGHWATER_SOAK=1 $(CARGO) test --locked

bench:
	@$(with_postgres) $(CARGO) bench --locked

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --features "$(RELEASE_FEATURES)" -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

release:
	$(CARGO) build --release --locked --features "$(RELEASE_FEATURES)"
