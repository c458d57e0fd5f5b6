//! Runs a program to its end, and tells how it ended, what it wrote, and what it took.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may run before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(600);

/// What became of a program, and of all that it started and waited for.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub output: Vec<u8>,
    /// What it wrote to its standard error output.
    pub errors: String,
    /// From beginning to end.
    pub elapsed: Duration,
    /// Of all processors, the system's part included.
    pub processor: Duration,
    /// The most memory that any one of the processes had at a time, in bytes.
    pub peak: u64,
}

/// Runs a program with a library preloaded. Its output goes to two files whose names begin with
/// `log`.
///
/// # Errors
///
/// It could not be started.
pub fn run(mut command: Command, preload: Option<&Path>, log: &Path) -> io::Result<Run> {
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library);
    }
    let file = |ending: &str| {
        let mut name = OsString::from(log);
        name.push(ending);
        name
    };
    let (output, errors) = (file(".out"), file(".err"));
    command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&errors)?);
    // A group of its own, so that all of it can be ended.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let begin = Instant::now();
    let child = command.spawn()?;
    let process = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let (status, usage) = wait(process, begin)?;
    let elapsed = begin.elapsed();
    Ok(Run {
        status,
        output: fs::read(&output)?,
        errors: String::from_utf8_lossy(&fs::read(&errors)?).into_owned(),
        elapsed,
        processor: duration(usage.ru_utime) + duration(usage.ru_stime),
        peak: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    })
}

/// Waits for a child, but not for ever.
fn wait(process: libc::pid_t, begin: Instant) -> io::Result<(ExitStatus, libc::rusage)> {
    // SAFETY: a struct of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    loop {
        // SAFETY: a child of ours that nobody else waits for; both places can be written to.
        let ended = unsafe { libc::wait4(process, &raw mut status, libc::WNOHANG, &raw mut usage) };
        match ended {
            0 if begin.elapsed() > LIMIT => {
                // SAFETY: ends the group that was begun for it.
                unsafe { libc::kill(-process, libc::SIGKILL) };
            }
            0 => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok((ExitStatus::from_raw(status), usage)),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn duration(time: libc::timeval) -> Duration {
    let (seconds, micros) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_usec).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
