//! Runs cases and prints what becomes of them.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use super::first_failed::FirstFailed;
use super::{
    Balance, Case, CaseResult, Evidence, Exit, Message, Place, Run, Selection, Shown, Suite,
};
use super::{during, fail};

/// Maximum number of cases in a suite. Their order is noted on the stack, two bytes a case.
pub const MOST_CASES: usize = if usize::BITS > 32 { 1 << 12 } else { 1 << 9 };

/// Maximum length of the filter, and of what is skipped, in bytes.
const LONGEST_FILTER: usize = if usize::BITS > 32 { 1024 } else { 256 };

/// What a suite needs of its kernel.
pub trait Kernel {
    /// The folder of the kernel's package, `env!("CARGO_MANIFEST_DIR")`: places in failures are
    /// relative to its parent. Empty: places are as the compiler has them.
    const PACKAGE: &'static str = "";

    /// Writes to the serial port that the host reads.
    fn write(&mut self, text: &str);

    /// Reads an option of the host into the buffer. `None`: it was not given.
    fn option<'b>(&mut self, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        let _ = (key, buffer);
        None
    }

    /// What is spoken for now. A case that leaves another balance has leaked.
    fn balance(&mut self) -> Balance {
        Balance::default()
    }

    /// Undoes what a case may have left behind on purpose, as an injected failure that has not
    /// come. Called before the balance is drawn up.
    fn reset(&mut self) {}
}

/// A kernel as a place to print to.
struct Out<'a, K>(&'a mut K);

impl<K: Kernel> Write for Out<'_, K> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text);
        Ok(())
    }
}

/// Prints to a kernel, which does not fail.
macro_rules! say {
    ($kernel:expr, $($text:tt)+) => {
        let _ = write!(Out($kernel), $($text)+);
    };
}

/// Runs the cases that the options select, in order, and returns the verdict.
///
/// # Panics
///
/// When an option makes no sense, or there are more than [`MOST_CASES`] cases.
pub fn run<K: Kernel, S>(kernel: &mut K, suite: &Suite<'_, S>) -> Exit
where
    S: Iterator<Item = Case> + Clone,
{
    let (mut filter, mut skip) = ([0; LONGEST_FILTER], [0; LONGEST_FILTER]);
    let (mut exact, mut from, mut list) = ([0; 8], [0; 20], [0; 16]);
    let selection = Selection {
        filter: kernel.option("filter", &mut filter),
        skip: kernel.option("skip", &mut skip),
        is_exact: kernel.option("exact", &mut exact).is_some(),
    };
    let from = kernel.option("from", &mut from).map_or(0, |text| match text.parse::<usize>() {
        Ok(index) => index,
        Err(error) => panic!("option from={text}: {error}"),
    });
    let mut order = [0; MOST_CASES];
    let listed = suite.all(&mut order);
    let all = || listed.clone().filter(|case| !matches!(case.run, Run::HostOnly(_)));
    let selected = || all().filter(|case| selection.includes(case.name));

    match kernel.option("list", &mut list) {
        Some("host-only") => {
            for (module, reason) in suite.host_only {
                say!(kernel, "host::{module} {reason}\n");
            }
            for case in listed.clone() {
                if let Run::HostOnly(reason) = case.run {
                    say!(kernel, "{} {reason}\n", case.name);
                }
            }
            return Exit::Passed;
        }
        Some(_) => {
            say!(kernel, "\n");
            for case in selected() {
                say!(kernel, "{}: test\n", case.name);
            }
            say!(kernel, "{} tests, 0 benchmarks\n", selected().count());
            return Exit::Passed;
        }
        None => {}
    }
    // Firmware may have left its cursor behind a text.
    say!(kernel, "\nrunning {} tests\n", selected().skip(from).count());
    let (mut passed, mut failed) = (0, 0);
    for case in selected().skip(from) {
        if judge(kernel, &case) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    let filtered_out = all().count() - selected().count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    say!(
        kernel,
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; \
         {filtered_out} filtered out\n"
    );
    if failed == 0 { Exit::Passed } else { Exit::Failed }
}

impl<'a, S: Iterator<Item = Case> + Clone> Suite<'a, S> {
    /// All cases, in the order in which they run: those of the suite by name, with `order` to note
    /// it in, then the steps. (A heap may be what is tested, so nothing is allocated.)
    fn all<'o>(
        &self,
        order: &'o mut [u16; MOST_CASES],
    ) -> impl Iterator<Item = Case> + Clone + use<'a, 'o, S> {
        let cases = self.cases;
        let order = &mut order[..cases.len()];
        (0..).zip(&mut *order).for_each(|(index, place)| *place = index);
        order.sort_unstable_by_key(|&index| cases[usize::from(index)].name);
        let by_name = order.iter().map(|&index| cases[usize::from(index)]);
        by_name.chain(self.steps.clone())
    }
}

/// Runs one case and prints its verdict.
fn judge<K: Kernel>(kernel: &mut K, case: &Case) -> bool {
    say!(kernel, "test {} ... ", case.name);
    during::clear();
    let before = kernel.balance();
    let result = match case.run {
        Run::Function(test) => test(),
        Run::Assertions(test) => {
            test();
            Ok(())
        }
        Run::Step(show) => shown(show),
        Run::HostOnly(_) => Ok(()),
    };
    kernel.reset();
    let after = kernel.balance();
    match result {
        Err(failed) => {
            say!(kernel, "FAILED\n");
            if let Some(failure) = failed.record() {
                say!(kernel, "{}\n", failure.in_package(K::PACKAGE));
            }
            false
        }
        Ok(()) if before == after => {
            say!(kernel, "ok\n");
            true
        }
        Ok(()) => {
            say!(kernel, "FAILED\n{}", after.leaks(before));
            false
        }
    }
}

/// Runs a step without printing its evidence, all of which must hold.
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

/// Writes what a panic handler has to say. The machine then ends with [`Exit::Panic`].
pub fn panicked<K: Kernel>(kernel: &mut K, info: &PanicInfo<'_>) {
    say!(kernel, "\nPANIC: {}\n", Message(&info.message()));
    if let Some(location) = info.location() {
        say!(kernel, "  at {}\n", Place { location, package: K::PACKAGE });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::string::{String, ToString};

    use super::*;
    use crate::{Count, ensure_eq};

    std::thread_local! {
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    /// A kernel of a host.
    #[derive(Default)]
    struct Host {
        written: String,
        options: HashMap<&'static str, &'static str>,
    }

    impl Kernel for Host {
        fn write(&mut self, text: &str) {
            self.written += text;
        }

        fn option<'b>(&mut self, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
            let value = self.options.get(key)?;
            buffer[..value.len()].copy_from_slice(value.as_bytes());
            str::from_utf8(&buffer[..value.len()]).ok()
        }

        fn balance(&mut self) -> Balance {
            Balance::new(&[Count { leaks: "frame", what: "frames", number: TAKEN.get() }])
        }
    }

    fn passes() -> CaseResult {
        Ok(())
    }

    fn fails() -> CaseResult {
        ensure_eq!(1 + 1, 3);
        Ok(())
    }

    fn leaks() -> CaseResult {
        TAKEN.set(TAKEN.get() + 2);
        Ok(())
    }

    fn step(evidence: &mut Evidence<'_>) -> Shown {
        evidence.say(format_args!("One is counted."));
        evidence.expect("one", 1, 2);
        Ok(())
    }

    const CASES: [Case; 4] = [
        Case { name: "b::leaks", run: Run::Function(leaks) },
        Case { name: "a::passes", run: Run::Function(passes) },
        Case { name: "c::host", run: Run::HostOnly("it has files") },
        Case { name: "a::fails", run: Run::Function(fails) },
    ];

    fn ran(options: &[(&'static str, &'static str)]) -> (Exit, String) {
        let mut host = Host { options: options.iter().copied().collect(), ..Host::default() };
        let steps = [Case { name: "z::step", run: Run::Step(step) }];
        let steps = steps.into_iter();
        let exit = run(&mut host, &Suite { cases: &CASES, steps, host_only: &[("d", "threads")] });
        (exit, host.written)
    }

    #[test]
    fn each_case_has_its_verdict_in_order_of_names_and_steps_come_last() {
        let (exit, text) = ran(&[]);
        assert_eq!(exit, Exit::Failed);
        let lines: std::vec::Vec<&str> = text.lines().collect();
        assert_eq!(lines[1..3], ["running 4 tests", "test a::fails ... FAILED"]);
        assert!(lines[3].starts_with("  at "), "{text}");
        assert_eq!(
            lines[4..9],
            [
                "  expected: 1 + 1 = 3",
                "  found:    2",
                "test a::passes ... ok",
                "test b::leaks ... FAILED",
                "  frame leak: 2 frames (before: 0, after: 2)",
            ]
        );
        assert_eq!(lines[9], "test z::step ... FAILED");
        assert_eq!(
            lines.last(),
            Some(&"test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 filtered out")
        );
    }

    #[test]
    fn options_select_and_resume() {
        let (exit, text) = ran(&[("filter", "a::"), ("from", "1")]);
        let result = "test result: ok. 1 passed; 0 failed; 0 ignored; 2 filtered out\n";
        assert_eq!(exit, Exit::Passed);
        assert_eq!(text, ["\nrunning 1 tests\ntest a::passes ... ok\n", result].concat());
        assert_eq!(
            ran(&[("list", "1"), ("skip", "a::,z")]).1,
            "\nb::leaks: test\n1 tests, 0 benchmarks\n"
        );
        let host_only = "host::d threads\nc::host it has files\n".to_string();
        assert_eq!(ran(&[("list", "host-only")]).1, host_only);
    }
}
