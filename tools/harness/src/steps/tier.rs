//! How much is run: three tiers, each with everything of the one before.

/// A tier of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// `make check`: formatting, lints, unit tests and host suites. Seconds.
    Check,
    /// `make test`: a short form of each kind of test. Minutes.
    Test,
    /// `make test-all`: everything, in its long form.
    All,
}

#[cfg(test)]
mod tests {
    use super::Tier;

    #[test]
    fn each_tier_has_the_ones_before() {
        assert!(Tier::Check < Tier::Test && Tier::Test < Tier::All);
    }
}
