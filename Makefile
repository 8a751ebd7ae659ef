# make run              sets everything up, starts the host, runs a first download; ONCE=1 ends after it
# make test             sets everything up and runs all tests; make soak in full sizes (hours)
# make lint             style, of every file
# make bench            figures beside other programs; ONLY=name for one
# make build            the host, debug; CONFIG=release for the optimised one
# make install          the optimised host, its SDK and the functions as samples to PREFIX
CONFIG ?= debug
PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift
ONCE ?=
ONLY ?=
PYTHON = .venv/bin/python
# Debug and release builds evict each other from one scratch folder.
SCRATCH ?= .build$(if $(filter release,$(CONFIG)),-release)
FERRY ?= $(SCRATCH)/$(CONFIG)/ferry

.PHONY: run test soak lint bench build build-tests install install-files setup clean

run: CONFIG = release
run: setup build
	@$(FERRY) demo $(if $(ONCE),--once)

setup:
	@scripts/setup

# SwiftPM caches the manifest by its text and the plan by its date, so it does not notice a new folder or file of a
# function by itself: when the set of files has changed, the manifest is touched and read anew.
FUNCTION_SET = $(SCRATCH)/function-set
build build-tests: setup
	@mkdir -p $(SCRATCH)
	@find functions Tests -name '*.swift' -o -name function.json -o -name '*.schema.json' | LC_ALL=C sort > $(FUNCTION_SET).new; \
	fresh=; cmp -s $(FUNCTION_SET).new $(FUNCTION_SET) || { touch Package.swift; fresh="--manifest-cache none"; }; \
	$(SWIFT) build -c $(CONFIG) --scratch-path $(SCRATCH) $$fresh \
		$(if $(filter build-tests,$@),--build-tests,--product ferry) && \
	mv $(FUNCTION_SET).new $(FUNCTION_SET)

test:
	@scripts/setup test
	@$(MAKE) --no-print-directory build-tests
	@$(PYTHON) Tests/with_servers.py scripts/swift-tests $(SCRATCH)
	@export FERRY=$(abspath $(FERRY)); $(PYTHON) -m pytest -q Tests/Integration || \
		{ echo "once more, what failed:"; $(PYTHON) -m pytest -q --last-failed --last-failed-no-failures none Tests/Integration; }

soak:
	@scripts/setup test
	@$(MAKE) --no-print-directory build-tests
	@FERRY_SOAK=1 $(SWIFT) test --skip-build --disable-xctest --scratch-path $(SCRATCH) --filter Mutated
	@$(MAKE) --no-print-directory build CONFIG=release
	@FERRY_SOAK=1 FERRY=$(abspath .build-release/release/ferry) $(PYTHON) -m pytest -q -rA Tests/Integration

lint:
	@$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources runtime functions Tests Benchmarks
	@echo "lint: no findings"

bench:
	@scripts/setup bench
	@ONLY="$(ONLY)" python3 Benchmarks/run

install: CONFIG = release
install: build install-files

# Copies what FERRY names; needs this checkout no more.
install-files:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/ferry $(DESTDIR)$(PREFIX)/share/ferry
	install -m 755 $(FERRY) $(DESTDIR)$(PREFIX)/bin/ferry
	$(FERRY) export-sdk $(DESTDIR)$(PREFIX)/lib/ferry
	rm -rf $(DESTDIR)$(PREFIX)/share/ferry/functions
	cp -R functions $(DESTDIR)$(PREFIX)/share/ferry/functions
	install -m 644 config.json $(DESTDIR)$(PREFIX)/share/ferry/config.json

clean:
	rm -rf .build .build-release Benchmarks/.build .venv
