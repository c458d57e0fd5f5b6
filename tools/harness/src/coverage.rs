//! Which cases of the host suites run in the kernel as well. Pure.
//!
//! Every one must, or have a reason: `#[case(host_only = "reason")]`, which the kernel tells, or
//! `host_only!("reason");` for a whole file. Both lists come from those who run the cases: from the
//! suites' program asked with `--list`, and from the kernel's answers to `list`.

use std::collections::BTreeSet;

use crate::libtest;

/// What the kernel calls a host suite's case: this, suite and case.
const IN_KERNEL: &str = "host::";

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
            cases.insert(name.to_owned());
        }
    }
    cases
}

/// The host suites' cases among those that the kernel has, as `suite::case`.
pub fn in_kernel(names: &[String]) -> BTreeSet<String> {
    names.iter().filter_map(|name| name.strip_prefix(IN_KERNEL)).map(str::to_owned).collect()
}

/// The same cases without profiles: `fit::first` instead of `fit::first::plain` and
/// `fit::first::checked_plain`.
pub fn without_profiles(cases: BTreeSet<String>) -> BTreeSet<String> {
    cases.iter().map(|case| without_profile(case).to_owned()).collect()
}

/// The case without the profile that it runs with.
pub fn without_profile(case: &str) -> &str {
    match case.rsplit_once("::") {
        Some((name, last)) if is_profile(last) => name,
        _ => case,
    }
}

/// Whether this is what `tests/cases` calls a case of a profile.
fn is_profile(name: &str) -> bool {
    matches!(
        name.strip_prefix("checked_").unwrap_or(name),
        "usual" | "miniature" | "plain" | "small"
    )
}

/// Those of the cases that are, or whose module is, among what the kernel says is not for it.
pub fn excused(host: &BTreeSet<String>, kernel: &[(String, String)]) -> BTreeSet<String> {
    let names: Vec<&str> =
        kernel.iter().filter_map(|(name, _)| name.strip_prefix(IN_KERNEL)).collect();
    let is_excused = |case: &str| {
        names.iter().any(|name| {
            case.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    host.iter().filter(|case| is_excused(case)).cloned().collect()
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
        .map(line("runs on the host, but not in the kernel, and there is no reason"));
    let unknown = both.difference(host).map(line("is no case of the host suites"));
    let excused = kernel
        .intersection(alone)
        .map(line("runs in the kernel, though there is a reason why it cannot"));
    missing.chain(unknown).chain(excused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn cases_are_named_by_suite() {
        let output = "   Compiling brkalloc v0.1.0\n     Running unittests src/lib.rs (target/debug/deps/brkalloc-1)\n\
                      cell::tests::x: test\n     Running tests/all.rs (target/suites/deps/all-1)\nclaims::c1: test\n\
                      threads::c25: test\n2 tests, 0 benchmarks\n";
        assert_eq!(on_host(output), set(&["claims::c1", "threads::c25"]));
        let names = ["boot::up".to_owned(), "host::claims::c1".to_owned()];
        assert_eq!(in_kernel(&names), set(&["claims::c1"]));
    }

    #[test]
    fn profiles_of_a_case_are_one_case() {
        let cases =
            set(&["fit::a::usual", "fit::a::checked_usual", "fit::b::plain", "fit::usual_c"]);
        assert_eq!(without_profiles(cases), set(&["fit::a", "fit::b", "fit::usual_c"]));
        assert_eq!(without_profile("host::checked_panics"), "host::checked_panics");
    }

    #[test]
    fn a_case_is_excused_by_its_name_or_that_of_its_module() {
        let kernel = [("host::threads", "one thread"), ("host::seeds::listed", "no folders")]
            .map(|(name, reason)| (name.to_owned(), reason.to_owned()));
        let host = set(&["threads::c25", "threads_too::a", "seeds::listed", "seeds::replay"]);
        assert_eq!(excused(&host, &kernel), set(&["threads::c25", "seeds::listed"]));
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
