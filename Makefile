# make build            the host and its tools, debug; CONFIG=release for the optimised ones
# make install          the optimised host, its SDK and the functions as samples to PREFIX; needs this checkout no more
CONFIG ?= debug
PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift
# Debug and release builds evict each other from one scratch folder.
SCRATCH ?= .build$(if $(filter release,$(CONFIG)),-release)

.PHONY: build install

# SwiftPM caches the manifest by its text and the plan by its date, so it does not notice a new folder or file of a
# function by itself: when the set of files has changed, the manifest is touched and read anew.
FUNCTION_SET = $(SCRATCH)/function-set

build:
	@mkdir -p $(SCRATCH)
	@find functions Tests -name '*.swift' -o -name function.json | LC_ALL=C sort > $(FUNCTION_SET).new; \
	if cmp -s $(FUNCTION_SET).new $(FUNCTION_SET); then \
		$(SWIFT) build -c $(CONFIG) --scratch-path $(SCRATCH); \
	else \
		touch Package.swift && \
		$(SWIFT) build -c $(CONFIG) --scratch-path $(SCRATCH) --manifest-cache none && \
		mv $(FUNCTION_SET).new $(FUNCTION_SET); \
	fi

install: CONFIG = release
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/ferry $(DESTDIR)$(PREFIX)/share/ferry
	install -m 755 $(SCRATCH)/$(CONFIG)/ferry $(DESTDIR)$(PREFIX)/bin/ferry
	$(SCRATCH)/$(CONFIG)/ferry export-sdk $(DESTDIR)$(PREFIX)/lib/ferry
	rm -rf $(DESTDIR)$(PREFIX)/share/ferry/functions
	cp -R functions $(DESTDIR)$(PREFIX)/share/ferry/functions
	install -m 644 config.json $(DESTDIR)$(PREFIX)/share/ferry/config.json
