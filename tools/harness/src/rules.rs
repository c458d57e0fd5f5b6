//! Leaves each rule of `check()` out, one after the other: a test must notice.
//!
//! ```text
//!   src ── patch ──► target/rules/project/src ── cargo, once ──► test programs
//!   test programs ── a run for each rule ──► who failed
//! ```
//!
//! The patch makes the place where a rule is reported ask the variable `LEFT_OUT`. A rule that is
//! left out lets the check go on; where the check cannot go on without it, it panics. The test that
//! was written for the rule fails then: it expects a report that does not come, or another one. A
//! rule that no test misses could as well be removed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use kerntest::tally::{Failure, Tally};

use crate::project::Project;
use crate::{Error, cargo, cases, copied, kinds, process};

/// The variable that names the rule.
const LEFT_OUT: &str = "BRKALLOC_LEFT_OUT";

/// Where the rules are.
const RULES: &str = "check/corruption.rs";

/// What the patched crate has in addition, in the file of the rules.
const ASK: &str = "
/// Whether a rule is left out.
pub(crate) fn is_left_out(rule: Rule) -> bool {
    extern crate std;
    static NAME: std::sync::OnceLock<Option<std::string::String>> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var(\"BRKALLOC_LEFT_OUT\").ok());
    name.as_ref().is_some_and(|name| *name == std::format!(\"{rule:?}\"))
}
";

/// Parts of the names of tests that may miss a rule.
const TESTS: [&str; 7] = [
    "check::",
    "corruption::",
    "checked::",
    "checked_overflow::",
    "claims::c14",
    "regions::",
    "regions_and_break::",
];

/// Most seconds of one run: a check without a rule may walk in a circle.
const LIMIT: &str = "120";

/// What became of the tests without a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Missed {
    rule: String,
    /// Names of tests that failed.
    by: Vec<String>,
}

/// All rules.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Missed>);

impl Rules {
    /// Patches, builds and runs. `on_line` gets what the build has to say, and a line a rule.
    ///
    /// # Errors
    ///
    /// The patched tests cannot be built, or fail with all rules in place.
    pub fn leave_out(project: &Project, mut on_line: impl FnMut(&str)) -> Result<Self, Error> {
        let folder = project.target("rules/project");
        copy(project.root(), &folder).map_err(|error| Error::Write(folder.clone(), error))?;
        let rules = fs::read_to_string(folder.join("src").join(RULES))
            .map_err(|error| Error::Write(folder.clone(), error))?;
        let programs = build(project, &folder, &mut on_line)?;
        let failed = run(&programs, "")?;
        if !failed.is_empty() {
            return Err(Error::Build("the tests with all rules in place".into(), failed));
        }
        let mut missed = Vec::new();
        for rule in names(&rules) {
            let by = run(&programs, &rule)?;
            on_line(&format!("{rule}: {} tests fail", by.len()));
            missed.push(Missed { rule, by });
        }
        Ok(Self(missed))
    }

    /// A rule that no test misses fails.
    pub fn judge(&self) -> Tally {
        let mut tally = Tally::default();
        for Missed { rule, by } in &self.0 {
            tally.add(if by.is_empty() {
                let details = vec!["no test fails without it".to_owned()];
                Tally::one_failed(Failure::new(format!("rules::{rule}"), kinds::CHECK, details))
            } else {
                Tally::one_passed()
            });
        }
        tally
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:16} {:>6}  for example", "rule left out", "fail")?;
        for Missed { rule, by } in &self.0 {
            let first = by.first().map_or("", String::as_str);
            writeln!(f, "{rule:16} {:>6}  {first}", by.len())?;
        }
        Ok(())
    }
}

/// The names of the rules, as the enumeration lists them.
fn names(source: &str) -> Vec<String> {
    let body = source.split("pub enum Rule;").nth(1).and_then(|rest| rest.split("\n}").next());
    let lines = body.unwrap_or_default().lines().map(str::trim);
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    names.filter(|name| !name.contains([' ', '/'])).map(str::to_owned).collect()
}

/// Makes a copy of the project whose `src` is patched.
fn copy(root: &Path, to: &Path) -> io::Result<()> {
    copied::link_all(root, to, |name| !["src", "target", ".git"].contains(&name))?;
    let (from, to) = (root.join("src"), to.join("src"));
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    for file in copied::files(&from)? {
        let place = to.join(file.strip_prefix(&from).unwrap_or(&file));
        fs::create_dir_all(place.parent().unwrap_or(&to))?;
        let source = fs::read_to_string(&file)?;
        let is_tests = file.ends_with("tests.rs");
        let mut source = if is_tests { source } else { patched(&source) };
        if file.ends_with(RULES) {
            source += ASK;
        }
        if file.ends_with("check/mod.rs") && from.join("check/mod.rs") == file {
            source += "\npub(crate) use corruption::is_left_out;\n";
        }
        fs::write(place, source)?;
    }
    Ok(())
}

/// The source, with each report of a rule behind the question if it is left out.
fn patched(source: &str) -> String {
    let mut new = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("Err(") {
        let (before, from) = rest.split_at(at);
        let Some(len) = balanced(&from["Err".len()..]) else { break };
        let inner = &from["Err(".len().."Err".len() + len - 1];
        let after = &from["Err".len() + len..];
        let is_report = inner.starts_with("Corruption {")
            || inner.starts_with("Corruption::new(")
            || inner == "wrong";
        let is_pattern = after.trim_start().starts_with("=") || before.trim_end().ends_with("let");
        if !is_report || is_pattern {
            new += before;
            new += &from[..len + "Err".len()];
        } else if let Some(head) = before.strip_suffix("return ") {
            // In front of a `return`, the check goes on; where it must leave, it cannot.
            let block = head.trim_end();
            let leaves = block.ends_with("else {") || block.ends_with("=> {");
            let stop = if leaves { "; unreachable!(\"the rule is left out\")" } else { "" };
            new += head;
            new += &format!(
                "{{ let report = {inner}; \
                 if !crate::check::is_left_out(report.rule) {{ return Err(report); }} }}{stop}"
            );
        } else {
            new += before;
            new += &format!(
                "{{ let report = {inner}; \
                 if crate::check::is_left_out(report.rule) {{ Ok(()) }} else {{ Err(report) }} }}"
            );
        }
        rest = after;
    }
    new + rest
}

/// The length of the parenthesis that the text begins with.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Builds the tests of the patched crate, and returns their programs.
fn build(
    project: &Project,
    folder: &Path,
    on_line: &mut impl FnMut(&str),
) -> Result<Vec<PathBuf>, Error> {
    let mut command = cargo::host(project, folder, "rules/target");
    command.args(["test", "--no-run", "--profile", "suites", "--package", "brkalloc", "--lib"]);
    command.args(["--test", "all", "--features", cases::ONE_PROFILE, "--color", "never"]);
    let mut output = Vec::new();
    let status = process::run(command, |line| {
        on_line(line);
        output.push(line.to_owned());
    })?;
    let path = |line: &String| {
        let path = line.trim().strip_prefix("Executable ")?.rsplit_once('(')?.1;
        path.strip_suffix(')').map(PathBuf::from)
    };
    let programs: Vec<_> = output.iter().filter_map(path).map(|path| folder.join(path)).collect();
    if status.success() && programs.len() == 2 {
        return Ok(programs);
    }
    Err(Error::Build("the tests of the patched crate".into(), output))
}

/// Runs the tests without a rule, and returns the names of those that fail, hang or crash.
fn run(programs: &[PathBuf], rule: &str) -> Result<Vec<String>, Error> {
    let mut failed = Vec::new();
    for program in programs {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", LIMIT]).arg(program).args(TESTS);
        command.args(["--test-threads", "1"]).env(LEFT_OUT, rule).env("RUST_BACKTRACE", "0");
        let mut open = None;
        process::run(command, |line| match verdict(line) {
            Some((_, "ok" | "ignored")) => {}
            Some((name, "FAILED")) => failed.push(name.to_owned()),
            Some((name, _)) => open = Some(name.to_owned()),
            None if line == "ok" => open = None,
            None if line == "FAILED" => failed.extend(open.take()),
            None => {}
        })?;
        failed.extend(open);
    }
    Ok(failed)
}

/// The name in a line of libtest's, and what follows it on the line: nothing, if the test writes
/// there, or ends the program.
fn verdict(line: &str) -> Option<(&str, &str)> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ...")?;
    (!name.contains(' ')).then(|| (name, verdict.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_ends_the_program_has_no_verdict() {
        assert_eq!(verdict("test a::b ... ok"), Some(("a::b", "ok")));
        assert_eq!(verdict("test a::b ..."), Some(("a::b", "")));
        assert_eq!(verdict("test a::b - should panic ... ok"), None);
        assert_eq!(verdict("test result: ok. 1 passed"), None);
    }

    #[test]
    fn rules_are_those_of_the_enumeration() {
        let source =
            "pub enum Rule;\n\n    /// A = b,\n    Top = \"a b\",\n    Links = \"c\",\n}\n";
        assert_eq!(names(source), ["Top", "Links"]);
    }

    #[test]
    fn reports_ask_and_patterns_stay() {
        let question = |report: &str| {
            format!("if !crate::check::is_left_out(report.rule) {{ return Err({report}); }}")
        };
        let left = patched("if a { return Err(Corruption { at: f(1), rule }); } b();");
        assert!(left.contains("let report = Corruption { at: f(1), rule };"), "{left}");
        assert!(left.contains(&question("report")) && left.ends_with("}; } b();"), "{left}");
        let stops = patched("let Some(a) = b else { return Err(Corruption { at }); };");
        assert!(stops.contains("unreachable!"), "{stops}");
        let tail = patched("if a { Ok(()) } else { Err(Corruption { at }) }");
        assert!(tail.contains("{ Ok(()) } else { Err(report) }"), "{tail}");
        for same in [
            "let Err(Corruption { at }) = x else { y };",
            "Err(other)",
            "Err(Corruption { at }) => x,",
        ] {
            assert_eq!(patched(same), same);
        }
    }
}
