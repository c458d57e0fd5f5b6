//! What QEMU offers to a kernel under test: a port that ends the machine with a status, and strings
//! from its command line.

pub use kerntest_guest::Exit;
pub use kerntest_guest::qemu::{cpus, isa_debug_exit as exit};

use kerntest_guest::qemu::fw_cfg;

/// The folder of this kernel's options.
const FOLDER: &str = "brkalloc";

/// Reads the option `opt/brkalloc/KEY` of QEMU's command line
/// (`-fw_cfg name=opt/brkalloc/KEY,string=VALUE`) into the buffer. `None` when it was not given.
///
/// # Panics
///
/// When the value does not fit the buffer, or is not text.
pub fn option<'b>(key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    fw_cfg(FOLDER, key, buffer)
}
