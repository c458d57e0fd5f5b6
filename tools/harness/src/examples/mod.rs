//! The programs in `examples/`: builds each for its target, runs it, and judges what it says.
//!
//! ```text
//!   list      which examples there are, and what each needs of this machine
//!   build     sources ──► a program, an image or a folder to boot
//!   text      bytes of the allocator's functions in a program
//!   report    the table
//! ```

mod build;
mod list;
mod report;
mod text;

pub use list::{Example, all};
pub use report::Row;

use std::path::{Path, PathBuf};
use std::process::Command;

use kerntest::judge::{Ending, Judge};
use kerntest::protocol::Event;
use kerntest::tally::{Failure, Kind, Tally};
use kerntest::{Channel, Happened, Machine, Platform, Suite};

use crate::project::{Project, Setup};
use crate::{Error, process};
use list::Runs;

/// What an example says of its heap, before the number.
const PEAK: &str = "peak live bytes: ";

impl Example {
    /// Builds and runs it. `on_line` gets what the build says, and what happens.
    ///
    /// # Errors
    ///
    /// It could not be built, or its program could not be started.
    pub fn run(
        &self,
        project: &Project,
        setup: &Setup,
        mut on_line: impl FnMut(&str),
    ) -> Result<Row, Error> {
        if let Some(reason) = self.obstacle(project) {
            return Ok(Row::left_out(self, reason));
        }
        let program = self.build(project, setup, &mut on_line)?;
        let mut peak = None;
        let mut on_event = |event: &Event| {
            if let Event::Other(line) = event
                && let Some(bytes) = line.strip_prefix(PEAK)
            {
                peak = bytes.trim().parse().ok();
            }
        };
        let tally = match self.machine(project, setup) {
            Some(machine) => {
                let suite =
                    Suite { source: project.examples(), ..Suite::new(machine, &program.image) };
                suite.run(|happened| {
                    if let Happened::Said(event) = happened {
                        on_event(event);
                    }
                })
            }
            None => self.run_here(project, &program.image, &mut on_event)?,
        };
        let text = text::allocator_bytes(&program.symbols);
        Ok(Row::ran(self, text, peak, tally))
    }

    /// The machine that boots it; `None` for a program of this machine.
    fn machine(&self, project: &Project, setup: &Setup) -> Option<Machine> {
        let Runs::Boot { platform, smp, mem } = &self.runs else { return None };
        let qemu =
            if platform.is_pc() { setup.qemu.clone() } else { emulator(project, platform.qemu())? };
        Some(Machine {
            qemu,
            smp: *smp,
            mem: mem.map(str::to_owned),
            channel: Channel::None,
            ..Machine::new(platform.clone())
        })
    }

    /// Runs a program of this machine, and judges it as a kernel.
    fn run_here(
        &self,
        project: &Project,
        program: &Path,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Tally, Error> {
        let mut command = match self.runs {
            Runs::Node => {
                let mut node = Command::new("node");
                node.arg(project.examples().join(self.folder).join("run.mjs")).arg(program);
                node
            }
            _ => Command::new(program),
        };
        command.env("RUST_BACKTRACE", "0");
        let mut judge = Judge::default();
        let status = process::run(command, |line| {
            judge.feed(format!("{line}\n").as_bytes()).iter().for_each(&mut *on_event);
        })?;
        let ending = match status.code() {
            Some(status) => Ending::Exited { status, stderr: String::new() },
            None => Ending::Broken(status.to_string()),
        };
        let tally = judge.finish(self.name, &ending).tally();
        if tally.ran() == 0 {
            let reason = vec!["it ended well, but ran no test".into()];
            return Ok(Tally::one_failed(Failure::new(self.name, Kind::Empty, reason)));
        }
        Ok(tally)
    }

    /// What this machine lacks to run it.
    fn obstacle(&self, project: &Project) -> Option<String> {
        let missing = |program: &str| Some(format!("there is no {program}"));
        match &self.runs {
            Runs::Boot { platform, .. } if !platform.is_pc() => {
                let program = platform.qemu();
                if emulator(project, program).is_none() { missing(program) } else { None }
            }
            Runs::Boot { platform: Platform::PcUefi, .. }
                if project.setup_value("OVMF").is_none() =>
            {
                missing("UEFI firmware for QEMU (OVMF)")
            }
            Runs::Node if on_path("node").is_none() => missing("node"),
            Runs::Here if !cfg!(target_os = "linux") => Some("this is no Linux".into()),
            _ if self.needs_limine() && project.setup_value("LIMINE").is_none() => missing(
                "Limine (it could not be fetched, and LIMINE names no folder with its BOOTX64.EFI)",
            ),
            _ => None,
        }
    }
}

/// An emulator of another processor: on `PATH`, or unpacked by the set-up.
fn emulator(project: &Project, name: &str) -> Option<PathBuf> {
    let unpacked = project.target("setup").join("examples").join(name);
    on_path(name).or_else(|| unpacked.is_file().then_some(unpacked))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
