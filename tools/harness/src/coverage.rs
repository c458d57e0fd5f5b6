//! Which cases of the host suites run in the kernel as well. Pure.
//!
//! Every one must, or stand with its reason in the table of docs/TESTING.md. Both lists come from
//! those who run the cases: from the suites' program asked with `--list`, and from the kernel's
//! answer to `list`.

use std::collections::BTreeSet;

use crate::libtest;

/// The heading in docs/TESTING.md above the table of cases that run on the host alone.
const HEADING: &str = "## On the host alone";

/// What the kernel calls a host suite's case: this, suite and case.
const IN_KERNEL: &str = "host::";

/// Where the macro `cases!` puts a suite's tests on the host.
const LISTED: &str = "::cases::";

/// The program of all suites.
const PROGRAM: &str = "tests/all.rs";

/// The cases in what the program of all suites, asked by cargo for its list, wrote, as
/// `suite::case`. Unit tests are none.
pub fn on_host(output: &str) -> BTreeSet<String> {
    let mut is_suites = false;
    let mut cases = BTreeSet::new();
    for line in output.lines() {
        if let Some(program) = libtest::program(line) {
            is_suites = program == PROGRAM;
        } else if let (true, Some(name)) = (is_suites, line.strip_suffix(": test")) {
            cases.insert(name.replacen(LISTED, "::", 1));
        }
    }
    cases
}

/// The host suites' cases among those that the kernel has, as `suite::case`.
pub fn in_kernel(names: &[String]) -> BTreeSet<String> {
    names.iter().filter_map(|name| name.strip_prefix(IN_KERNEL)).map(str::to_owned).collect()
}

/// The cases that docs/TESTING.md says run on the host alone: those in the table below its heading
/// that have a reason.
pub fn host_alone(document: &str) -> BTreeSet<String> {
    let section = document.split_once(HEADING).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or(section);
    section.lines().filter_map(exception).map(str::to_owned).collect()
}

/// The case in a row ``| `suite::case` | reason |``.
fn exception(row: &str) -> Option<&str> {
    let (case, reason) = row.strip_prefix("| `")?.split_once("` | ")?;
    (!reason.trim_end_matches('|').trim().is_empty()).then_some(case)
}

/// What does not fit, a line each. Nothing: all is well.
pub fn differences(
    host: &BTreeSet<String>,
    kernel: &BTreeSet<String>,
    alone: &BTreeSet<String>,
) -> Vec<String> {
    let both: BTreeSet<String> = kernel.union(alone).cloned().collect();
    let line = |text: &'static str| move |case: &String| format!("{case} {text}");
    let missing = host
        .difference(&both)
        .map(line("runs on the host, but not in the kernel, and docs/TESTING.md has no reason"));
    let unknown = both.difference(host).map(line("is no case of the host suites"));
    let excused = kernel
        .intersection(alone)
        .map(line("runs in the kernel, though docs/TESTING.md says that it cannot"));
    missing.chain(unknown).chain(excused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn cases_are_named_by_suite_however_they_are_listed() {
        let output = "   Compiling brkalloc v0.1.0\n     Running unittests src/lib.rs (target/debug/deps/brkalloc-1)\n\
                      cell::tests::x: test\n     Running tests/all.rs (target/suites/deps/all-1)\nclaims::cases::c1: test\n\
                      threads::c25: test\n2 tests, 0 benchmarks\n";
        assert_eq!(on_host(output), set(&["claims::c1", "threads::c25"]));
        let names = ["boot::up".to_owned(), "host::claims::c1".to_owned()];
        assert_eq!(in_kernel(&names), set(&["claims::c1"]));
    }

    #[test]
    fn an_exception_is_a_row_with_a_reason_below_the_heading() {
        let table = "| `a::b` | not here |\n## On the host alone\n\n| case | why |\n|---|---|\n| `threads::c25` | one CPU |\n\
                     | `x::y` |  |\n\n## Next\n| `c::d` | not here either |\n";
        assert_eq!(host_alone(table), set(&["threads::c25"]));
    }

    #[test]
    fn whatever_does_not_fit_is_said() {
        let host = set(&["a", "b", "c"]);
        assert_eq!(differences(&host, &set(&["a", "b"]), &set(&["c"])), [""; 0]);
        let lines = differences(&host, &set(&["a", "d"]), &set(&["a", "c", "e"]));
        let starts: Vec<_> = lines
            .iter()
            .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(starts, ["b runs on", "d is no", "e is no", "a runs in"]);
    }
}
