//! The heap with the profile `checked`: a misuse is a message and the end of the process.

use brkalloc_checked::{Decision, Misuse};

use crate::report;

super::locked::locked_heap!(brkalloc_checked);

/// Sets what becomes of a misuse. Before the first block.
pub(super) fn start() {
    with(|heap| heap.set_misuse_hook(end));
}

fn end(misuse: &Misuse) -> Decision {
    report::die(format_args!("{misuse}"))
}
