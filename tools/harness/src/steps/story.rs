//! Stories: the reducer of the viewer under node, and pages of real runs in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, Outcome, Screen, Step, Tier};
use crate::preloaded::Preloaded;
use crate::{Error, process, story};
use kerntest::tally::{Failure, Kind, Tally};

/// Names of the browser, in the order in which they are tried.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Maximum time of a page in the browser, in seconds.
const LIMIT: &str = "600";

/// The claim of which a part is not the kernel's, so that it does not print it.
const PRELOADED: &str = "ok C28 ";

/// What is recorded: the tour; a program with its own heap; one with the documents' simple heap;
/// one in C.
const STORIES: [(&str, Option<&str>); 4] = [
    ("tour", None),
    ("maps-story", Some("maps-story")),
    ("simple", Some("simple")),
    ("first", Some("first")),
];

/// Calls of the long program, each of which is two events: it allocates half of the time, and frees
/// the other half.
const CALLS: u64 = 50_000;

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::alone(Tier::Test, "story: the reducer", reducer),
        Step::alone(Tier::All, "story: pages in a browser", pages),
    ]
}

/// The tests of the viewer's modules.
fn reducer(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    if !runs("node") {
        return Ok(Outcome::LeftOut("there is no node; the package is nodejs".into()));
    }
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap"]).arg(viewer(context));
    let lines = lines_of(command, screen)?;
    Ok(Outcome::Ran(tally("story: the reducer", &lines, "# pass ", "not ok ")))
}

/// Records runs, makes pages of them, and tries each in a browser.
fn pages(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(browser) = BROWSERS.into_iter().find(|browser| runs(browser)) else {
        return Ok(Outcome::LeftOut("there is no Chromium; the package is chromium".into()));
    };
    let mut tally = Tally::default();
    for (name, program) in STORIES {
        let (page, console) = match page_of(context, screen, (name, program))? {
            Ok(made) => made,
            Err(failure) => {
                tally.add(Tally::one_failed(failure));
                continue;
            }
        };
        let lines = open(browser, context, &page, screen)?;
        let title = format!("story: the page of {name}");
        tally.add(verdict(&title, &lines, &console));
    }
    let page = long_page(context, screen)?;
    let lines = open(browser, context, &page, screen)?;
    tally.add(verdict("story: a page of 100,000 events", &lines, ""));
    Ok(Outcome::Ran(tally))
}

/// The page of a Linux program of [`CALLS`] calls, with the tests behind the viewer.
fn long_page(context: &Context, screen: &mut Screen) -> Result<PathBuf, Error> {
    let project = &context.project;
    let [trace, page] =
        ["trace", "html"].map(|end| project.target("story/long").with_extension(end));
    let records = long_trace().flatten().flat_map(u64::to_ne_bytes).collect::<Vec<_>>();
    fs::write(&trace, records).map_err(|error| Error::Write(trace.clone(), error))?;
    let tests = viewer(context).join("in_browser.js");
    let paths = [&trace, &tests].map(|path| path.display().to_string());
    let further = ["--trace", &paths[0], "--name", "a long program", "--module", &paths[1]];
    let line = |line: &str| screen.detail(line);
    story::page(project, &[], &page, &further, line, |_| {})?;
    Ok(page)
}

/// The records of the long program: the break, blocks, and their end in another order.
fn long_trace() -> impl Iterator<Item = [u64; 4]> {
    const BASE: u64 = 0x5555_0000_0000;
    const STEP: u64 = 128;
    const BLOCKS: u64 = CALLS / 2;
    let [malloc, free, moved] = [0, 2, 4];
    let end = BASE + STEP * BLOCKS;
    let blocks = (0..BLOCKS).map(move |n| [malloc, 100, BASE + STEP * n, 0]);
    let order = (0..BLOCKS).map(|n| n * 7919 % BLOCKS);
    let frees = order.map(move |n| [free, 0, BASE + STEP * n, 0]);
    [[moved, end, 0, 0]].into_iter().chain(blocks).chain(frees)
}

/// The page of a run, with the tests behind the viewer, and what the kernel printed.
fn page_of(
    context: &Context,
    screen: &mut Screen,
    (name, program): (&str, Option<&str>),
) -> Result<Result<(PathBuf, String), Failure>, Error> {
    let Context { project, setup, machine, .. } = context;
    let mut console = Vec::new();
    let keys: Vec<_> = program.map(|words| ("program", words)).into_iter().collect();
    let machine = machine.for_story(setup);
    let on_bytes = |bytes: &[u8]| console.extend_from_slice(bytes);
    let run = (name, &keys[..]);
    let host = match program {
        None => Preloaded::build(project, |line| screen.detail(line))?,
        Some(_) => None,
    };
    let line = |line: &str| screen.detail(line);
    let recording = story::record(project, setup, &machine, run, host.as_ref(), line, on_bytes)?;
    if let Some(failure) = recording.failure {
        return Ok(Err(failure));
    }
    let page = project.target("story").join(name).with_extension("html");
    let tests = viewer(context).join("in_browser.js");
    let mut further = vec!["--module".to_owned(), tests.display().to_string()];
    if host.is_some() {
        further.extend(story::preloaded(project)?);
    }
    let further: Vec<&str> = further.iter().map(String::as_str).collect();
    let mut output = Vec::new();
    let line = |line: &str| screen.detail(line);
    let made = story::page(project, &[recording.record], &page, &further, line, |line| {
        output.push(line.to_owned());
    })?;
    let failed = || Failure::new(format!("story: the page of {name}"), Kind::Assertion, output);
    Ok(if made {
        Ok((page, String::from_utf8_lossy(&console).into_owned()))
    } else {
        Err(failed())
    })
}

/// Opens a page, and returns the lines that its tests leave in the document.
fn open(
    browser: &str,
    context: &Context,
    page: &Path,
    screen: &mut Screen,
) -> Result<Vec<String>, Error> {
    let profile = context.project.target("story/browser");
    // The folder is the browser's, from one start to the next.
    fs::create_dir_all(&profile).map_err(|error| Error::Write(profile.clone(), error))?;
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", LIMIT, browser, "--headless", "--no-sandbox", "--disable-gpu"]);
    command.args(["--disable-background-networking", "--no-first-run", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg(format!("file://{}", page.display()));
    let lines = lines_of(command, screen)?;
    let results = lines.iter().skip_while(|line| !line.contains("<pre id=\"results\">"));
    Ok(results.map(|line| line.replace("<body><pre id=\"results\">", "")).collect())
}

/// Adds up the lines of a page: each is `ok NAME` or `FAILED NAME`, and the last one counts them.
/// What a question shows as the run's line must be what the kernel printed.
fn verdict(title: &str, lines: &[String], console: &str) -> Tally {
    let of = |prefix: &str| -> Vec<&String> {
        lines.iter().filter(|line| line.starts_with(prefix)).collect()
    };
    let (passed, failed) = (of("ok "), of("FAILED "));
    let end = format!("end of {} checks", passed.len() + failed.len());
    let mut details: Vec<String> = failed.into_iter().cloned().collect();
    if !lines.contains(&end) || passed.is_empty() {
        details.push("the tests of the page did not come to their end".to_owned());
    }
    let of_kernel = passed.iter().filter(|line| !line.starts_with(PRELOADED));
    let shown = of_kernel.filter_map(|line| line.split_once(" | "));
    let unknown = shown.filter(|(_, line)| !console.contains(&*unescaped(line)));
    details.extend(unknown.map(|(_, line)| format!("the kernel did not print {line:?}")));
    let mut tally = Tally { passed: passed.len(), ..Tally::default() };
    if !details.is_empty() {
        tally.add(Tally::one_failed(Failure::new(title, Kind::Assertion, details)));
    }
    tally
}

/// Text of a document, where some letters have names.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Adds up the lines of node.
fn tally(title: &str, lines: &[String], passed: &str, failed: &str) -> Tally {
    let number = lines.iter().find_map(|line| line.strip_prefix(passed)?.trim().parse().ok());
    let details: Vec<String> =
        lines.iter().filter(|line| line.trim_start().starts_with(failed)).cloned().collect();
    match number {
        Some(passed @ 1..) if details.is_empty() => Tally { passed, ..Tally::default() },
        _ => Tally::one_failed(Failure::new(title, Kind::Assertion, details)),
    }
}

fn viewer(context: &Context) -> PathBuf {
    context.project.root().join("tools/story/viewer")
}

/// Whether a program is there and runs.
fn runs(program: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

fn lines_of(command: Command, screen: &mut Screen) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    process::run(command, |line| {
        screen.detail(line);
        lines.push(line.to_owned());
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn counts(tally: &Tally) -> (usize, usize) {
        (tally.passed, tally.ran() - tally.passed)
    }

    #[test]
    fn a_page_passes_if_all_its_lines_do_and_the_kernel_printed_what_it_shows() {
        let good = lines("ok C1 is asked: 8 | bytes &lt; 9: 8\nok keys\nend of 2 checks");
        assert_eq!(counts(&verdict("t", &good, "    ok      bytes < 9: 8\n")), (2, 0));
        assert_eq!(counts(&verdict("t", &good, "    ok      bytes: 7\n")), (2, 1));
        let bad = lines("ok keys\nFAILED C1: expected 8, found 7\nend of 2 checks");
        assert_eq!(counts(&verdict("t", &bad, "")), (1, 1));
    }

    #[test]
    fn a_page_whose_tests_do_not_end_has_failed() {
        assert_eq!(counts(&verdict("t", &[], "")), (0, 1));
        assert_eq!(counts(&verdict("t", &lines("ok one"), "")), (1, 1));
        assert_eq!(counts(&verdict("t", &lines("end of 0 checks"), "")), (0, 1));
    }

    #[test]
    fn the_long_program_frees_each_of_its_blocks_once() {
        let records: Vec<_> = long_trace().collect();
        let of = |act| {
            let blocks = records.iter().filter(|record| record[0] == act).map(|record| record[2]);
            blocks.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(records.len() as u64, CALLS + 1);
        assert_eq!((of(0).len() as u64, of(0)), (CALLS / 2, of(2)));
    }

    #[test]
    fn nodes_lines_are_added_up() {
        let sum = |text: &str| counts(&tally("t", &lines(text), "# pass ", "not ok "));
        assert_eq!(sum("ok 1 - a\n# pass 8\n# fail 0"), (8, 0));
        assert_eq!(sum("not ok 1 - a\n# pass 7\n# fail 1"), (0, 1));
        assert_eq!(sum("# pass 0"), (0, 1));
        assert_eq!(sum(""), (0, 1));
    }
}
