//! Options from the environment, read at the first call.
//!
//! | variable | |
//! |---|---|
//! | `BRKALLOC_STATS=1` | statistics at exit |
//! | `BRKALLOC_CHECKED=1` | the checked heap |
//! | `BRKALLOC_LEAKS=1` | with it, the live blocks at exit |
//! | `BRKALLOC_SAMPLE=n` | one block in `n` between guard pages |
//! | `BRKALLOC_TRACE=file` | a record of every call |
//! | `BRKALLOC_DECAY_MS=n` | period after which free pages go back |

use core::ffi::{CStr, c_char};

use crate::{engine, report};

/// Default decay period, in milliseconds: long compared with the cost of a decay, and with the time
/// after which most freed memory is needed again; short compared with human patience.
const DECAY_MS: u64 = 250;

/// The options of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) stats: bool,
    pub(crate) checked: bool,
    pub(crate) leaks: bool,
    /// One allocation in so many is sampled; 0: none.
    pub(crate) sample: u32,
    pub(crate) trace: Option<&'static CStr>,
    /// Decay period, in milliseconds. `None` means never.
    pub(crate) decay: Option<u64>,
}

impl Options {
    /// Reads the environment. (glibc sets it up before the first call that may allocate.)
    pub(crate) fn read() -> Self {
        Self {
            stats: is_set(variable(c"BRKALLOC_STATS")),
            checked: is_set(variable(c"BRKALLOC_CHECKED")),
            leaks: is_set(variable(c"BRKALLOC_LEAKS")),
            sample: rate(variable(c"BRKALLOC_SAMPLE")),
            trace: variable(c"BRKALLOC_TRACE").filter(|file| !file.is_empty()),
            decay: decay(variable(c"BRKALLOC_DECAY_MS")),
        }
    }

    /// Writes a line for each variable that has no effect beside the others, or whose value is
    /// neither a number nor a word.
    pub(crate) fn report_oddities(&self) {
        let is_sampled = self.sample > 0;
        for (is_idle, name, reason) in [
            (self.leaks && !self.checked, "LEAKS", "without BRKALLOC_CHECKED"),
            (self.trace.is_some() && self.checked, "TRACE", "with BRKALLOC_CHECKED"),
            (is_sampled && self.checked, "SAMPLE", "with BRKALLOC_CHECKED"),
            (is_sampled && self.trace.is_some() && !self.checked, "SAMPLE", "with BRKALLOC_TRACE"),
        ] {
            if is_idle {
                report::line(format_args!("BRKALLOC_{name} has no effect {reason}"));
            }
        }
        for (name, effect) in [
            (c"BRKALLOC_SAMPLE", "one allocation in 5000 is sampled"),
            (c"BRKALLOC_DECAY_MS", "free memory does not go back as time passes"),
        ] {
            if let Some(value) = variable(name).filter(|value| !is_number_or_word(value)) {
                report::line(format_args!(
                    "{name:?} is {value:?}, which is no number that it takes: {effect}"
                ));
            }
        }
    }
}

/// Returns a variable of the environment. The initial strings of a process are never freed.
fn variable(name: &'static CStr) -> Option<&'static CStr> {
    // SAFETY: `name` is a C string. The environment does not change while the process starts.
    let value: *const c_char = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: a string of the environment is zero-terminated.
    Some(unsafe { CStr::from_ptr(value) })
}

/// Returns whether a value is neither absent, empty, nor `0`.
fn is_set(value: Option<&CStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != c"0")
}

/// Returns whether a value is a number of 32 bits, or has nothing but letters.
fn is_number_or_word(value: &CStr) -> bool {
    value.to_str().is_ok_and(|text| text.parse::<u32>().is_ok())
        || value.to_bytes().iter().all(u8::is_ascii_alphabetic)
}

/// Parses a number of allocations. A word such as `on` is the default.
fn rate(value: Option<&CStr>) -> u32 {
    match value.map(|value| value.to_str().unwrap_or("")) {
        None | Some("") => 0,
        Some(text) => text.parse().unwrap_or(engine::SAMPLE_DEFAULT),
    }
}

/// Parses a number of milliseconds. A word such as `never` is no number.
fn decay(value: Option<&CStr>) -> Option<u64> {
    let Some(text) = value.and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
    else {
        return Some(DECAY_MS);
    };
    text.parse().ok()
}
