//! System calls of chance, by several processes: whatever they ask for, the kernel goes on, and
//! every frame is back.

use alloc::string::ToString;

use kernel_demo::arch::qemu::option;
use kernel_demo::system::{Accounting, Options, Settings};
use kernel_demo::testing::{Balance, CaseResult};
use kernel_demo::{ensure, ensure_eq};

use super::{WELL, options, run, settings, tail};

use crate::common::case;

#[case]
fn strict_accounting_survives_calls_of_chance() -> CaseResult {
    survives(Accounting::Strict)
}

#[case]
fn overcommit_survives_calls_of_chance() -> CaseResult {
    survives(Accounting::Overcommit)
}

/// Two fuzzers beside each other, again and again, with seeds from the option `seed` on.
fn survives(accounting: Accounting) -> CaseResult {
    let first = option("seed", &mut [0; 12]).and_then(|text| text.parse::<u32>().ok());
    // Without a seed it is a part of the suite, which is short.
    let rounds = if first.is_some() { 4 } else { 2 };
    for round in 0..rounds {
        let seed = first.unwrap_or(1).wrapping_add(round);
        let before = Balance::now();
        let settings = Settings { accounting, ..settings() };
        fuzz(settings, seed)?;
        ensure_eq!(Balance::now(), before);
    }
    Ok(())
}

fn fuzz(settings: Settings, seed: u32) -> CaseResult {
    let (one, other) = (seed.to_string(), seed.wrapping_mul(7919).to_string());
    let calls: [&[&str]; 2] = [&[&one, "6", "400"], &[&other, "6", "400"]];
    let options = Options { quiet: true, ..options() };
    let ran = run(settings, options, &calls.map(|arguments| ("fuzz", arguments)))?;
    let statuses = ran.statuses();
    ensure!(statuses == [WELL; 2], "seed {seed}: {statuses:?}: {}", tail(&ran.output));
    Ok(())
}
