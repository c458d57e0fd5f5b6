//! Programs that the shell has started: one in the foreground, which it waits for, others beside
//! it.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::ops::RangeInclusive;

use programs::clock;
use runtime::system::Errno;
use runtime::system::process::{self, Ending, Fork, Signal};
use runtime::system::view::{self, Trace};
use runtime::{print, println};

use crate::keyboard::Keyboard;
use crate::show;

/// Ticks of the time-stamp counter that a job has to come to rest: a few seconds.
pub const MOMENT: u64 = 10_000_000_000;

/// Ticks that a job has before the next prompt: what is over soon prints nothing behind it.
const START: u64 = 100_000_000;

/// Numbers of processes. In system calls others stand for groups, or for all processes.
const NUMBERS: RangeInclusive<usize> = 1..=i32::MAX as usize;

/// The exit status of a child that could not become the program.
const NO_PROGRAM: u8 = 127;

/// A program that runs in the background.
#[derive(Debug)]
struct Job {
    number: usize,
    process: usize,
    text: String,
}

/// All of them, and how programs are started.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: Vec<Job>,
    /// Where programs are, with a slash at the end; empty in the kernel, which has no folders.
    folder: String,
    /// Whether programs are traced from their start on.
    pub traces: bool,
}

impl Jobs {
    /// No jobs; programs are where the one of this path is.
    pub fn new(own_path: &str) -> Self {
        let folder = own_path.rfind('/').map_or("", |slash| &own_path[..=slash]);
        Self { jobs: Vec::new(), folder: folder.into(), traces: false }
    }

    /// Runs a program in the foreground and says how it ended, if not well.
    pub fn run(&self, words: &[&str], keyboard: &mut Keyboard) {
        let child = match self.start(words, || keyboard.receive()) {
            Ok(child) => child,
            Err(errno) => return println!("{}: {errno}", words[0]),
        };
        keyboard.give(child);
        let ending = process::wait_for(child);
        keyboard.take();
        match ending {
            Ok(Ending::WELL) => {}
            Ok(Ending::Exited(NO_PROGRAM)) => {
                println!("{}: no such command or program; `help` lists them", words[0]);
            }
            Ok(ending) => println!("{}: {ending}", words[0]),
            Err(errno) => println!("{}: {errno}", words[0]),
        }
    }

    /// Starts a program in the background.
    pub fn run_beside(&mut self, words: &[&str]) {
        let number = self.jobs.iter().map(|job| job.number).max().unwrap_or(0) + 1;
        match self.start(words, || {}) {
            Ok(process) => {
                println!("[{number}] {process}");
                self.jobs.push(Job { number, process, text: words.join(" ") });
                settle(process, START);
            }
            Err(errno) => println!("{}: {errno}", words[0]),
        }
    }

    /// Makes a process of the program that the first word names, in a group of its own, in which
    /// `first` runs before the program does. Returns its number.
    fn start(&self, words: &[&str], first: impl FnOnce()) -> Result<usize, Errno> {
        let text = |text: String| CString::new(text).map_err(|_| Errno::EINVAL);
        let path = text([&self.folder, words[0]].concat())?;
        let owned: Vec<CString> =
            words.iter().map(|word| text((*word).into())).collect::<Result<_, _>>()?;
        let arguments: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
        match process::fork()? {
            Fork::Child => {
                let _ = process::setpgid(0, 0);
                first();
                if self.traces {
                    let _ = view::proc_trace(0, Trace::CallsAndFaults);
                }
                process::execve(&path, &arguments);
                process::exit(NO_PROGRAM)
            }
            Fork::Parent { child } => {
                // The child does the same: whoever comes first.
                let _ = process::setpgid(child, child);
                Ok(child)
            }
        }
    }

    /// Returns which jobs have ended since the last call, a line each.
    pub fn news(&mut self) -> String {
        let mut news = String::new();
        while !self.jobs.is_empty()
            && let Ok(Some((process, ending))) = process::wait_not()
        {
            news.extend(self.forget(process, ending));
        }
        news
    }

    /// Waits for a job, which has the terminal meanwhile.
    pub fn wait(&mut self, process: usize, keyboard: &mut Keyboard) {
        keyboard.lend(process);
        let ending = process::wait_for(process);
        keyboard.take();
        match ending {
            Ok(ending) => print!("{}", self.forget(process, ending).unwrap_or_default()),
            Err(errno) => show::refusal(process, errno),
        }
    }

    /// Returns how a job has ended, as a line; `None` if it is no job.
    fn forget(&mut self, process: usize, ending: Ending) -> Option<String> {
        let at = self.jobs.iter().position(|job| job.process == process)?;
        let Job { number, text, .. } = self.jobs.remove(at);
        Some(match ending {
            Ending::WELL => format!("[{number}] {text}: done\n"),
            Ending::Exited(NO_PROGRAM) => format!("[{number}] {text}: no such program\n"),
            ending => format!("[{number}] {text}: {ending}\n"),
        })
    }

    /// Lists the jobs.
    pub fn list(&self) {
        for Job { number, process, text } in &self.jobs {
            println!("[{number}] {process:>5}  {text}");
        }
    }

    /// The process that a word stands for: its number, `%` for the latest job, `%2` for job 2.
    pub fn process(&self, word: &str) -> Option<usize> {
        match word.strip_prefix('%') {
            None => word.parse().ok().filter(|number| NUMBERS.contains(number)),
            Some("") => self.jobs.last().map(|job| job.process),
            Some(number) => {
                let number: usize = number.parse().ok()?;
                self.jobs.iter().find(|job| job.number == number).map(|job| job.process)
            }
        }
    }

    /// Ends all jobs, and waits for them.
    pub fn end(&mut self) {
        for job in &self.jobs {
            let _ = process::kill(-job.process.cast_signed(), Signal::Kill);
        }
        while process::wait().is_ok() {}
    }
}

/// Waits until a process waits for something or has ended, or this many ticks are over.
pub fn settle(process: usize, ticks: u64) {
    let begun = clock::now();
    while show::is_busy(process) && clock::now() - begun < ticks {
        process::sched_yield();
    }
}
