# specman: `make demo` shows the main job, `make check` runs every test; both install what they need.
#
#   make [all]            build $(O)/specman
#   make demo [KEEP=1]    the whole job against a real registry on loopback
#   make check            every test; `unit` and `integration` are its halves
#   make image            the container image, with buildah, podman or docker; IMAGE=NAME:TAG,
#                         FIPS_MODULE=FILE for one with that FIPS provider of OpenSSL
#   make bench            how fast a poll is, how much memory large releases take (7 GiB of disk),
#                         how fast files are served beside nginx, Caddy and Go
#   make bench-store      how fast releases are unpacked, loaded, looked up in and published (12 GiB of disk)
#   make soak             the largest samples of tests, in full size
#   make abuse            100,000 random requests, scanners, slow clients, thousands of connections
#   make fips-test        --fips with OpenSSL's FIPS provider, which is built from Debian's source first,
#                         and the image with it
#   make fuzz             each harness for FUZZ_SECONDS (60)
#   make coverage         every test, and which lines they reach
#   make analyze          gcc -fanalyzer, clang-tidy, cppcheck, shellcheck
#   make install          program, man page and completions, below PREFIX (/usr/local)
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

# ARCHIVE=static takes of libarchive what is called: the shared one needs libxml2 and ICU, which are
# two thirds of an image.
ARCHIVE  ?= shared
LIBS_archive_shared := -larchive
LIBS_archive_static := -Wl,--gc-sections -l:libarchive.a -lnettle -llzma -lzstd -lbz2
LIBS_archive := $(LIBS_archive_$(ARCHIVE))

LIBS_base    := -lcrypto
LIBS_oci     := -lcurl -ljansson -lssl -lcrypto
LIBS_storage := $(LIBS_archive) -llzma -lzstd -lz -lcrypto
LIBS_tls     := -lssl -lcrypto
LIBS_daemon  := $(O)/libmicrohttpd.a -lgnutls -lcrypt $(LIBS_oci) $(LIBS_storage) $(LIBS_tls)

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

# libmicrohttpd with the calls that it makes on connections led to daemon/mhd_socket.c, and the
# clearing of its pools to daemon/mhd_pool.c.
MHD_CALLS := recv send sendmsg setsockopt fcntl shutdown close epoll_ctl epoll_wait
MHD_POOL  := libmicrohttpd_la-memorypool.o

$(O)/libmicrohttpd.a: $(shell $(CC) -print-file-name=libmicrohttpd.a) Makefile
	@mkdir -p $(@D)
	objcopy $(foreach call,$(MHD_CALLS),--redefine-sym $(call)=mhd_$(call)) $< $@.part
	ar --output=$(@D) x $@.part $(MHD_POOL)
	objcopy --redefine-sym memset=mhd_pool_memset $(@D)/$(MHD_POOL)
	ar r $@.part $(@D)/$(MHD_POOL)
	mv $@.part $@

$(O)/specman: $(call objects,$(MODULES) daemon/main.c) $(O)/libmicrohttpd.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS_daemon)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Each folder's unit tests link that folder and the base alone: what the arrows of the layout promise.
define unit_rule
$(O)/test/unit/$(1)/%_test: $(O)/test/unit/$(1)/%_test.o $(call objects,$(2))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(LIBS_$(1)) -lcmocka
endef
$(eval $(call unit_rule,base,$(BASE)))
$(eval $(call unit_rule,oci,$(OCI) $(BASE)))
$(eval $(call unit_rule,storage,$(STORAGE) $(BASE)))
$(eval $(call unit_rule,tls,$(TLS) $(BASE)))
$(eval $(call unit_rule,daemon,$(MODULES)))
$(patsubst %,$(O)/%,$(patsubst %.c,%,$(wildcard test/unit/daemon/*_test.c))): $(O)/libmicrohttpd.a

# The layer goes under any program, so it is built without sanitizers.
FAULT    := $(O)/test/fault/layer.so $(O)/test/fault/hang.so $(O)/test/fault/served

$(O)/test/fault/%.so: test/fault/%.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) -O2 -g -fPIC -shared -o $@ $<

$(O)/test/fault/served: $(O)/test/fault/served.o $(call objects,$(STORAGE) $(BASE))
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_storage)

# The log's lines, to be compared with those of logrus.
GOLDEN   := $(O)/test/golden/log_driver

$(O)/test/golden/log_driver: $(O)/test/golden/log_driver.o $(call objects,$(addprefix daemon/,log.c unicode.c) $(BASE))
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_base)

# Harnesses for parsers of what comes from outside: `fuzz` runs them under clang's libFuzzer,
# the tests replay what is in the corpus; that of requests has a unit test of its own.
FUZZ         := $(patsubst test/fuzz/%_fuzz.c,%,$(wildcard test/fuzz/*_fuzz.c))
FUZZED       := $(patsubst %,daemon/%.c,accept conditional escape head listing multipart range target unicode)
FUZZED_OCI   := $(patsubst %,oci/%.c,aws_error aws_xml base64 challenge descriptor docker_config error_body \
	exchange form json keys link manifest nameset reference signature tags token url)
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -O1 -g
REPLAY       := $(patsubst %,$(O)/test/unit/fuzz/%_replay,$(filter-out request,$(FUZZ)))

$(O)/test/unit/fuzz/%_replay: test/fuzz/replay.c $(O)/test/fuzz/%_fuzz.o $(call objects,$(STORAGE) $(FUZZED_OCI) $(BASE))
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DCORPUS='"$(CURDIR)/test/fuzz/corpus/$*"' $(ALL_LDFLAGS) -o $@ $^ $(LIBS_storage) -ljansson -lcurl

build-fuzz/%_fuzz: test/fuzz/%_fuzz.c $(wildcard test/fuzz/*.h) $(FUZZED) $(FUZZED_OCI) $(STORAGE) $(BASE)
	@mkdir -p $(@D)
	clang -std=c17 -D_GNU_SOURCE -I. -Idaemon $(FUZZ_FLAGS) -pthread -o $@ $(filter %.c,$^) $(LIBS_storage) -ljansson -lcurl

.SECONDARY:
-include $(patsubst %.o,%.d,$(call objects,$(MODULES) daemon/main.c test/fault/served.c test/golden/log_driver.c test/bench/store_driver.c $(UNIT) $(wildcard test/fuzz/*.c)))

# axe-core, at the version and with the digest of test/page/package-lock.json.
PAGE     := $(O)/page/node_modules/.package-lock.json

$(PAGE): test/page/package.json test/page/package-lock.json
	@mkdir -p $(O)/page
	@cp $^ $(O)/page/
	npm --prefix $(O)/page ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# kubectl and Kubernetes' schemas, at the versions and with the digests of test/kube/package-lock.json.
KUBE     := $(O)/kube/node_modules/.package-lock.json

$(KUBE): test/kube/package.json test/kube/package-lock.json
	@mkdir -p $(O)/kube
	@cp $^ $(O)/kube/
	npm --prefix $(O)/kube ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error
	@touch $@

deps:
	@test/deps.sh

demo:
	@test/deps.sh demo
	@$(MAKE) --no-print-directory all
	@test/demo.sh $(O)/specman $(if $(KEEP),--keep)

check: deps
	@$(MAKE) --no-print-directory check-run

check-run: all $(UNIT_BIN) $(REPLAY) $(FAULT) $(GOLDEN) $(PAGE) $(KUBE)
	@python3 test/run.py $(O)

unit: $(UNIT_BIN) $(REPLAY)
	@python3 test/run.py $(O) --unit-only

integration: all $(FAULT) $(GOLDEN) $(PAGE) $(KUBE)
	@python3 test/run.py $(O) --integration-only

bench:
	@test/deps.sh bench
	@$(MAKE) --no-print-directory all
	@python3 -B test/bench/poll.py $(O)/specman
	@python3 -B test/bench/memory.py $(O)/specman
	@python3 -B test/bench/push.py $(O)/specman
	@python3 -B test/bench/serve.py $(O)/specman

bench-store: deps
	@$(MAKE) --no-print-directory all $(O)/test/bench/store_driver
	@python3 -B test/bench/unpack.py $(O)/specman
	@python3 -B test/bench/store.py $(O)/specman

$(O)/test/bench/store_driver: $(O)/test/bench/store_driver.o $(call objects,$(STORAGE) $(BASE))
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_storage)

soak: deps
	@$(MAKE) --no-print-directory all
	@UNPACK_MANY_FILES=1000000 python3 test/run.py $(O) unpack_test.py:large

# Longer than `make check` has time for.
abuse:
	@test/deps.sh abuse
	@$(MAKE) --no-print-directory all
	@python3 -B test/fuzz/requests.py $(O)/specman --count 100000
	@python3 -B test/abuse/tls_abuse.py $(O)/specman

# Debian ships no FIPS provider.
fips-test:
	@test/deps.sh fips
	@$(MAKE) --no-print-directory all $(KUBE)
	@test/fips/provider.sh build-fips
	@python3 -B test/fips/fips_test.py $(O)/specman build-fips
	@python3 -B test/fips/fips_image_test.py $(O)/specman build-fips

fuzz:
	@test/deps.sh analyze
	@$(MAKE) --no-print-directory $(patsubst %,build-fuzz/%_fuzz,$(FUZZ))
	@test/fuzz/run.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ)

# Threads count, so the counters are atomic; who can't write them (another user, a read-only
# folder) must not say so where a test reads. Counted even when a test fails, which counts in the end.
coverage: deps
	@test/deps.sh coverage
	@find build-coverage -name '*.gcda' -delete 2>/dev/null; :
	@status=0; GCOV_ERROR_FILE=/dev/null $(MAKE) --no-print-directory O=build-coverage \
		CFLAGS='-Og -g --coverage -fprofile-update=atomic' LDFLAGS=--coverage check-run || status=1; \
	gcovr --root . --filter '(daemon|oci|storage|tls)/' --sort-percentage build-coverage && exit $$status

analyze:
	@test/deps.sh analyze
	@test/analyze.sh

format:
	clang-format -i $(wildcard */*.[ch] */*/*.[ch] */*/*/*.[ch])

format-check:
	clang-format --dry-run --Werror $(wildcard */*.[ch] */*/*.[ch] */*/*/*.[ch])

$(O)/specman.1: $(O)/specman deploy/man/specman.1.in deploy/man/options.awk
	env -i $(O)/specman --help | awk -f deploy/man/options.awk - deploy/man/specman.1.in \
		>$@.$$$$ && mv $@.$$$$ $@

install: all $(O)/specman.1
	install -D -m 0755 $(O)/specman $(DESTDIR)$(PREFIX)/bin/specman
	install -D -m 0644 $(O)/specman.1 $(DESTDIR)$(PREFIX)/share/man/man1/specman.1
	install -D -m 0644 deploy/completion/specman.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/specman
	install -D -m 0644 deploy/completion/_specman \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_specman
	install -D -m 0644 deploy/completion/specman.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/specman.fish

# IMAGE_BASE is a Debian 12 to build in, instead of the one that the Dockerfile names. FIPS_MODULE is
# a fips.so below this folder, which the image gets, active.
IMAGE       ?= specman:$(VERSION)$(if $(FIPS_MODULE),-fips)
IMAGE_BASE  ?=
FIPS_MODULE ?=

image:
	@deploy/image.sh $(IMAGE) $(VERSION) $(if $(IMAGE_BASE),BASE=$(IMAGE_BASE)) \
		$(if $(FIPS_MODULE),FIPS_MODULE=$(FIPS_MODULE))

clean:
	rm -rf build build-*

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

.PHONY: all deps demo check check-run unit integration bench bench-store soak abuse fips-test fuzz \
	coverage analyze format format-check install image clean help
