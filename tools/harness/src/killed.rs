//! Kills builds at random moments, then builds, and boots what came of it.
//!
//! ```text
//!   harness build-killed, in a group of processes ── a random moment later ── SIGKILL to  the group
//!        again and again, each time with something to do                                  its first process
//!   at last a build that nobody kills, and a boot                                         any one of it
//! ```
//!
//! The first half of the kills meets a build from nothing, the others one that links anew.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::image::Image;
use crate::project::{Project, Setup};
use crate::qemu::Machine;
use crate::tally::Tally;
use crate::{Error, other_kernel};

/// The sort of build output that is spoilt here, if anything is.
const SORT: &str = "killed";

/// What the program calls itself with.
pub const SUBCOMMAND: &str = "build-killed";

/// A build from nothing is killed within this time.
const COLD: Duration = Duration::from_secs(12);

/// For so long the end of what is left of a killed build is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The image that is built.
pub fn image(project: &Project) -> Image {
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

/// Kills `kills` builds at moments that depend on `seed`, then builds and boots. `on_line` gets a
/// line a kill.
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
    let folder = project.target(SORT);
    let failed = |error| Error::Run(SUBCOMMAND.into(), error);
    let cold = kills / 2;
    if folder.exists() && cold > 0 {
        fs::remove_dir_all(&folder).map_err(|error| Error::Write(folder, error))?;
    }
    for number in 0..cold {
        let line = kill_one(&mut random, COLD).map_err(failed)?;
        on_line(&format!("{}/{kills}, from nothing: {line}", number + 1));
    }
    image(project).build(project, setup, |_| {})?;
    touch(project)?;
    let begun = Instant::now();
    image(project).build(project, setup, |_| {})?;
    let takes = begun.elapsed();
    for number in cold..kills {
        touch(project)?;
        let line = kill_one(&mut random, takes).map_err(failed)?;
        on_line(&format!("{}/{kills}: {line}", number + 1));
    }
    touch(project)?;
    let image = image(project).build(project, setup, |_| {})?;
    Ok(other_kernel::run(&setup.qemu, &image, machine, |_| {}))
}

/// Starts a build and kills it, or a part of it, within the time.
fn kill_one(random: &mut Random, within: Duration) -> io::Result<String> {
    let mut child = Command::new(env::current_exe()?)
        .arg(SUBCOMMAND)
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
        Whom::All => kill(&format!("-{group}"))?,
        Whom::First if !had_ended => child.kill()?,
        Whom::One if !members.is_empty() => {
            kill(&members[random.below(members.len())].0.to_string())?;
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
fn kill(target: &str) -> io::Result<()> {
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
fn touch(project: &Project) -> Result<(), Error> {
    let path = project.other_kernel().join("src/main.rs");
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
