//! What libFuzzer hands to a target: a program, so that a failure is shown as the list of
//! operations that it is.

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};

use crate::common::program::Program;

/// All the bytes of an input as a program.
#[derive(Debug)]
pub struct Input(pub Program);

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(Program::decode(bytes.bytes(bytes.len())?)))
    }
}
