//! Expectations, and the record of the one that did not hold.
//!
//! A failed expectation is written down in a fixed place, in text of bounded length, because the
//! heap may be what just failed. The error that a case returns is only a token for it.

use core::fmt::{self, Debug, Write};
use core::panic::Location;

use spin::Mutex;

use super::Place;

/// What a case returns.
pub type CaseResult = Result<(), Failed>;

/// Token for a failure that was recorded. There is no other way to get one, so no case fails
/// without saying why.
#[derive(Debug)]
#[must_use]
pub struct Failed {
    _recorded: (),
}

/// The latest expectation that did not hold.
pub(super) struct Failure {
    location: &'static Location<'static>,
    expected: Text,
    found: Text,
}

static LATEST: Mutex<Option<Failure>> = Mutex::new(None);

impl Failed {
    /// The record that this is the token for.
    pub(super) fn record(self) -> Option<Failure> {
        LATEST.lock().take()
    }
}

impl Failure {
    /// The failure's details, with its place in the project of a package; see [`Place`].
    pub(super) fn in_package(self, package: &'static str) -> impl fmt::Display {
        InPackage { failure: self, package }
    }
}

struct InPackage {
    failure: Failure,
    package: &'static str,
}

impl fmt::Display for InPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { location, expected, found } = &self.failure;
        writeln!(f, "  at {}", Place { location, package: self.package })?;
        writeln!(f, "  expected: {expected}")?;
        write!(f, "  found:    {found}")
    }
}

/// Records a failure at the caller's place.
#[track_caller]
pub fn fail(expected: fmt::Arguments<'_>, found: fmt::Arguments<'_>) -> Failed {
    let failure = Failure {
        location: Location::caller(),
        expected: Text::new(expected),
        found: Text::new(found),
    };
    *LATEST.lock() = Some(failure);
    Failed { _recorded: () }
}

/// Text of bounded length; what does not fit is cut off and marked. Line breaks become indentation.
pub(super) struct Text {
    bytes: [u8; 1024],
    len: usize,
    cut: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 1024], len: 0, cut: false }
    }
}

impl Text {
    /// What was written and fitted in.
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("(not text)")
    }

    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut buffer = Self::default();
        // The only error is that the text was cut, which is marked.
        let _ = buffer.write_fmt(text);
        buffer
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            let end = self.len + char.len_utf8();
            let Some(room) = self.bytes.get_mut(self.len..end) else {
                self.cut = true;
                return Err(fmt::Error);
            };
            char.encode_utf8(room);
            self.len = end;
        }
        Ok(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.as_str().lines().enumerate() {
            f.write_str(if number > 0 { "\n            " } else { "" })?;
            f.write_str(line)?;
        }
        f.write_str(if self.cut { " …" } else { "" })
    }
}

/// Turns an unexpected error, or nothing where something was expected, into a failure of the case.
pub trait OrFail<T> {
    /// The value, or a failure that says what was expected.
    ///
    /// # Errors
    ///
    /// There is no value.
    #[track_caller]
    fn or_fail(self, expected: &str) -> Result<T, Failed>;
}

impl<T, E: Debug> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self, expected: &str) -> Result<T, Failed> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(fail(format_args!("{expected}"), format_args!("{error:?}"))),
        }
    }
}

impl<T> OrFail<T> for Option<T> {
    #[track_caller]
    fn or_fail(self, expected: &str) -> Result<T, Failed> {
        match self {
            Some(value) => Ok(value),
            None => Err(fail(format_args!("{expected}"), format_args!("nothing"))),
        }
    }
}

/// Fails the case unless the condition holds. Further arguments describe what was found instead.
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(,)?) => { $crate::ensure!($condition, "it does not hold") };
    ($condition:expr, $($found:tt)+) => {
        if !$condition {
            return Err($crate::fail(
                ::core::format_args!("{}", ::core::stringify!($condition)),
                ::core::format_args!($($found)+),
            ));
        }
    };
}

/// Fails the case unless the first value equals the second, which is the expected one.
#[macro_export]
macro_rules! ensure_eq {
    ($found:expr, $expected:expr $(,)?) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if found != expected {
                    return Err($crate::fail(
                        ::core::format_args!("{} = {expected:?}", ::core::stringify!($found)),
                        ::core::format_args!("{found:?}"),
                    ));
                }
            }
        }
    };
}

/// Fails the case unless the value matches the pattern.
#[macro_export]
macro_rules! ensure_matches {
    ($found:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        match $found {
            $pattern $(if $guard)? => {}
            ref found => {
                return Err($crate::fail(
                    ::core::format_args!("{} matches {}", ::core::stringify!($found), ::core::stringify!($pattern $(if $guard)?)),
                    ::core::format_args!("{found:?}"),
                ));
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// The record is one for all; the tests that look at it take turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn recorded(case: fn() -> CaseResult) -> String {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        case().unwrap_err().record().unwrap().in_package("").to_string()
    }

    #[test]
    fn a_failure_says_where_what_was_expected_and_what_was_found() {
        let text = recorded(|| {
            ensure_eq!(2 + 2, 4);
            ensure_eq!(2 + 3, 6);
            Ok(())
        });
        let at = format!("  at {}:{}:", file!(), line!() - 3);
        assert!(text.starts_with(&at), "{text}");
        assert!(text.ends_with("\n  expected: 2 + 3 = 6\n  found:    5"), "{text}");
    }

    #[test]
    fn conditions_and_patterns_and_missing_values() {
        let text = recorded(|| {
            ensure!(1 < 2, "not reached");
            ensure!(1 > 2, "first\nsecond {}", 3);
            Ok(())
        });
        assert!(
            text.ends_with("\n  expected: 1 > 2\n  found:    first\n            second 3"),
            "{text}"
        );
        let text = recorded(|| {
            ensure_matches!(Some(3), Some(n) if n == 3);
            ensure_matches!(Some(3), None);
            Ok(())
        });
        assert!(
            text.ends_with("\n  expected: Some(3) matches None\n  found:    Some(3)"),
            "{text}"
        );
        let text = recorded(|| Err::<(), i32>(7).or_fail("a page"));
        assert!(text.ends_with("\n  expected: a page\n  found:    7"), "{text}");
        let text = recorded(|| None.or_fail("a stack"));
        assert!(text.ends_with("\n  expected: a stack\n  found:    nothing"), "{text}");
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        let long = "ä".repeat(600);
        let text = Text::new(format_args!("{long}")).to_string();
        assert_eq!(text, format!("{} …", "ä".repeat(512)));
    }
}
