//! What the environment asks for. Read once, with the first call.
//!
//! | variable | |
//! |---|---|
//! | `BRKALLOC_STATS=1` | statistics at exit |
//! | `BRKALLOC_CHECKED=1` | the checked profile |
//! | `BRKALLOC_TRACE=file` | a record of every call |
//! | `BRKALLOC_DECAY_MS=n` | how often unused pages are given back |

use core::ffi::{CStr, c_char};

/// How often unused pages are given back, in milliseconds, unless somebody says otherwise: long
/// beside what it costs, and beside how soon most of what is freed is wanted again; short beside
/// what people wait for.
const DECAY_MS: u64 = 250;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) stats: bool,
    pub(crate) checked: bool,
    pub(crate) trace: Option<&'static CStr>,
    /// Milliseconds; `None`: never.
    pub(crate) decay: Option<u64>,
}

impl Options {
    /// Reads the environment. (glibc sets it up before it calls anything that would allocate.)
    pub(crate) fn read() -> Self {
        Self {
            stats: is_set(variable(c"BRKALLOC_STATS")),
            checked: is_set(variable(c"BRKALLOC_CHECKED")),
            trace: variable(c"BRKALLOC_TRACE").filter(|file| !file.is_empty()),
            decay: decay(variable(c"BRKALLOC_DECAY_MS")),
        }
    }
}

/// A variable of the environment. The text stays where it is: nobody frees the strings that a
/// process began with.
fn variable(name: &'static CStr) -> Option<&'static CStr> {
    // SAFETY: a string; nobody changes the environment while the process begins.
    let value: *const c_char = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: a string of the environment ends with a zero.
    Some(unsafe { CStr::from_ptr(value) })
}

/// Set to anything but nothing and `0`.
fn is_set(value: Option<&CStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != c"0")
}

/// A number of milliseconds, or a word such as `never`.
fn decay(value: Option<&CStr>) -> Option<u64> {
    let Some(text) = value.and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
    else {
        return Some(DECAY_MS);
    };
    text.parse().ok()
}
