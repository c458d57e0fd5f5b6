//! Runs cases and prints what becomes of them.

use super::first_failed::FirstFailed;
use super::select::Selection;
use super::{Case, CaseResult, MOST_CASES, Run, Suite, during, fail};
use crate::arch::qemu::{Exit, option};
use crate::evidence::{Evidence, Shown};
use crate::heap::HEAP;
use crate::memory;
use crate::{print, println};

/// Frames that are spoken for. A case must leave them as it found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Frames in use.
    pub used: usize,
    /// Frames reserved.
    pub reserved: usize,
}

impl Balance {
    /// The frames spoken for now, after the kernel's heap has given back what it can.
    pub fn now() -> Self {
        HEAP.trim(0);
        let counts = memory::with(|memory| memory.counts());
        Self { used: counts.used(), reserved: counts.reserved }
    }
}

/// Runs the cases that the options select, in order, and returns the verdict.
///
/// # Panics
///
/// When an option makes no sense.
pub fn run(suite: &Suite<'_>) -> Exit {
    let (mut filter, mut from, mut list) = ([0; 1024], [0; 20], [0; 16]);
    let selection = Selection::new(option("filter", &mut filter));
    let from = option("from", &mut from).map_or(0, |text| match text.parse::<usize>() {
        Ok(index) => index,
        Err(error) => panic!("option from={text}: {error}"),
    });
    let mut order = [0; MOST_CASES];
    let listed = suite.all(&mut order);
    let all = || listed.clone().filter(|case| !matches!(case.run, Run::HostOnly(_)));
    let selected = || all().filter(|case| selection.includes(case.name));

    match option("list", &mut list) {
        Some("host-only") => {
            suite.host_only.iter().for_each(|(module, reason)| println!("host::{module} {reason}"));
            for case in listed.clone() {
                if let Run::HostOnly(reason) = case.run {
                    println!("{} {reason}", case.name);
                }
            }
            return Exit::Passed;
        }
        Some(_) => {
            selected().for_each(|case| println!("{}", case.name));
            return Exit::Passed;
        }
        None => {}
    }
    println!("running {} tests", selected().skip(from).count());
    let (mut passed, mut failed) = (0, 0);
    for case in selected().skip(from) {
        if judge(&case) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    let filtered_out = all().count() - selected().count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; {filtered_out} filtered out"
    );
    if failed == 0 { Exit::Passed } else { Exit::Failed }
}

impl<'a> Suite<'a> {
    /// All cases, in the order in which they run: those of the suite by name, with `order` to note
    /// it in, then the steps. (It is the heap that is under test, so nothing is allocated.)
    ///
    /// # Panics
    ///
    /// If there are more than `order` can note.
    fn all<'o>(
        &self,
        order: &'o mut [u16; MOST_CASES],
    ) -> impl Iterator<Item = Case> + Clone + use<'a, 'o> {
        let Self { cases, tour, .. } = *self;
        let order = &mut order[..cases.len()];
        (0..).zip(&mut *order).for_each(|(index, place)| *place = index);
        order.sort_unstable_by_key(|&index| cases[usize::from(index)].name);
        let by_name = order.iter().map(|&index| cases[usize::from(index)]);
        let claims = tour.iter().flat_map(|chapter| chapter.claims);
        by_name.chain(claims.flat_map(|claim| claim.steps).map(Case::from))
    }
}

/// Runs one case and prints its verdict.
fn judge(case: &Case) -> bool {
    print!("test {} ... ", case.name);
    during::clear();
    let before = Balance::now();
    let result = match case.run {
        Run::Function(test) => test(),
        Run::Assertions(test) => {
            test();
            Ok(())
        }
        Run::Step(show) => shown(show),
        Run::HostOnly(_) => Ok(()),
    };
    memory::with(|memory| memory.frames().fail_nth(None));
    let after = Balance::now();
    match result {
        Err(failed) => {
            println!("FAILED");
            if let Some(failure) = failed.record() {
                println!("{failure}");
            }
            false
        }
        Ok(()) if before == after => {
            println!("ok");
            true
        }
        Ok(()) => {
            println!("FAILED");
            print_leak("frame leak", "frames not returned", "used", before.used, after.used);
            print_leak(
                "reservation leak",
                "frames still reserved",
                "reserved",
                before.reserved,
                after.reserved,
            );
            false
        }
    }
}

/// Runs a step of the tour without printing it. All of its evidence must hold.
fn shown(show: fn(&mut Evidence<'_>) -> Shown) -> CaseResult {
    let mut first_failed = FirstFailed::default();
    let mut evidence = Evidence::new(&mut first_failed);
    // What was missing has been recorded where it was needed.
    let _ = show(&mut evidence);
    match evidence.finish() {
        (_, 0) => Ok(()),
        (checks, failed) => Err(fail(
            format_args!("all of {checks} checks of the step hold"),
            format_args!("{failed} do not; the first: {}", first_failed.text()),
        )),
    }
}

fn print_leak(kind: &str, what: &str, count: &str, before: usize, after: usize) {
    if before != after {
        let difference = after.cast_signed() - before.cast_signed();
        println!("  {kind}: {difference} {what} ({count} before: {before}, after: {after})");
    }
}
