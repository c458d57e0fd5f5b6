//! What a program can find out about the machine under it.

use runtime::system::{Errno, view};

/// Whether this is Linux, which cannot say how many frames there are.
#[must_use]
pub fn is_linux() -> bool {
    view::frames_free() == Err(Errno::ENOSYS)
}

/// Frames that nobody has; `None` on Linux.
#[must_use]
pub fn frames_free() -> Option<usize> {
    view::frames_free().ok()
}
