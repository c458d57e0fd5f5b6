//! What `make cost` counted of the system's side of an allocator: the kernel's `brk`, `mmap`, page
//! faults and switches.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// All figures, exact, in instructions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemSide {
    /// Single operations.
    pub costs: Vec<Cost>,
}

/// What an operation takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The operation.
    pub what: String,
    /// Instructions, the program's and the kernel's.
    pub instructions: f64,
    /// The least that a correct path needs.
    pub least: u64,
    /// What `make test` lets it take at most.
    pub most: u64,
}

impl SystemSide {
    /// Reads what `make cost` wrote.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

impl fmt::Display for SystemSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:44} {:>12} {:>10} {:>7}",
            "the system's side", "instructions", "least", "ratio"
        )?;
        for Cost { what, instructions, least, .. } in &self.costs {
            writeln!(
                f,
                "{what:44} {instructions:>12.0} {least:>10} {:>7.2}",
                instructions / *least as f64
            )?;
        }
        Ok(())
    }
}
