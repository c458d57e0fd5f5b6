//! Features of `tests/cases` that choose among the cases of the suites. Builds with different
//! features have their own output, so none is compiled twice.

/// Each case with the first profile that it names.
pub const ONE_PROFILE: &str = "case-finder/one-profile";

/// Each case with the first profile that it names, and the first `Checked` one.
pub const TWO_PROFILES: &str = "case-finder/two-profiles";

/// Suites that touch memory most.
pub const MEMORY: &str = "case-finder/memory";

/// Suites of arenas.
pub const ARENAS: &str = "case-finder/arenas";
