use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::address_space::model::Program;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_programs_do_areas_faults_and_account_are_those_of_the_naive_model(
        program in prop::collection::vec(any::<u8>(), 1..400).prop_map(|bytes| Program::decode(&bytes)),
    ) {
        program.run();
    }
}

/// Every input of the fuzzer that is worth keeping. What is printed is shown if one fails.
#[test]
fn the_fuzzers_seeds_keep_every_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/address_space");
    let mut seeds: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(seeds.len() >= 20, "{} seeds", seeds.len());
    seeds.sort();
    for seed in seeds {
        let program = Program::decode(&fs::read(&seed).unwrap());
        println!("{}: {program:#?}", seed.display());
        program.run();
    }
}
