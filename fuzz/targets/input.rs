//! The input of a target: a program, so that a failure is shown as a list of operations.

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};

use crate::common::program::Program;

/// All bytes of an input as a program.
#[derive(Debug)]
pub struct Input {
    /// The three high bits of the first byte, for the target's own choice. In the program they are
    /// whole units of the region's skew, which no profile depends on.
    #[allow(dead_code, reason = "not every target has a choice")]
    pub choice: u8,
    pub program: Program,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = bytes.bytes(bytes.len())?;
        let choice = bytes.first().map_or(0, |first| first >> 5);
        Ok(Self { choice, program: Program::decode(bytes) })
    }
}
