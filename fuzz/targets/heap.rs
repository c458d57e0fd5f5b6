//! `Heap` beside an oracle, on a break with every bad habit, over programs that libFuzzer makes up:
//! with runs and a front cache, with runs alone, plain, and with mappings.

#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
mod input;

libfuzzer_sys::fuzz_target!(|input: input::Input| {
    input.0.run_on_heap();
    input.0.run_on_uncached_heap();
    input.0.run_on_plain_heap();
    input.0.run_on_mapping_heap();
});
