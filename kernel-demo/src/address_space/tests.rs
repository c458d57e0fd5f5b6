//! Random programs on address spaces beside the naive model, and the fuzzer's seeds.

use proptest::prelude::*;

use super::model::Program;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_program_does_areas_faults_and_account_are_those_of_the_naive_model(
        program in prop::collection::vec(any::<u8>(), 1..400).prop_map(|bytes| Program::decode(&bytes)),
    ) {
        program.run();
    }
}
