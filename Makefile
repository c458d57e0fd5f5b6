# brkalloc: a heap for kernels. `make run` shows it at work, `make test` checks everything, `make help` lists the rest.
#
# What is done, and how, is written in tools/setup.sh and tools/harness; this file gives it short names. The text behind
# ## is what `make help` prints.

ACCEL     ?=## who runs the kernel: tcg, QEMU's software emulation (the default), or kvm
SMP       ?=## number of CPUs, 1 to 8 (2)
MEM       ?=## the machine's memory (64M for tests, 128M for the tour)
FILTER    ?=## run only tests whose name contains this; several parts are separated by commas
STEP      ?=## check, test, test-all: run only steps whose title contains this, as `32-bit` or `clippy`; run: 1 waits for a key between claims
CLAIM     ?=## run, story: show only the claims of these numbers, as `C12` or `C1,C2`
PROGRAM   ?=## run, story: run this ring-3 program instead of the tour, as `lazy 5`; gdb: debug it (maps-story); live: show it (cells slow)
TRACE     ?=## run: 1 shows the system calls and page faults of PROGRAM; story: a file that BRKALLOC_TRACE wrote
TOOLCHAIN ?=## where the kernel's compiler comes from: rustup or debian (whichever works)
KILLS     ?=## kill-builds: how many (20)
SEED      ?=## kill-builds: when, and whom (1); lab: which bugs lab 10 has (1)
MINUTES   ?=## how long `soak` searches (5)
RESUME    ?=## soak: 0 begins anew where the last one was interrupted
QUICK     ?=## 1: `bench` takes two minutes, with fewer subjects and rounds
LIMINE    ?=## examples: a folder with the BOOTX64.EFI of Limine, where it cannot be fetched
TRACES    ?=## bench: a file or a folder of allocation traces that is replayed instead of the stored ones
LAB       ?=## lab, grade: number of the lab, 1 to 10

IN        ?=## heap-map: a log with the lines of a walk (standard input)
OUT       ?=## heap-map: the picture to write (target/heap-map.svg)
WALK      ?=## heap-map: which walk, if the log has several: 1, 2, … or last

# Programs get those that are set as their environment; an empty one would be taken for a value.
$(foreach name,ACCEL SMP MEM FILTER STEP CLAIM PROGRAM TRACE TOOLCHAIN KILLS SEED MINUTES RESUME LIMINE,$(eval $(if $(strip $($(name))),export,unexport) $(name)))

SETUP   := sh tools/setup.sh
HARNESS := sh tools/harness.sh
GRADE   := sh tools/grade.sh

.PHONY: help run shell live story gdb check test test-all suite list size examples unsafe rules libmalloc bench-programs soak mutants bench differential budgets cost kill-builds plot heap-map lab grade scoreboard setup readme doc fmt clean
.DEFAULT_GOAL := help

help: ## print this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20
	@echo 'Variables, as in `make test FILTER=heap`; the default in brackets:'
	@sed -n 's/^\([A-Z]*\) *?=## \(.*\)/  \1	\2/p' Makefile | expand -t 20

run: ## boot the tour: each claim with its evidence; or only CLAIM, or one PROGRAM; the exit status is the verdict
	@$(SETUP) run
	@$(HARNESS) tour

shell: ## boot an interactive shell in ring 3: programs by name, and commands that look at their memory; `help` lists them
	@$(SETUP) run
	@$(HARNESS) shell

live: ## show the heap, the break, resident pages and page faults of PROGRAM (cells slow) on the text screen; Ctrl-C stops it
	@$(SETUP) run
	@$(HARNESS) live

story: ## record the tour, or PROGRAM, and write a page that replays it: target/story.html; docs/STORY.md has the keys
	@$(if $(TRACE),:,$(SETUP) run)
	@$(HARNESS) story

gdb: ## boot stopped, with a debugger: symbols of the kernel and PROGRAM, and commands that show areas, page tables and heaps
	@$(SETUP) gdb
	@$(HARNESS) gdb

check: ## run what fails most often, in seconds: fmt, clippy, unit tests and host suites
	@$(SETUP)
	@$(HARNESS) check

test: ## run a short form of each kind of test, also under QEMU, in minutes; the last line is `N passed, M failed`
	@$(SETUP)
	@$(HARNESS) test

test-all: ## run everything in its long form
	@$(SETUP) all
	@$(HARNESS) test-all

suite: ## run the QEMU suite alone
	@$(SETUP) run
	@$(HARNESS) suite

list: ## print the names of the QEMU suite's cases
	@$(SETUP) run
	@$(HARNESS) suite --list

size: ## measure what the allocator takes of a small target: code by function, state; writes target/size.json
	@$(SETUP) run
	@$(HARNESS) size

examples: ## build and run the programs in examples/, for ten platforms; ends with a table
	@$(SETUP) examples
	@$(HARNESS) examples

libmalloc: ## build the library that serves programs as malloc, target/release/libbrkmalloc.so; malloc/README.md tells how to use it
	@cargo build --quiet --release --manifest-path malloc/Cargo.toml --target-dir target --package brkmalloc

bench-programs: libmalloc ## time and peak memory of real programs with libbrkmalloc.so, glibc, mimalloc, jemalloc; writes target/bench/programs.json
	@mkdir -p target/bench
	@cargo run --quiet --manifest-path malloc/Cargo.toml --target-dir target --package brkmalloc-tests -- $(if $(QUICK),--rounds 1 --scale 1) --json target/bench/programs.json

soak: ## search for bugs for MINUTES: fuzzing, random and short programs, threads, forks, limits, ring 3, two CPUs, mutants; resumes
	@sh tools/soak.sh

mutants: ## change the allocator in one small way at a time: a test must notice; an hour; resumes; writes docs/MUTANTS.md
	@sh tools/mutants.sh try

bench: ## measure the heap beside its peers, the system's side, and (not with QUICK) real programs; writes target/bench/report.json and .svg, programs.json
	@{ $(SETUP) run && $(HARNESS) size; } >/dev/null || echo 'bench: `make size` says why there may be no figures of a small target'
	-@$(HARNESS) cost
	@cargo run --quiet --profile measure --target-dir target/bench --package bench --features libraries -- all $(if $(QUICK),--quick) $(if $(TRACES),--traces '$(TRACES)')
	$(if $(QUICK),,-@$(MAKE) --no-print-directory bench-programs)

differential: ## replay TRACES, or the stored ones, on every heap and a model: contents, refusals, what is granted in the end
	@cargo run --quiet --release --package bench -- differential $(TRACES)

budgets: ## write the instructions of common paths as they are now to benches/budgets.txt, which `test` compares them with
	@cargo run --quiet --profile budgets --package budgets -- write

unsafe: ## count `unsafe` in the allocator by room; fails if a count grew beyond its line in docs/UNSAFE.md; BLESS=1 writes the counts
	@$(HARNESS) unsafe

rules: ## leave each rule of `check()` out, one after the other: a test must fail without it
	@$(HARNESS) rules

cost: ## count what the system's side of an allocator takes: brk, mmap, page faults, switches; writes target/kernel-cost.json
	@$(SETUP) run
	@$(HARNESS) cost

kill-builds: ## kill KILLS builds at random moments, of a kernel and of host tests, then build well and run what came of it
	@$(SETUP) run
	@$(HARNESS) kill-builds

plot: ## measure as `bench` does, in full, and put the pictures and tables into docs/; refuses QUICK
	@$(if $(QUICK),echo 'plot: only a full run is published; leave QUICK out'; exit 1)
	@$(MAKE) --no-print-directory bench
	@cp target/bench/panel.svg docs/bench.svg
	@cp target/bench/report.svg docs/bench-all.svg
	@cp target/bench/BENCHMARKS.md docs/BENCHMARKS.md

heap-map: ## draw the heap whose cells the log IN lists, as the SVG picture OUT
	@mkdir -p target
	@cargo run --quiet --package heapmap -- $(if $(IN),'$(IN)') --out '$(or $(OUT),target/heap-map.svg)' $(if $(WALK),--walk $(WALK))

lab: ## put the stub of LAB into labs/student; labs/README.md tells the rest
	@$(GRADE) lab '$(or $(LAB),$(error which lab? say for example: make lab LAB=1))' $(if $(SEED),--seed $(SEED))

grade: ## test what labs/student has of LAB, and print points, and what was seen of each lost one
	@$(GRADE) grade '$(or $(LAB),$(error which lab? say for example: make grade LAB=1))'

scoreboard: ## replay traces of real programs on the heaps of the labs: utilisation times throughput
	@$(GRADE) scoreboard

setup: ## install what is missing; `run` and `test` do it by themselves
	@$(SETUP)

readme: ## run the tour and put an excerpt of it into README.md
	@$(SETUP) run
	@$(HARNESS) tour --readme

doc: ## write the allocator's documentation to target/doc
	@cargo doc --no-deps --package brkalloc

fmt: ## format every package
	@for folder in . kernel-demo kernel-demo/user malloc examples tests/other-kernel tools/kerntest/boards tools/size fuzz; do (cd $$folder && cargo fmt --all) || exit; done

clean: ## remove target/, the set-up's part included; installed packages stay
	@rm -rf target
