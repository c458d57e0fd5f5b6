//! A suite: one image with many cases, booted again after every crash for those that have not run.
//!
//! First the kernel is asked for the names of the cases. That list is the plan: a case that is on
//! it and has no verdict at the end has failed, whatever became of it. A kernel that takes no
//! options cannot be asked: it is booted once, and its plan is the number that it announces.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::judge::{Boot, CaseResult, Ending, Judge, exit};
use crate::machine::{Channel, Limits, Machine, Progress};
use crate::protocol::Event;
use crate::tally::{Failure, Kind, Tally};

/// How long a case may take, and the boot until the first one, if nothing else is said.
pub const LIMITS: Limits = Limits::both(Duration::from_secs(120));

/// The name of the suite as a whole in failures that are no case's.
pub const SUITE: &str = "suite";

/// A suite's image, and how to boot it.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The built image.
    pub image: PathBuf,
    /// The machine to boot.
    pub machine: Machine,
    /// How long the boot until the first case may take, and each case.
    pub limits: Limits,
    /// Which cases.
    pub selection: Selection,
    /// Further options for the kernel.
    pub options: Vec<(String, String)>,
    /// The folder that paths in panics are relative to.
    pub source: PathBuf,
}

/// A choice among cases. The kernel makes it, by these options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Parts of names; a case is selected if its name contains one of them. Empty: all.
    pub filter: Vec<String>,
    /// Whether the parts are whole names.
    pub exact: bool,
    /// Parts of names of cases that are left out.
    pub skip: Vec<String>,
}

impl Selection {
    /// The cases whose name contains one of the parts, which are separated by commas.
    pub fn containing(parts: &str) -> Self {
        let filter =
            parts.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
        Self { filter: filter.collect(), ..Self::default() }
    }

    /// Whether all cases are selected.
    pub fn is_all(&self) -> bool {
        self.filter.is_empty() && self.skip.is_empty()
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let joined = |key, parts: &[String]| (!parts.is_empty()).then(|| (key, parts.join(",")));
        let exact = (self.exact && !self.filter.is_empty()).then(|| ("exact", "1".to_owned()));
        let options = [joined("filter", &self.filter), exact, joined("skip", &self.skip)];
        options.into_iter().flatten().collect()
    }
}

/// What happens in a run, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// These cases are going to run.
    Planned(&'a [String]),
    /// The kernel boots for the cases from this index of the plan on. Above 0: after a crash.
    Boots(usize),
    /// The kernel said this.
    Said(&'a Event),
    /// A case has its verdict. (That of a crashed case comes when the machine has ended.)
    Judged(&'a CaseResult, Duration),
    /// Something failed that is no case.
    Failed(&'a Failure),
}

impl Suite {
    /// The suite of this image on this machine: all cases, the usual limits.
    pub fn new(machine: Machine, image: impl Into<PathBuf>) -> Self {
        Self {
            image: image.into(),
            machine,
            limits: LIMITS,
            selection: Selection::default(),
            options: Vec::new(),
            source: PathBuf::new(),
        }
    }

    /// The names of the selected cases, in the order in which they run.
    ///
    /// # Errors
    ///
    /// The kernel did not answer, or takes no options.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        let (output, ending) = self.answer("list", "1");
        if self.machine.channel == Channel::None {
            let reason = vec!["this kernel takes no options, so that it cannot be asked".into()];
            return Err(Failure::new(SUITE, Kind::NotRun, reason));
        }
        parse_list(&output, &ending)
    }

    /// Boots the kernel with an option of its own, and returns what it writes.
    ///
    /// # Errors
    ///
    /// The kernel did not get to its end.
    pub fn ask(&self, key: &str, value: &str) -> Result<String, Failure> {
        let (output, ending) = self.answer(key, value);
        match ending.cause() {
            None => Ok(output),
            Some((kind, details)) => Err(Failure::new(SUITE, kind, details)),
        }
    }

    fn answer(&self, key: &str, value: &str) -> (String, Ending) {
        let mut output = Vec::new();
        let ending = self.boot(&[(key, value)], |bytes| {
            output.extend_from_slice(bytes);
            Progress::None
        });
        (String::from_utf8_lossy(&output).into_owned(), ending)
    }

    /// Runs the selected cases; none at all is a failure unless a selection is given. `on` gets
    /// each thing as it happens.
    pub fn run(&self, mut on: impl FnMut(Happened<'_>)) -> Tally {
        let failed = |failure: Failure, on: On<'_>| {
            on(Happened::Failed(&failure));
            Tally::one_failed(failure)
        };
        if self.machine.channel == Channel::None {
            if !self.selection.is_all() {
                let reason = vec!["this kernel takes no options, so that no case can be selected"];
                let reason = reason.into_iter().map(str::to_owned).collect();
                return failed(Failure::new(SUITE, Kind::NotRun, reason), &mut on);
            }
            return self.run_at_once(&mut on);
        }
        match self.list() {
            Ok(plan) if plan.is_empty() && self.selection.is_all() => {
                let reason = vec!["the kernel's list of cases is empty".into()];
                failed(Failure::new(SUITE, Kind::Empty, reason), &mut on)
            }
            Ok(plan) => {
                on(Happened::Planned(&plan));
                run_plan(&plan, &mut on, |from, judge, on| self.boot_for(from, judge, on))
            }
            Err(failure) => failed(failure, &mut on),
        }
    }

    /// Runs a kernel that takes no options: one boot.
    fn run_at_once(&self, on: On<'_>) -> Tally {
        let mut judge = Judge::default();
        let boot = self.boot_for(0, &mut judge, on);
        boot.failure.iter().for_each(|failure| on(Happened::Failed(failure)));
        let mut tally = boot.tally();
        let missing = judge.announced().unwrap_or(0).saturating_sub(boot.results.len());
        if missing > 0 && !boot.finished {
            let reason = format!("{missing} more cases; this kernel takes no options to resume");
            let failure = Failure::new(SUITE, Kind::NotRun, vec![reason]);
            on(Happened::Failed(&failure));
            tally.add(Tally::one_failed(failure));
        }
        if tally.ran() == 0 {
            let reason = vec!["it ended well, but ran no test".into()];
            let failure = Failure::new(SUITE, Kind::Empty, reason);
            on(Happened::Failed(&failure));
            tally.add(Tally::one_failed(failure));
        }
        tally
    }

    /// Boots for the cases from that index on, and judges.
    fn boot_for(&self, from: usize, judge: &mut Judge, on: On<'_>) -> Boot {
        on(Happened::Boots(from));
        let mut times = Times::default();
        let from = from.to_string();
        let ending = self.boot(&[("from", &from)], |bytes| {
            let events = judge.feed(bytes);
            for event in &events {
                times.take(event);
                on(Happened::Said(event));
            }
            progress(&events)
        });
        let mut boot = judge.finish(SUITE, &ending);
        tell_assertions(&mut boot, |path| fs::read_to_string(self.source.join(path)).ok());
        let times = times.finish();
        for (index, result) in boot.results.iter().enumerate() {
            on(Happened::Judged(result, times.get(index).copied().unwrap_or_default()));
        }
        boot
    }

    fn boot(&self, options: &[(&str, &str)], on_bytes: impl FnMut(&[u8]) -> Progress) -> Ending {
        let selection = self.selection.options();
        let mut all = options.to_vec();
        all.extend(selection.iter().map(|(key, value)| (*key, value.as_str())));
        all.extend(self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        self.machine.boot(&self.image, &all, self.limits, on_bytes)
    }
}

/// How long each case of a boot took, by the clock of the host.
#[derive(Debug, Default)]
struct Times {
    begun: Option<Instant>,
    took: Vec<Duration>,
}

impl Times {
    fn take(&mut self, event: &Event) {
        if matches!(event, Event::Began(_) | Event::Verdict(_) | Event::Summary(_)) {
            self.took.extend(self.begun.take().map(|begun| begun.elapsed()));
        }
        if matches!(event, Event::Began(_)) {
            self.begun = Some(Instant::now());
        }
    }

    fn finish(mut self) -> Vec<Duration> {
        self.took.extend(self.begun.take().map(|begun| begun.elapsed()));
        self.took
    }
}

/// An assertion with a text of its own panics with nothing else, so the source says what it is: the
/// panic's place is that of a call of `assert!`. `read` returns the text of a file of the project.
fn tell_assertions(boot: &mut Boot, read: impl Fn(&str) -> Option<String>) {
    let asserts = |detail: &String| {
        let mut place = detail.strip_prefix("at ")?.rsplitn(3, ':');
        let (column, line) = (place.next()?.parse::<usize>().ok()?, place.next()?.parse().ok()?);
        let source = read(place.next()?)?;
        let code =
            source.lines().nth(usize::checked_sub(line, 1)?)?.get(column.checked_sub(1)?..)?;
        Some(code.starts_with("assert") || code.starts_with("debug_assert"))
    };
    let failures = boot.results.iter_mut().filter_map(|result| result.failure.as_mut());
    for failure in failures.chain(&mut boot.failure) {
        if failure.kind == Kind::Panic && failure.details.iter().find_map(asserts) == Some(true) {
            failure.kind = Kind::Assertion;
        }
    }
}

/// A kernel makes progress when a case begins or ends; what a case writes meanwhile is none.
fn progress(events: &[Event]) -> Progress {
    let made = |event: &Event| {
        matches!(event, Event::Running(_) | Event::Began(_) | Event::Verdict(_) | Event::Summary(_))
    };
    if events.iter().any(made) { Progress::Made } else { Progress::None }
}

/// The names in the kernel's answer to `list`: as libtest lists them, a line `NAME: test` each and
/// then their number. Other lines are the firmware's.
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
        let reason = format!("expected status {}, but: {ending}", exit::PASSED);
        return failed(Kind::Contradiction, vec![reason]);
    }
    let name = |line: &str| {
        let name = line.trim_end().strip_suffix(": test")?;
        (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| name.to_owned())
    };
    let names: Vec<String> = output.lines().filter_map(name).collect();
    let number = |line: &str| line.split_once(" tests, ")?.0.parse::<usize>().ok();
    match output.lines().rev().find_map(number) {
        Some(number) if number == names.len() => Ok(names),
        Some(number) => {
            let reason =
                format!("{} names were listed, and then their number {number}", names.len());
            failed(Kind::Contradiction, vec![reason])
        }
        None => failed(Kind::Contradiction, vec!["the list has no line `N tests, …`".into()]),
    }
}

/// Receives what happens.
type On<'a> = &'a mut dyn FnMut(Happened<'_>);

/// Runs every case of `plan`. `boot(from, judge, on)` boots the kernel for the cases from that
/// index on, and judges. `on` gets the failures that are no case's.
fn run_plan(
    plan: &[String],
    on: On<'_>,
    mut boot: impl FnMut(usize, &mut Judge, On<'_>) -> Boot,
) -> Tally {
    let mut tally = Tally::default();
    let mut done = 0;
    while done < plan.len() {
        let mut boot = boot(done, &mut Judge::default(), on);
        let found: Vec<&str> = boot.results.iter().map(|case| case.name.as_str()).collect();
        if let Some(stranger) = first_difference(&plan[done..], &found) {
            boot.failure = Some(stranger);
        }
        done += boot.results.len();
        // Another boot makes sense only after a crash that one of the cases is to blame for.
        boot.failure.iter().for_each(|failure| on(Happened::Failed(failure)));
        let resumes = boot.failure.is_none() && !boot.finished && !boot.results.is_empty();
        tally.add(boot.tally());
        if !resumes {
            break;
        }
    }
    for name in plan.iter().skip(done) {
        let reason =
            vec!["the kernel could not be brought to run it; see the other failures".into()];
        let failure = Failure::new(name, Kind::NotRun, reason);
        on(Happened::Failed(&failure));
        tally.add(Tally::one_failed(failure));
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
