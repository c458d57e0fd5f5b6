//! The QEMU suite: one image with many cases, booted again after every crash for those that have
//! not run.
//!
//! First the kernel is asked for the names of the cases. That list is the plan: a case that is on
//! it and has no verdict at the end has failed, whatever became of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::judge::{Ending, Judge, exit};
use crate::protocol::Event;
use crate::qemu::{Limits, Machine, Progress};
use crate::tally::{Failure, Kind, Tally};

/// How long a case may take, and the boot until the first one, unless somebody asks for other
/// limits. The longest, a single-stepped one, takes 15 s of a processor that compilers may want
/// too; only a case that hangs takes all of it.
pub const LIMITS: Limits = Limits::both(Duration::from_secs(120));

/// What the suite as a whole is called where a failure is no case's.
const SUITE: &str = "qemu suite";

/// The suite's image, and how to boot it.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The emulator.
    pub qemu: PathBuf,
    /// The built image.
    pub image: PathBuf,
    /// The machine to boot.
    pub machine: Machine,
    /// How long the boot until the first case may take, and each case.
    pub limits: Limits,
    /// Parts of names, separated by commas; cases that contain one of them are selected. `None`
    /// selects all.
    pub filter: Option<String>,
    /// Random programs of each property test; `None`: as many as the kernel thinks right.
    pub programs: Option<u32>,
}

impl Suite {
    /// The names of the selected cases, in the order in which they run.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        let mut output = Vec::new();
        let ending = self.boot(&[("list", "1")], |bytes| {
            output.extend_from_slice(bytes);
            Progress::None
        });
        parse_list(&String::from_utf8_lossy(&output), &ending)
    }

    /// The host's cases that the kernel does not run, `module::case`, or whole modules of such;
    /// each with the reason.
    pub fn host_only(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut output = Vec::new();
        let ending = self.boot(&[("list", "host-only")], |bytes| {
            output.extend_from_slice(bytes);
            Progress::None
        });
        let output = String::from_utf8_lossy(&output);
        if let Some((kind, details)) = ending.cause() {
            return Err(Failure::new(SUITE, kind, details));
        }
        let pairs = output.lines().filter_map(|line| line.trim_end().split_once(' '));
        Ok(pairs.map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect())
    }

    /// Runs the selected cases; none at all is a failure unless a filter is given. `on_event` gets
    /// each event as it happens.
    pub fn run(&self, mut on_event: impl FnMut(&Event)) -> Tally {
        match self.list() {
            Ok(plan) if plan.is_empty() && self.filter.is_none() => {
                let reason = vec!["the kernel's list of cases is empty".into()];
                Tally::one_failed(Failure::new(SUITE, Kind::Empty, reason))
            }
            Ok(plan) => {
                let mut tally = run_plan(&plan, |from, judge| {
                    self.boot(&[("from", &from.to_string())], |bytes| {
                        let events = judge.feed(bytes);
                        events.iter().for_each(&mut on_event);
                        progress(&events)
                    })
                });
                tell_assertions(&mut tally, |path| fs::read_to_string(path).ok());
                tally
            }
            Err(failure) => Tally::one_failed(failure),
        }
    }

    fn boot(&self, keys: &[(&str, &str)], on_bytes: impl FnMut(&[u8]) -> Progress) -> Ending {
        let mut keys = keys.to_vec();
        keys.extend(self.filter.as_deref().map(|filter| ("filter", filter)));
        let programs = self.programs.map(|number| number.to_string());
        keys.extend(programs.as_deref().map(|number| ("programs", number)));
        // Programs of chance make other calls with another seed.
        let seed = std::env::var("SEED").ok();
        keys.extend(seed.as_deref().map(|seed| ("seed", seed)));
        self.machine.boot(&self.qemu, &self.image, &keys, self.limits, on_bytes)
    }
}

/// An assertion with a text of its own panics with nothing else, so the source says what it is: the
/// panic's place is that of a call of `assert!`. `read` returns the text of a file of the project.
fn tell_assertions(tally: &mut Tally, read: impl Fn(&str) -> Option<String>) {
    let asserts = |detail: &String| {
        let mut place = detail.strip_prefix("at ")?.rsplitn(3, ':');
        let (column, line) = (place.next()?.parse::<usize>().ok()?, place.next()?.parse().ok()?);
        let source = read(place.next()?)?;
        let code =
            source.lines().nth(usize::checked_sub(line, 1)?)?.get(column.checked_sub(1)?..)?;
        Some(code.starts_with("assert") || code.starts_with("debug_assert"))
    };
    for failure in tally.failures.iter_mut().filter(|failure| failure.kind == Kind::Panic) {
        if failure.details.iter().find_map(asserts) == Some(true) {
            failure.kind = Kind::Assertion;
        }
    }
}

/// A kernel gets on when a case begins or ends; what a case writes meanwhile is no progress.
pub(crate) fn progress(events: &[Event]) -> Progress {
    let made = |event: &Event| {
        matches!(event, Event::Running(_) | Event::Began(_) | Event::Verdict(_) | Event::Summary(_))
    };
    if events.iter().any(made) { Progress::Made } else { Progress::None }
}

/// The names in the kernel's answer to `list`: one a line, and nothing else.
fn parse_list(output: &str, ending: &Ending) -> Result<Vec<String>, Failure> {
    let failed = |kind, mut details: Vec<String>| {
        details.insert(0, "while asking for the list of cases".into());
        details.extend(output.lines().take(20).map(str::to_owned));
        Err(Failure::new(SUITE, kind, details))
    };
    if let Some((kind, details)) = ending.cause() {
        return failed(kind, details);
    }
    if !ending.says_all_passed() {
        return failed(
            Kind::Contradiction,
            vec![format!("expected status {}, but: {ending}", exit::PASSED)],
        );
    }
    let names: Vec<String> = output.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(stranger) =
        names.iter().find(|name| name.is_empty() || name.contains(char::is_whitespace))
    {
        return failed(Kind::Contradiction, vec![format!("this line is no name: {stranger:?}")]);
    }
    Ok(names)
}

/// Runs every case of `plan`. `boot(from, judge)` boots the kernel for the cases from that index
/// on, feeds the judge what the kernel writes, and returns how it ended.
fn run_plan(plan: &[String], mut boot: impl FnMut(usize, &mut Judge) -> Ending) -> Tally {
    let mut tally = Tally::default();
    let mut done = 0;
    while done < plan.len() {
        let mut judge = Judge::default();
        let ending = boot(done, &mut judge);
        let mut boot = judge.finish(SUITE, &ending);

        let found: Vec<&str> = boot.results.iter().map(|case| case.name.as_str()).collect();
        if let Some(stranger) = first_difference(&plan[done..], &found) {
            boot.failure = Some(stranger);
        }
        done += boot.results.len();
        // Going on makes sense only after a crash that one of the cases is to blame for.
        let go_on = boot.failure.is_none() && !boot.finished && !boot.results.is_empty();
        tally.add(boot.into_tally());
        if !go_on {
            break;
        }
    }
    for name in plan.iter().skip(done) {
        let reason =
            vec!["the kernel could not be brought to run it; see the failures before".into()];
        tally.add(Tally::one_failed(Failure::new(name, Kind::NotRun, reason)));
    }
    tally
}

/// The cases of a boot must be those planned, in that order.
fn first_difference(planned: &[String], found: &[&str]) -> Option<Failure> {
    let index = (0..found.len()).find(|&i| planned.get(i).map(String::as_str) != Some(found[i]))?;
    let expected = planned.get(index).map_or("no further case", String::as_str);
    let details = vec![format!("expected: {expected}"), format!("found:    {}", found[index])];
    Some(Failure::new(SUITE, Kind::Contradiction, details))
}

#[cfg(test)]
mod tests;
