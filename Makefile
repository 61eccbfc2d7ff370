# kura. `make run` and `make test` suffice; `make help` lists the rest.
#
# Every folder of src/ is a layer and becomes a static archive; src/layers tells their order. A unit test links the
# archive of its own layer and those below, so an upward dependency does not even link. Each kind of build has a folder
# of its own under build/, and src/kura-server is a link to the latest one.

LAYERS := $(shell sed -n 's/^\([a-z_]*\) .*/\1/p' src/layers)
SAN    ?=
LTO    ?= $(if $(SAN),0,1)
N      ?= 1000000
PREFIX ?= /usr/local
ONLY   ?=
PORT   ?=
FUZZ_SECONDS ?= 60

comma   := ,
VARIANT := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)
B       := build/$(VARIANT)

CC       := gcc
AR       := gcc-ar
WARNINGS := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes
WERROR   ?= -Werror
CFLAGS   := -std=gnu11 -D_GNU_SOURCE -g $(WARNINGS) $(WERROR) -pthread -fno-plt $(EXTRA_CFLAGS)
LDFLAGS  := -rdynamic -pthread
LIBS     := -l:liblua5.1.a -llzf -lcrypto -lpthread -lm -ldl
ifeq ($(SAN),)
# Fat objects: the server is linked with link-time optimisation, the many unit tests without.
CFLAGS  += -O3 $(if $(filter 1,$(LTO)),-flto=auto -ffat-lto-objects)
LIBS    := -ljemalloc $(LIBS)
SERVER_LDFLAGS := $(if $(filter 1,$(LTO)),-flto=auto -O3)
else
CFLAGS  += -O1 -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DKURA_LIBC_ALLOC
LDFLAGS += -fsanitize=$(SAN)
endif

MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-6s %s\n'
endif

present  := $(foreach l,$(LAYERS),$(if $(wildcard src/$l/*.c),$l))
archives := $(foreach l,$(present),$B/lib$l.a)
reversed  = $(if $1,$(call reversed,$(wordlist 2,$(words $1),$1)) $(firstword $1))
# The archives that layer $1 may link, the highest first.
up_to     = $(call reversed,$(foreach l,$(present),$(if $(filter $l,$(call layers_to,$1,$(LAYERS))),$B/lib$l.a)))
layers_to = $(if $2,$(firstword $2) $(if $(filter $1,$(firstword $2)),,$(call layers_to,$1,$(rest))))
rest      = $(wordlist 2,$(words $2),$2)

unit_sources := $(wildcard tests/unit/*/test_*.c)
unit_tests   := $(unit_sources:tests/unit/%.c=$B/unit/%)
tools        := $(patsubst tests/tools/%.c,build/tools/%,$(wildcard tests/tools/*.c)) \
                $(patsubst tests/tools/preload/%.c,build/tools/%.so,$(wildcard tests/tools/preload/*.c))
c_folders    := src src/* tests/unit tests/unit/* tests/tools tests/tools/lib tests/tools/preload
ours         := $(wildcard $(addsuffix /*.[ch],$(c_folders)))

.PHONY: all run test units tools compat fuzz bench check-layers check-format format install clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: src/kura-server

help:
	@echo 'make                 build src/kura-server (SAN=address,undefined for a sanitized one, V=1 to see commands)'
	@echo 'make run             install what is missing, build, serve redis-compat.conf on port 6379 (or PORT=)'
	@echo 'make test            everything; ONLY=regex picks tests, SAN=address,undefined runs them sanitized'
	@echo 'make compat N=...    N random commands to kura and to redis-server, replies compared'
	@echo 'make fuzz            damaged files of tests/corpus, hostile scripts, then hostile bytes to a'
	@echo '                     sanitized server for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench           a quick look with redis-benchmark'
	@echo 'make format          clang-format all C; check-format only checks; check-layers the house rules'
	@echo 'make install         PREFIX=$(PREFIX), DESTDIR honoured'
	@echo 'make clean           remove all that make has built'

# --- build ---------------------------------------------------------------------------------------

$B/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# The recipe removes the archive first: an object whose source is gone must not stay in it.
define layer_rule
$B/lib$1.a: $$(patsubst src/%.c,$B/obj/%.o,$$(wildcard src/$1/*.c))
	$$(say) AR $$@
	$$(Q)rm -f $$@ && $(AR) rcs $$@ $$^
endef
$(foreach l,$(present),$(eval $(call layer_rule,$l)))

$B/kura-server: $B/obj/main.o $(archives)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(SERVER_LDFLAGS) $(LDFLAGS) -o $@ $< $(call reversed,$(archives)) $(LIBS)

src/kura-server: $B/kura-server FORCE
	@[ $@ -ef $< ] || ln -f $< $@
	@for tool in aof rdb; do [ -h src/kura-check-$$tool ] || ln -sf kura-server src/kura-check-$$tool; done

# --- tests ---------------------------------------------------------------------------------------

define unit_rule
$B/unit/$1/%: tests/unit/$1/%.c $(call up_to,$1) Makefile
	@mkdir -p $$(@D)
	$$(say) TEST $$<
	$$(Q)$(CC) $(CFLAGS) -fno-lto -Isrc -Itests/unit -MMD -MP -MF $$@.d -o $$@ $$< \
	    $(call up_to,$1) $(LDFLAGS) -lcmocka $(LIBS)
endef
$(foreach l,$(LAYERS),$(eval $(call unit_rule,$l)))

units: $(unit_tests)

# Programs of the test suite: plain C that uses nothing of src/.
build/tools/%: tests/tools/%.c $(wildcard tests/tools/lib/*.[ch]) Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARNINGS) $(WERROR) -D_GNU_SOURCE -o $@ $(filter %.c,$^)

# Libraries for LD_PRELOAD, which make system calls fail.
build/tools/%.so: tests/tools/preload/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -std=gnu11 -O2 -g $(filter-out -Wmissing-prototypes,$(WARNINGS)) $(WERROR) -D_GNU_SOURCE -shared -fPIC \
	    -o $@ $<

tools: $(tools)

test:
	@utils/install-deps build test
	@$(MAKE) all units tools
	@tclsh tests/run.tcl --variant $(VARIANT) $(if $(ONLY),--only '$(ONLY)') $(TEST_FLAGS)

compat:
	@utils/install-deps build test
	@$(MAKE) all tools
	@tclsh tests/run.tcl --variant $(VARIANT) --only '^compat/' --random $(N) $(if $(SEED),--seed $(SEED))

fuzz:
	@utils/install-deps build test
	@$(MAKE) SAN=address,undefined all tools
	@$(MAKE) SAN=address,undefined $(addprefix build/san-address-undefined/unit/,check/test_rdb_corpus \
	    script/test_script_fuzz)
	@ASAN_OPTIONS=allocator_may_return_null=1 KURA_FUZZ_ROUNDS=2000 $(if $(SEED),SEED=$(SEED)) \
	    build/san-address-undefined/unit/check/test_rdb_corpus
	@KURA_FUZZ_ROUNDS=20000 $(if $(SEED),SEED=$(SEED)) build/san-address-undefined/unit/script/test_script_fuzz
	@build/tools/fuzz build/san-address-undefined/kura-server $(FUZZ_SECONDS) $(or $(SEED),0) tests/compat/*.grammar

bench:
	@utils/install-deps build test
	@$(MAKE) all
	@utils/bench src/kura-server build/oracle/redis-server

# --- the rest ------------------------------------------------------------------------------------

run:
	@utils/install-deps build
	@$(MAKE) all
	src/kura-server redis-compat.conf $(if $(PORT),--port $(PORT))

check-layers:
	@utils/check-layers

check-format:
	@clang-format --dry-run --Werror $(ours)

format:
	@clang-format -i $(ours)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $B/kura-server $(DESTDIR)$(PREFIX)/bin/kura-server
	ln -sf kura-server $(DESTDIR)$(PREFIX)/bin/kura-check-aof
	ln -sf kura-server $(DESTDIR)$(PREFIX)/bin/kura-check-rdb

clean:
	rm -rf build src/kura-server src/kura-check-aof src/kura-check-rdb

-include $(shell find $B -name '*.d' 2>/dev/null)
