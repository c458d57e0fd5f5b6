//! A process's address space beside a naive model of pages, over programs of calls and touches that
//! libFuzzer makes up.

#![no_main]

extern crate alloc;

#[path = "../../kernel-demo/src/address_space/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the kernel uses the rest")]
mod address_space;
#[path = "../../kernel-demo/src/address_space/model/mod.rs"]
mod model;
#[path = "../../kernel-demo/src/words/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the kernel uses the rest")]
mod words;

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use model::Program;

/// All the bytes of an input as a program.
#[derive(Debug)]
struct Input(Program);

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(Program::decode(bytes.bytes(bytes.len())?)))
    }
}

libfuzzer_sys::fuzz_target!(|input: Input| input.0.run());
