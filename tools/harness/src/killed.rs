//! Kills builds at random moments, then builds, and runs what came of it.
//!
//! ```text
//!   harness build-killed, in a group of processes ── a random moment ── SIGKILL to  the group
//!        again and again, each time with something to do                  its first process
//!   at last a build that is not killed, and a run                         any one of it
//! ```
//!
//! The builds are those of a kernel's image, which is then booted, and of the allocator's unit
//! tests for the host, which then run. The kernel's builds have what `build` gives them. The host's
//! have cargo alone, with its incremental cache. The first half of the kills meets a build from
//! nothing, the others one of a changed file.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::image::Image;
use crate::project::{Project, Setup};
use crate::{Error, cargo, libtest, process};
use kerntest::machine::PREFIX;
use kerntest::tally::Tally;
use kerntest::{Machine, Selection, Suite};

/// The sorts of build output that are spoilt here, if anything is.
const SORT: &str = "killed";
const HOST_SORT: &str = "killed-host";

/// What the program calls itself with.
pub const SUBCOMMAND: &str = "build-killed";

/// A build from nothing is killed within this time.
const COLD: Duration = Duration::from_secs(12);

/// For so long the end of what is left of a killed build is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The image that is built.
fn image(project: &Project) -> Image {
    Image::other_kernel(project).apart(SORT)
}

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Whom {
    /// All at once.
    All,
    /// The program that started all: the others go on, and nobody waits for them.
    First,
    /// Any one.
    One,
}

/// Kind of build that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A kernel's image.
    Image,
    /// The allocator's unit tests, for the host.
    Host,
}

impl What {
    fn sort(self) -> &'static str {
        match self {
            Self::Image => SORT,
            Self::Host => HOST_SORT,
        }
    }

    /// The file whose change makes a build necessary.
    fn source(self, project: &Project) -> PathBuf {
        match self {
            Self::Image => project.other_kernel().join("src/main.rs"),
            Self::Host => project.root().join("src/lib.rs"),
        }
    }

    /// Brings it up to date.
    ///
    /// # Errors
    ///
    /// It cannot be built.
    pub fn build(self, project: &Project, setup: &Setup) -> Result<(), Error> {
        if self == Self::Image {
            return image(project).build(project, setup, |_| {}).map(drop);
        }
        let mut output = Vec::new();
        let status = host_tests(project, &["--no-run"], |line| output.push(line.to_owned()))?;
        let failed = || Error::Build("the unit tests".into(), output);
        status.success().then_some(()).ok_or_else(failed)
    }

    /// Runs what was built.
    fn run(self, project: &Project, setup: &Setup, machine: &Machine) -> Result<Tally, Error> {
        if self == Self::Image {
            let image = image(project).build(project, setup, |_| {})?;
            let machine = Machine { prefix: PREFIX.to_owned(), ..machine.clone() };
            let skip = vec!["on_purpose".to_owned()];
            let selection = Selection { skip, ..Selection::default() };
            return Ok(Suite { selection, ..Suite::new(machine, image) }.run(|_| {}));
        }
        let mut reader = libtest::Reader::default();
        let status = host_tests(project, &[], |line| reader.line(line))?;
        Ok(reader.finish("unit tests after builds that were killed", status.success()))
    }
}

/// Builds the unit tests with the host's cargo, and runs them unless the arguments say otherwise.
fn host_tests(
    project: &Project,
    arguments: &[&str],
    on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    let mut command = cargo::host(project, project.root(), HOST_SORT);
    command.args(["test", "--package", "brkalloc", "--lib", "--color", "never"]).args(arguments);
    process::run(command, on_line)
}

/// Kills `kills` builds of each sort at moments that depend on `seed`, then builds, and runs what
/// was built. `on_line` gets a line a kill.
///
/// # Errors
///
/// What kept a build from being started; the last build's failure.
pub fn run(
    project: &Project,
    setup: &Setup,
    machine: &Machine,
    (kills, seed): (u32, u64),
    mut on_line: impl FnMut(&str),
) -> Result<Tally, Error> {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for what in [What::Image, What::Host] {
        let mut show = |line: &str| on_line(&format!("{what:?} {line}"));
        kill(what, project, setup, kills, &mut random, &mut show)?;
        touch(what, project)?;
        what.build(project, setup)?;
        tally.add(what.run(project, setup, machine)?);
    }
    Ok(tally)
}

/// Kills builds of one sort.
fn kill(
    what: What,
    project: &Project,
    setup: &Setup,
    kills: u32,
    random: &mut Random,
    on_line: &mut impl FnMut(&str),
) -> Result<(), Error> {
    let folder = project.target(what.sort());
    let failed = |error| Error::Run(SUBCOMMAND.into(), error);
    let cold = kills / 2;
    if folder.exists() && cold > 0 {
        fs::remove_dir_all(&folder).map_err(|error| Error::Write(folder, error))?;
    }
    for number in 0..cold {
        let line = kill_one(what, random, COLD).map_err(failed)?;
        on_line(&format!("{}/{kills}, from nothing: {line}", number + 1));
    }
    what.build(project, setup)?;
    touch(what, project)?;
    let begun = Instant::now();
    what.build(project, setup)?;
    let takes = begun.elapsed();
    for number in cold..kills {
        touch(what, project)?;
        let line = kill_one(what, random, takes).map_err(failed)?;
        on_line(&format!("{}/{kills}: {line}", number + 1));
    }
    Ok(())
}

/// Returns a path to this program. Another step may build it anew meanwhile, so that its own path
/// leads nowhere; Linux has one that still leads to what runs.
fn itself() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { env::current_exe() }
}

/// Starts a build and kills it, or a part of it, within the time.
fn kill_one(what: What, random: &mut Random, within: Duration) -> io::Result<String> {
    let mut child = Command::new(itself()?)
        .arg(SUBCOMMAND)
        .args((what == What::Host).then_some("--host"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let group = child.id();
    if random.below(4) > 0 {
        wait_for_work(group);
    }
    let moment = within.mul_f64(random.below(1000) as f64 / 1000.0);
    thread::sleep(moment);
    let members = members(group);
    let whom = [Whom::All, Whom::First, Whom::One][random.below(3)];
    let had_ended = child.try_wait()?.is_some();
    match whom {
        Whom::All => send_kill(&format!("-{group}"))?,
        Whom::First if !had_ended => child.kill()?,
        Whom::One if !members.is_empty() => {
            send_kill(&members[random.below(members.len())].0.to_string())?;
        }
        Whom::First | Whom::One => {}
    }
    child.wait()?;
    let names: Vec<&str> = members.iter().map(|(_, name)| name.as_str()).collect();
    Ok(format!("{whom:?} after {:.2} s, of {}", moment.as_secs_f32(), names.join(" ")))
}

/// Waits until the build has begun: what is left of the one before has ended.
fn wait_for_work(group: u32) {
    let begun = Instant::now();
    let works = |members: &[(u32, String)]| members.iter().any(|(_, name)| name == "cargo");
    loop {
        let members = members(group);
        if works(&members) || members.is_empty() || begun.elapsed() > LONGEST_WAIT {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends the signal that nobody can ignore. Who is gone by now is.
fn send_kill(target: &str) -> io::Result<()> {
    let mut command = Command::new("kill");
    command.args(["-KILL", "--", target]).stderr(Stdio::null()).status().map(drop)
}

/// The processes of a group: numbers and names.
fn members(group: u32) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("stat")).ok()?;
            parse_stat(&text, group).map(|name| (pid, name))
        })
        .collect()
}

/// The name in Linux's `/proc/PID/stat`, if the process is of the group: number, name in
/// parentheses, state, parent, group.
fn parse_stat(text: &str, group: u32) -> Option<String> {
    let (start, rest) = text.rsplit_once(')')?;
    let name = start.split_once('(')?.1;
    let found: u32 = rest.split_whitespace().nth(2)?.parse().ok()?;
    (found == group).then(|| name.to_owned())
}

/// Gives the next build something to do.
fn touch(what: What, project: &Project) -> Result<(), Error> {
    let path = what.source(project);
    File::options()
        .append(true)
        .open(&path)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .map_err(|error| Error::Write(path, error))
}

/// Numbers that depend on a seed alone (an LCG; Knuth, The Art of Computer Programming, 3.3.4).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_group_whatever_its_name() {
        let text = "71 (a (b) c) S 1 70 70 0 -1";
        assert_eq!(parse_stat(text, 70).as_deref(), Some("a (b) c"));
        assert_eq!(parse_stat(text, 1), None);
        assert_eq!(parse_stat("", 1), None);
    }

    #[test]
    fn a_seed_has_its_numbers() {
        let numbers = |seed| {
            let mut random = Random(seed);
            (0..8).map(|_| random.below(3)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(numbers(7).contains(&2) && numbers(7).contains(&0));
    }
}
