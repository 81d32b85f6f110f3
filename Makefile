# specman: `make demo` shows the main job, `make check` runs every test; both install what they need.
#
#   make [all]            build $(O)/specman
#   make demo [KEEP=1]    the whole job against a real registry on loopback
#   make check            every test; `unit` and `integration` are its halves
#   make bench            how fast a poll is, how much memory large releases take (7 GiB of disk)
#   make bench-store      how fast releases are unpacked, loaded, looked up in and published
#   make analyze          clang-tidy, cppcheck, shellcheck
#   make format           lay out the source with clang-format
#   SANITIZE=address,undefined or SANITIZE=thread: a build of its own, for every target

SANITIZE ?=
O        ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
comma    := ,
PREFIX   ?= /usr/local
CC       ?= cc
VERSION  := 0.1.0

SHELL    := /bin/bash

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DSPECMAN_VERSION='"$(VERSION)"' -I. -Idaemon $(WARNINGS) \
	-fstack-protector-strong -fPIE -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE) \
	-fno-omit-frame-pointer -fno-sanitize-recover=undefined,-D_FORTIFY_SOURCE=2) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

LIBS_base    := -lcrypto
LIBS_oci     := -lcurl -ljansson -lssl -lcrypto
LIBS_storage := -larchive -lcrypto
LIBS_tls     := -lssl -lcrypto
LIBS_daemon  := -lmicrohttpd $(LIBS_oci) $(LIBS_storage) $(LIBS_tls)

sources  = $(wildcard $(1)/*.c)
objects  = $(patsubst %.c,$(O)/%.o,$(1))
BASE     := $(call sources,daemon/base)
OCI      := $(call sources,oci)
STORAGE  := $(call sources,storage)
TLS      := $(call sources,tls)
DAEMON   := $(filter-out daemon/main.c,$(call sources,daemon))
MODULES  := $(BASE) $(OCI) $(STORAGE) $(TLS) $(DAEMON)

UNIT     := $(wildcard test/unit/*/*_test.c)
UNIT_BIN := $(patsubst %.c,$(O)/%,$(UNIT))

all: $(O)/specman

$(O)/specman: $(call objects,$(MODULES) daemon/main.c)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_daemon)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Each folder's unit tests link that folder and the base alone: what the arrows of the layout promise.
define unit_rule
$(O)/test/unit/$(1)/%_test: $(O)/test/unit/$(1)/%_test.o $(call objects,$(2))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS_$(1)) -lcmocka
endef
$(eval $(call unit_rule,base,$(BASE)))
$(eval $(call unit_rule,oci,$(OCI) $(BASE)))
$(eval $(call unit_rule,storage,$(STORAGE) $(BASE)))
$(eval $(call unit_rule,tls,$(TLS) $(BASE)))
$(eval $(call unit_rule,daemon,$(MODULES)))

.SECONDARY:
-include $(patsubst %.o,%.d,$(call objects,$(MODULES) daemon/main.c $(UNIT) test/bench/store_driver.c))

deps:
	@test/deps.sh

demo: deps
	@$(MAKE) --no-print-directory all
	@test/demo.sh $(O)/specman $(if $(KEEP),--keep)

check: deps
	@$(MAKE) --no-print-directory check-run

check-run: all $(UNIT_BIN)
	@python3 test/run.py $(O)

unit: $(UNIT_BIN)
	@python3 test/run.py $(O) --unit-only

integration: all
	@python3 test/run.py $(O) --integration-only

bench: deps
	@$(MAKE) --no-print-directory all
	@python3 -B test/bench/poll.py $(O)/specman
	@python3 -B test/bench/memory.py $(O)/specman
	@python3 -B test/bench/push.py $(O)/specman

# Whichever halves there are: unpacking, and the view with its commands.
bench-store: deps
	@$(MAKE) --no-print-directory all $(O)/test/bench/store_driver
	@for half in $(wildcard test/bench/unpack.py test/bench/store.py); do \
		python3 -B $$half $(O)/specman || exit; done

$(O)/test/bench/store_driver: $(O)/test/bench/store_driver.o $(call objects,$(STORAGE) $(BASE))
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_storage)

analyze:
	@test/deps.sh analyze
	@test/analyze.sh

format:
	clang-format -i $(wildcard */*.[ch] */*/*.[ch] */*/*/*.[ch])

format-check:
	clang-format --dry-run --Werror $(wildcard */*.[ch] */*/*.[ch] */*/*/*.[ch])

install: all
	install -D -m 0755 $(O)/specman $(DESTDIR)$(PREFIX)/bin/specman

clean:
	rm -rf build build-*

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -10

.PHONY: all deps demo check check-run unit integration bench bench-store analyze format format-check install clean help
