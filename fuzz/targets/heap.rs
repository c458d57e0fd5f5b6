//! `Heap` beside an oracle, on a break with every bad habit, over programs that libFuzzer
//! generates. The first byte of an input chooses the profile and mappings.

#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
mod input;

use brkalloc::inner::Miniature;
use brkalloc::{Checked, Plain, Small, Usual};

libfuzzer_sys::fuzz_target!(|input: input::Input| {
    let program = input.program;
    match input.choice {
        0 => program.run_on_heap::<Usual>(),
        1 => program.run_on_heap::<Miniature>(),
        2 => program.run_on_mapping_heap::<Usual>(),
        3 => program.run_on_heap::<Plain>(),
        4 => program.run_on_heap::<Small>(),
        5 => program.run_on_heap::<Checked<Usual>>(),
        6 => program.run_on_mapping_heap::<Checked<Usual>>(),
        _ => program.run_on_heap::<Checked<Small>>(),
    }
});
