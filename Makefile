# A thin layer over Meson and Ninja: `make help` lists what there is.
#
# BUILD=dir puts the build directories elsewhere (dir, dir-test, dir-asan, ...); JOBS=n bounds the parallel work.

BUILD ?= build
JOBS  ?= $(shell nproc)
DATA  ?= data

# A plain build makes the program without the tests; as long as there is no program, everything.
PROGRAM := $(if $(wildcard src/cli/meson.build),rustdb)

NINJA     := ninja -j$(JOBS)
CONFIGURE := tools/configure.sh
RUN_TESTS := tools/run_tests.py
TEST_ARGS  = --num-processes $(JOBS)
SANITIZED_TEST_ARGS = $(TEST_ARGS) --suite unit --timeout-multiplier 5

# Both are -O1: enough to be fast, little enough for exact stack traces.
ASAN_SETUP := -Doptimization=1 -Db_sanitize=address,undefined
TSAN_SETUP := -Doptimization=1 -Db_sanitize=thread

# The sanitizers of these compilers cannot place their shadow in a very random address space (vm.mmap_rnd_bits 32).
FIXED_ADDRESSES := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.NOTPARALLEL:
.PHONY: all help deps deps-test run test ci-more asan tsan clang fuzz soak bench oracle corpus format lint clean

all: deps ## build the release: build/rustdb
	$(CONFIGURE) $(BUILD)
	$(NINJA) -C $(BUILD) $(PROGRAM)

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

deps:
	@tools/install-deps.sh

deps-test:
	@tools/install-deps.sh test

run: all ## build, start the server on data/, open the shell on it
	@test -x $(BUILD)/rustdb || { echo "make run: there is no program yet: src/cli is not built"; exit 1; }
	@tools/run.sh $(BUILD)/rustdb $(DATA)

test: deps-test ## build with slow checks and run all tests
	$(CONFIGURE) $(BUILD)-test -Dslow_checks=enabled
	$(NINJA) -C $(BUILD)-test
	@$(RUN_TESTS) $(BUILD)-test $(TEST_ARGS)

ci-more: clang asan ## what CI runs after the tests: a clang build and the address sanitizer

asan: deps-test ## unit tests under the address and undefined-behaviour sanitizers
	$(CONFIGURE) $(BUILD)-asan $(ASAN_SETUP)
	$(NINJA) -C $(BUILD)-asan
	@$(FIXED_ADDRESSES) $(RUN_TESTS) $(BUILD)-asan $(SANITIZED_TEST_ARGS)

tsan: deps-test ## unit tests under the thread sanitizer
	$(CONFIGURE) $(BUILD)-tsan $(TSAN_SETUP)
	$(NINJA) -C $(BUILD)-tsan
	@$(FIXED_ADDRESSES) $(RUN_TESTS) $(BUILD)-tsan $(SANITIZED_TEST_ARGS)

clang: deps-test ## build with clang, which warns about other things than gcc
	CC=clang $(CONFIGURE) $(BUILD)-clang
	$(NINJA) -C $(BUILD)-clang

fuzz: deps-test ## run each fuzzer for FUZZ_SECONDS (60)
	CC=clang $(CONFIGURE) $(BUILD)-fuzz $(ASAN_SETUP) -Db_lundef=false -Dfuzz=true
	$(NINJA) -C $(BUILD)-fuzz
	@$(FIXED_ADDRESSES) tools/fuzz.sh $(BUILD)-fuzz/tests

soak: deps-test ## random transactions with power cuts, SOAK_SECONDS (3600) in each of three builds; resumes from soak.log
	for build in asan tsan release; do BUILD=$(BUILD) tools/soak.sh $$build $${SOAK_SECONDS:-3600} || exit 1; done

bench oracle corpus:
	@echo "make $@: not built yet"; exit 1

format: deps-test ## bring C sources into the common format
	@tools/lint.sh format

lint: deps-test ## check format, that headers compile alone, shell scripts
	@tools/lint.sh check

clean: ## remove the build directories
	rm -rf $(BUILD) $(BUILD)-test $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang $(BUILD)-fuzz
