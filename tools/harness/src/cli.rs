//! The command line. Each option can also be given as the environment variable that the Makefile
//! uses.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::project::{Project, Setup};
use crate::values::{check_claims, claims, cpus, is_on, memory};
use crate::{Error, gdb, live};
use kerntest::machine::{Accel, Machine, Platform, kvm};

/// Builds brkalloc's kernel images, boots them under QEMU, and judges what they report.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Formatting, lints, unit tests and host suites; the last line is `N passed, M failed`.
    Check(TestOptions),
    /// The same, and a short form of each other kind of test.
    Test(TestOptions),
    /// Everything, in its long form.
    TestAll(TestOptions),
    /// The QEMU suite alone.
    Suite {
        /// Which cases.
        #[command(flatten)]
        filter: Filter,
        /// Print the names of the cases instead of running them.
        #[arg(long)]
        list: bool,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// The tour, as the kernel writes it, or one ring-3 program; the exit status is the verdict.
    Tour {
        /// Put an excerpt of what it writes into the README.
        #[arg(long)]
        readme: bool,
        /// What is shown.
        #[command(flatten)]
        options: TourOptions,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// A page that tells what the tour, or one program, did to memory: `target/story.html`.
    Story {
        /// Run this ring-3 program, with these arguments, instead of the tour.
        #[arg(long, env = "PROGRAM", hide_env_values = true, value_name = "WORDS")]
        program: Option<String>,
        /// Show only the claims of these numbers, separated by commas.
        #[arg(long, env = "CLAIM", hide_env_values = true, value_name = "NUMBERS", value_parser = claims)]
        claim: Option<String>,
        /// Boot nothing: make a page of what a Linux program recorded with `BRKALLOC_TRACE`.
        #[arg(long, env = "TRACE", hide_env_values = true, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// What the system's side of an allocator takes, in instructions; the exit status tells whether
    /// each figure keeps its bound.
    Cost {
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// A debugger on the kernel that runs a ring-3 program, stopped before the first instruction.
    Gdb {
        /// The program, and its arguments.
        #[arg(long, env = "PROGRAM", hide_env_values = true, default_value = gdb::PROGRAM)]
        program: String,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// Leaves each rule of `check()` out; fails if no test notices.
    Rules,
    /// The uses of `unsafe` in the allocator, by room; fails if a count has grown beyond its line
    /// in docs/UNSAFE.md.
    Unsafe {
        /// Print each block with what it cites.
        #[arg(long)]
        list: bool,
        /// Write the counts into the document.
        #[arg(long, env = "BLESS", hide_env_values = true, value_parser = is_on)]
        bless: bool,
    },
    /// An interactive shell on the demo kernel, at this terminal.
    Shell {
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// A live picture of a program's memory, on the machine's text screen.
    Live {
        /// The program, and its arguments.
        #[arg(long, env = "PROGRAM", hide_env_values = true, default_value = live::PROGRAM)]
        program: String,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// What the allocator takes of a small target; the exit status tells whether `SmallHeap`
    /// keeps its limits.
    Size,
    /// Builds and runs the programs in `examples/`; ends with a table.
    Examples {
        /// Which of them.
        #[command(flatten)]
        filter: Filter,
    },
    /// Kills builds at random moments, then builds, and boots what came of it.
    KillBuilds {
        /// How many.
        #[arg(long, env = "KILLS", hide_env_values = true, default_value_t = 20)]
        kills: u32,
        /// When, and whom.
        #[arg(long, env = "SEED", hide_env_values = true, default_value_t = 1)]
        seed: u64,
        /// Where to boot the image.
        #[command(flatten)]
        machine: MachineOptions,
    },
    /// Builds what `kill-builds` builds; for the program itself.
    #[command(hide = true)]
    BuildKilled {
        /// The host's build instead of the kernel's.
        #[arg(long)]
        host: bool,
    },
}

/// What `check`, `test` and `test-all` take.
#[derive(Args, Debug)]
pub struct TestOptions {
    /// Which tests.
    #[command(flatten)]
    pub filter: Filter,
    /// Where to boot the images.
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Run only steps whose title contains this.
    #[arg(long, env = "STEP", hide_env_values = true, value_name = "PART")]
    pub step: Option<String>,
    /// Show all that the compilers and tests write, not only verdicts.
    #[arg(long, short)]
    pub verbose: bool,
}

/// What the tour's kernel shows.
#[derive(Args, Debug, Default)]
pub struct TourOptions {
    /// Show only the claims of these numbers, separated by commas.
    #[arg(long, env = "CLAIM", hide_env_values = true, value_name = "NUMBERS", value_parser = claims)]
    pub claim: Option<String>,
    /// Run this ring-3 program, with these arguments, instead of the tour.
    #[arg(long, env = "PROGRAM", hide_env_values = true, value_name = "WORDS")]
    pub program: Option<String>,
    /// Show the program's system calls and page faults.
    #[arg(long, env = "TRACE", hide_env_values = true, value_parser = is_on)]
    pub trace: bool,
    /// Wait for a key between claims.
    #[arg(long, env = "STEP", hide_env_values = true, value_parser = is_on)]
    pub step: bool,
}

impl TourOptions {
    /// Whether the claim of this number is shown.
    pub fn shows(&self, number: &str) -> bool {
        let is_it = |part: &str| part.trim().eq_ignore_ascii_case(number);
        self.program.is_none()
            && self.claim.as_ref().is_none_or(|claims| claims.split(',').any(is_it))
    }

    /// The options that the kernel reads, if its serial port reads a terminal or not.
    ///
    /// # Errors
    ///
    /// They exclude each other, or there is no such claim.
    pub fn keys(&self, is_terminal: bool) -> Result<Vec<(&str, &str)>, Error> {
        let is_program = self.program.is_some();
        let exclude = |what: &str| Err(Error::Usage(what.to_owned()));
        match self {
            Self { claim: Some(_), .. } if is_program => {
                return exclude("CLAIM is for the tour, and PROGRAM runs a program instead of it");
            }
            Self { step: true, .. } if is_program => {
                return exclude("STEP is for the tour, and PROGRAM runs a program instead of it");
            }
            Self { trace: true, .. } if !is_program => {
                return exclude("TRACE is for a program; PROGRAM says which one");
            }
            Self { claim: Some(claims), .. } => check_claims(claims)?,
            _ => {}
        }
        let flag = |key, on: bool| on.then_some((key, "1"));
        let text = |key, value| Option::<&String>::map(value, |value| (key, value.as_str()));
        let keys = [
            text("claims", self.claim.as_ref()),
            text("program", self.program.as_ref()),
            flag("trace", self.trace),
            flag("step", self.step && is_terminal),
            flag("keys", is_program && is_terminal),
        ];
        Ok(keys.into_iter().flatten().collect())
    }
}

/// Which tests to run.
#[derive(Args, Debug)]
pub struct Filter {
    /// Run only tests whose name contains this; several parts are separated by commas.
    #[arg(long, env = "FILTER", hide_env_values = true, value_name = "PART")]
    filter: Option<String>,
}

impl Filter {
    /// The filter, unless it is empty.
    pub fn get(self) -> Option<String> {
        self.filter.filter(|filter| !filter.is_empty())
    }
}

/// The folder of the options that the demo kernel reads.
const PREFIX: &str = "brkalloc";

/// Where to boot the images.
#[derive(Args, Clone, Debug)]
pub struct MachineOptions {
    /// Who executes the kernel's instructions.
    #[arg(long, env = "ACCEL", hide_env_values = true, default_value = "tcg")]
    accel: Accel,
    /// How many CPUs: as many as the kernel has room for, at most.
    #[arg(
        long,
        env = "SMP",
        hide_env_values = true,
        default_value_t = 2,
        value_parser = cpus
    )]
    smp: u32,
    /// How much memory [default: 64M, for the tour 128M].
    #[arg(long, env = "MEM", hide_env_values = true, value_name = "SIZE", value_parser = memory)]
    mem: Option<String>,
}

impl MachineOptions {
    /// The same with so many CPUs.
    pub fn with_cpus(&self, cpus: u32) -> Self {
        Self { smp: cpus, ..self.clone() }
    }

    /// The machine for test kernels: little memory, so that running out of it is quick to test.
    pub fn for_tests(&self, setup: &Setup) -> Machine {
        self.machine(setup, "64M")
    }

    /// The machine for the tour.
    pub fn for_tour(&self, setup: &Setup) -> Machine {
        self.machine(setup, "128M")
    }

    /// The machine for a shell, which gets every key that is typed but Ctrl-].
    /// That one tells QEMU that the next key is for it.
    pub fn for_shell(&self, setup: &Setup) -> Machine {
        let chardev = ["-chardev", "stdio,id=terminal,mux=on,signal=off", "-echr", "0x1d"];
        let extra = chardev.map(Into::into).into();
        Machine { serial: "chardev:terminal".into(), extra, ..self.machine(setup, "128M") }
    }

    /// The machine for stories: running out of memory takes one event a frame.
    pub fn for_story(&self, setup: &Setup) -> Machine {
        self.machine(setup, "32M")
    }

    /// The machine that counts instructions.
    pub fn for_counting(&self, setup: &Setup) -> Machine {
        Machine { accel: Accel::Counting, smp: 1, ..self.machine(setup, "128M") }
    }

    /// Finds out, where KVM is asked for, whether it works.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn check(&self, project: &Project, setup: &Setup) -> Result<(), Error> {
        match self.accel {
            Accel::Kvm => {
                kvm::probe(&setup.qemu, &project.target("kvm-probe.bin")).map_err(Error::NoKvm)
            }
            Accel::Tcg | Accel::Counting => Ok(()),
        }
    }

    fn machine(&self, setup: &Setup, default_mem: &str) -> Machine {
        let mem = self.mem.as_deref().unwrap_or(default_mem).to_owned();
        Machine {
            qemu: setup.qemu.clone(),
            accel: self.accel,
            smp: self.smp,
            mem: Some(mem),
            prefix: PREFIX.to_owned(),
            ..Machine::new(Platform::PcDisk)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    fn keys(arguments: &[&str], is_terminal: bool) -> Result<Vec<(String, String)>, String> {
        let Command::Tour { options, .. } =
            Cli::parse_from([&["harness", "tour"], arguments].concat()).command
        else {
            unreachable!("`tour` was asked for");
        };
        let keys = options.keys(is_terminal).map_err(|error| error.to_string())?;
        Ok(keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn the_kernel_reads_what_the_tour_is_told() {
        assert_eq!(keys(&[], true), pairs(&[]));
        for chosen in ["C1,C2", "1,2", "c1, 2"] {
            assert_eq!(keys(&["--claim", chosen], false), pairs(&[("claims", "C1,C2")]));
        }
        let program = ["--program", "lazy 5", "--trace"];
        let expected = [("program", "lazy 5"), ("trace", "1"), ("keys", "1")];
        assert_eq!(keys(&program, true), pairs(&expected));
        assert_eq!(keys(&program, false), pairs(&expected[..2]), "there is no keyboard");
    }

    #[test]
    fn claims_are_shown_if_they_are_chosen_or_all_are() {
        let options = |claim: Option<&str>, program: Option<&str>| TourOptions {
            claim: claim.map(str::to_owned),
            program: program.map(str::to_owned),
            ..TourOptions::default()
        };
        assert!(options(None, None).shows("C28"));
        assert!(options(Some("C1, C28"), None).shows("C28"));
        assert!(!options(Some("C2"), None).shows("C28"));
        assert!(!options(None, Some("lazy")).shows("C28"));
    }

    #[test]
    fn the_tour_waits_only_if_there_is_a_terminal() {
        assert_eq!(keys(&["--step"], true), pairs(&[("step", "1")]));
        assert_eq!(keys(&["--step"], false), pairs(&[]));
    }

    #[test]
    fn options_that_exclude_each_other_and_unknown_claims_are_an_error() {
        for arguments in [
            &["--program", "lazy", "--claim", "C1"][..],
            &["--program", "lazy", "--step"],
            &["--trace"],
            &["--claim", "C30"],
            &["--claim", "30"],
            &["--claim", "0"],
            &["--claim", "C1,lazy"],
            &["--claim", " ,"],
        ] {
            assert!(keys(arguments, true).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_kernel_has_room_for_eight_cpus() {
        for (cpus, is_accepted) in [("0", false), ("1", true), ("8", true), ("9", false)] {
            let cli = Cli::try_parse_from(["harness", "tour", "--smp", cpus]);
            assert_eq!(cli.is_ok(), is_accepted, "{cpus}");
        }
    }

    #[test]
    fn the_tour_gets_more_memory_than_the_tests_unless_told_otherwise() {
        let setup = Setup {
            bin: "bin".into(),
            strip: "strip".into(),
            qemu: "qemu".into(),
            host32: None,
            sanitizers: None,
        };
        let mem = |mem: Option<&str>, machine: fn(&MachineOptions, &Setup) -> Machine| {
            let mem = mem.map(str::to_owned);
            machine(&MachineOptions { accel: Accel::Tcg, smp: 1, mem }, &setup).mem
        };
        assert_eq!(mem(None, MachineOptions::for_tests).as_deref(), Some("64M"));
        assert_eq!(mem(None, MachineOptions::for_tour).as_deref(), Some("128M"));
        assert_eq!(mem(Some("1G"), MachineOptions::for_tour).as_deref(), Some("1G"));
    }
}
