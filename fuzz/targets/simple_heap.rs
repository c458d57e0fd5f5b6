//! `SimpleHeap` beside an oracle, on a break with every bad habit, over programs that libFuzzer
//! makes up.

#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
mod input;

libfuzzer_sys::fuzz_target!(|input: input::Input| input.program.run_on_simple_heap());
