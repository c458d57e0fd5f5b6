//! Programs in ring 3, for one step: started, run to their end, and looked at.

use alloc::string::String;

use crate::address_space::Cause;
use crate::evidence::{Evidence, Missing};
use crate::kernel::KernelSystem;
use crate::system::console::Output;
use crate::system::crash::{Crash, Reason};
use crate::system::table::Pid;
use crate::system::views::View;
use crate::system::{Options, Settings};
use crate::words::Status;

/// Bytes of output that a step keeps.
const KEPT: usize = 64 << 10;

/// Settings of a step: what programs write is kept, so that the step can read it too.
pub fn settings() -> Settings {
    Settings { output: Output::Memory(KEPT), ..Settings::default() }
}

/// Options of a step: the same addresses each time.
pub fn options() -> Options {
    Options { seed: Some(1), ..Options::default() }
}

/// Processes, and how many frames were free before the first of them.
pub struct Ring3 {
    system: KernelSystem,
    free: u64,
}

impl Ring3 {
    /// No processes yet.
    pub fn start(evidence: &mut Evidence<'_>, settings: Settings) -> Result<Self, Missing> {
        let mut system = evidence.need("a system", KernelSystem::start(settings))?;
        let free = system.machine().frames_of_no_process();
        Ok(Self { system, free })
    }

    /// Makes a process of the program. It runs when all do.
    pub fn spawn(
        &mut self,
        evidence: &mut Evidence<'_>,
        name: &'static str,
        arguments: &[&str],
        options: Options,
    ) -> Result<Pid, Missing> {
        evidence.need("a process", self.system.start_program(name, arguments, options))
    }

    /// Lets all run until the last has ended.
    pub fn run(&mut self) {
        self.system.run_on_all_cpus();
    }

    /// The system.
    pub const fn system(&mut self) -> &mut KernelSystem {
        &mut self.system
    }

    /// A view of the memory of a process.
    pub fn view(
        &mut self,
        evidence: &mut Evidence<'_>,
        pid: Pid,
        view: View,
    ) -> Result<String, Missing> {
        let mut text = String::new();
        let written = self.system.write_view(pid, view, &mut text);
        evidence.need("a view of the process", written)?;
        Ok(text)
    }

    /// Checks how a process ended that this step started: its exit status, as a shell shows it.
    pub fn expect_end(
        &self,
        evidence: &mut Evidence<'_>,
        what: &str,
        pid: Pid,
        expected: u8,
    ) -> Result<(), Missing> {
        let status = self.status(evidence, pid)?;
        evidence.expect(what, expected, status);
        Ok(())
    }

    /// [`expect_end`](Self::expect_end) that prints nothing if it holds.
    pub fn ensure_end(
        &self,
        evidence: &mut Evidence<'_>,
        what: &str,
        pid: Pid,
        expected: u8,
    ) -> Result<(), Missing> {
        let status = self.status(evidence, pid)?;
        evidence.ensure(what, expected, status);
        Ok(())
    }

    /// Returns how a process ended, as a shell shows it.
    fn status(&self, evidence: &mut Evidence<'_>, pid: Pid) -> Result<u8, Missing> {
        let status = self.system.outcome(pid).and_then(|started| started.status);
        let status = status.map(Status::shell_code).ok_or("it has not ended");
        evidence.need("the end of the process", status)
    }

    /// What ended a process that this step started.
    pub fn crash(&self, evidence: &mut Evidence<'_>, pid: Pid) -> Result<Crash, Missing> {
        let crash = self.system.outcome(pid).and_then(|started| started.crash);
        evidence.need("a report", crash.ok_or("nothing ended it"))
    }

    /// Checks that the process has ended for this reason, by a segmentation fault.
    pub fn expect_fault(
        &self,
        evidence: &mut Evidence<'_>,
        pid: Pid,
        expected: Cause,
    ) -> Result<(), Missing> {
        let crash = self.crash(evidence, pid)?;
        self.ensure_end(evidence, "exit status, as a shell shows it", pid, 139)?;
        match crash.reason {
            Reason::Access(_, found) => evidence.expect("  what it did wrong", expected, found),
            _ => evidence.expect_that("  it ended by a page fault", false),
        }
        Ok(())
    }

    /// Checks that a program, which checks what it claims, has found all of it true, and so much at
    /// least.
    pub fn expect_true(
        &self,
        evidence: &mut Evidence<'_>,
        pid: Pid,
        claims: usize,
    ) -> Result<(), Missing> {
        self.ensure_end(evidence, "exit status: all that the program claims is true", pid, 0)?;
        evidence.expect_at_least(
            "claims that the program checked, and found true",
            claims,
            self.lines().filter(|line| line.starts_with("ok: ")).count(),
        );
        Ok(())
    }

    /// The lines that were written.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.system.output().lines()
    }

    /// Prints what was written, but at most so many lines.
    pub fn print(&self, evidence: &mut Evidence<'_>, most: usize) {
        self.print_if(evidence, most, |_| true);
    }

    /// Prints the lines that were written and are chosen, but at most so many.
    pub fn print_if(
        &self,
        evidence: &mut Evidence<'_>,
        most: usize,
        chosen: impl Fn(&str) -> bool,
    ) {
        let lines = || self.lines().filter(|line| chosen(line));
        lines().take(most).for_each(|line| evidence.show(format_args!("| {line}")));
        match lines().count().saturating_sub(most) {
            0 => {}
            more => evidence.show(format_args!("| … and {more} lines more")),
        }
    }

    /// Checks that nothing is left of all processes; prints nothing if it is so.
    pub fn finish(mut self, evidence: &mut Evidence<'_>) {
        evidence.ensure("bytes of output that were lost", 0, self.system.output_lost());
        evidence.ensure(
            "pages promised to processes, now that all have ended",
            0,
            self.system.promised(),
        );
        evidence.ensure(
            "frames that no process has, as before",
            self.free,
            self.system.machine().frames_of_no_process(),
        );
    }
}

/// Runs one program that checks what it claims, and prints what it writes.
pub fn show(
    evidence: &mut Evidence<'_>,
    settings: Settings,
    name: &'static str,
    claims: usize,
) -> Result<Ring3, Missing> {
    let mut ring3 = Ring3::start(evidence, settings)?;
    let pid = ring3.spawn(evidence, name, &[], options())?;
    ring3.run();
    ring3.print(evidence, usize::MAX);
    ring3.expect_true(evidence, pid, claims)?;
    Ok(ring3)
}
