//! What a program says of itself and checks: its exit status is 0 only if all of it is true.

/// How a program, or a part of it, ended.
pub type Verdict = Result<(), Untrue>;

/// Something that was claimed is not true; what it was has been printed.
#[derive(Clone, Copy, Debug)]
pub struct Untrue {
    status: u8,
}

impl Untrue {
    /// A claim that does not hold.
    pub const CLAIM: Self = Self { status: 1 };

    /// The program was called with arguments that it does not know.
    pub const ARGUMENTS: Self = Self { status: 2 };

    /// The exit status that says so.
    #[must_use]
    pub const fn status(self) -> u8 {
        self.status
    }
}

/// Checks a condition and prints what it means: `ok: …`, or `UNTRUE: …`, which also ends the
/// function with an `Err`.
#[macro_export]
macro_rules! claim {
    ($condition:expr, $($meaning:tt)*) => {
        if $condition {
            $crate::println!("ok: {}", ::core::format_args!($($meaning)*));
        } else {
            $crate::println!("UNTRUE: {} [{}]", ::core::format_args!($($meaning)*), ::core::stringify!($condition));
            return ::core::result::Result::Err($crate::Untrue::CLAIM);
        }
    };
}

/// [`claim!`] that prints nothing if it holds: for what is checked often.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($meaning:tt)*) => {
        if !$condition {
            $crate::println!("UNTRUE: {} [{}]", ::core::format_args!($($meaning)*), ::core::stringify!($condition));
            return ::core::result::Result::Err($crate::Untrue::CLAIM);
        }
    };
}

impl From<crate::system::Errno> for Untrue {
    /// A system call was refused that no program here can do without.
    fn from(errno: crate::system::Errno) -> Self {
        crate::println!("UNTRUE: a system call failed: {errno}");
        Self::CLAIM
    }
}
