//! Random tests: a property that holds for every input.

use core::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::TestRunner;

use super::platform::{during_property, properties};
use super::profile::Variant;

/// Runs `property` with random inputs: as many as the profile is worth.
pub fn for_all<P: Variant, S: Strategy>(inputs: &S, property: impl Fn(&S::Value))
where
    S::Value: Debug,
{
    for_some(P::RARER, inputs, property);
}

/// Runs `property` with random inputs, `rarer` times fewer than for the default profile.
pub fn for_some<S: Strategy>(rarer: u32, inputs: &S, property: impl Fn(&S::Value))
where
    S::Value: Debug,
{
    let mut runner = TestRunner::new(properties(rarer));
    let verdict = runner.run(inputs, |input| {
        during_property(&input, || property(&input));
        Ok(())
    });
    if let Err(error) = verdict {
        panic!("{error}\n{runner}");
    }
}
