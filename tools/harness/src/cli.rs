//! The command line. Each option can also be given as the environment variable that the Makefile
//! uses.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

use crate::project::{Project, Setup};
use crate::tour::CLAIMS;
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

/// What is wrong with the value of a variable, by the name that `make` takes. `None` if the error
/// is another one. `variable` returns the value of a variable of the environment.
pub fn wrong_variable(
    error: &clap::Error,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (option, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let option = option.strip_prefix("--")?.split_whitespace().next()?;
    let name = option.to_ascii_uppercase().replace('-', "_");
    let reason = std::error::Error::source(error)?;
    (variable(&name)? == value).then(|| format!("{name}={value}: {reason}"))
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

/// Finds the numbers of claims that there are not, before anything is built.
fn check_claims(chosen: &str) -> Result<(), Error> {
    let mut parts = chosen.split(',').map(str::trim).filter(|part| !part.is_empty()).peekable();
    let is_known = |part: &str| {
        let number = part.strip_prefix('C').and_then(|number| number.parse().ok());
        number.is_some_and(|number| CLAIMS.contains(&number))
    };
    let unknown =
        if parts.peek().is_none() { Some(chosen) } else { parts.find(|it| !is_known(it)) };
    unknown.map_or(Ok(()), |unknown| {
        let (first, last) = (CLAIMS.start(), CLAIMS.end());
        Err(Error::Usage(format!(
            "CLAIM: there is no claim {unknown:?}; they are C{first} to C{last} (docs/CLAIMS.md), \
             and several are separated by commas"
        )))
    })
}

/// The claims that were chosen, each with its `C`, which a reader may leave out: `c1, 12` is
/// `C1,C12`.
#[expect(clippy::unnecessary_wraps, reason = "clap takes functions that can fail")]
fn claims(text: &str) -> Result<String, Infallible> {
    let claim = |part: &str| {
        let part = part.trim();
        match part.strip_prefix(['C', 'c']).unwrap_or(part) {
            number if number.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("C{number}")
            }
            _ => part.to_owned(),
        }
    };
    Ok(text.split(',').map(claim).collect::<Vec<_>>().join(","))
}

/// Whether a flag is on: `STEP=1`. Other values are for other commands, as `STEP=clippy`.
fn is_on(value: &str) -> Result<bool, Infallible> {
    Ok(matches!(value, "1" | "true"))
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

/// How many CPUs the kernel has room for.
const MOST_CPUS: u32 = 8;

/// Parses a number of CPUs.
fn cpus(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_CPUS).contains(number));
    number.ok_or_else(|| format!("expected a number of CPUs, 1 to {MOST_CPUS}"))
}

/// Least memory that the kernel boots with, in MiB.
const LEAST_MEMORY: u64 = 16;

/// Parses a size as QEMU takes it: MiB, unless a suffix says otherwise.
fn memory(text: &str) -> Result<String, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "m" => Some(20),
        "k" => Some(10),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    match (digits.parse::<u64>(), shift) {
        (Ok(count), Some(shift)) if count >= (LEAST_MEMORY << 20).div_ceil(1 << shift) => {
            Ok(text.to_owned())
        }
        (Ok(_), Some(_)) => Err(format!("the kernel boots with {LEAST_MEMORY}M or more")),
        _ => Err("expected a size, as 128M or 1G".to_owned()),
    }
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
        Machine { accel: Accel::Counting, smp: 1, ..self.machine(setup, "64M") }
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
    fn a_flag_is_on_if_its_variable_is_1() {
        assert_eq!(["1", "true"].map(is_on), [Ok(true); 2]);
        assert_eq!(["", "0", "the judge", "clippy"].map(is_on), [Ok(false); 4]);
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
    fn a_wrong_value_is_told_by_the_name_that_make_takes() {
        for (option, value, told) in [
            ("--smp", "0", "SMP=0: expected a number of CPUs, 1 to 8"),
            ("--smp", "many", "SMP=many: expected a number of CPUs, 1 to 8"),
            ("--mem", "1M", "MEM=1M: the kernel boots with 16M or more"),
            ("--accel", "fast", "ACCEL=fast: expected tcg, kvm or counting"),
        ] {
            let error = Cli::try_parse_from(["harness", "tour", option, value]).unwrap_err();
            let set = |name: &str| told.starts_with(&format!("{name}=")).then(|| value.to_owned());
            assert_eq!(wrong_variable(&error, set).as_deref(), Some(told));
            assert_eq!(wrong_variable(&error, |_| None), None, "an option");
        }
        let unknown = Cli::try_parse_from(["harness", "tour", "--nonsense"]).unwrap_err();
        assert_eq!(wrong_variable(&unknown, |_| Some(String::new())), None);
    }

    #[test]
    fn memory_is_a_size_that_the_kernel_boots_with() {
        for taken in ["16M", "16", "16384k", "1G", "1t"] {
            assert_eq!(memory(taken).as_deref(), Ok(taken));
        }
        for (refused, why) in
            [("1M", "16M or more"), ("15", "16M or more"), ("100k", "16M or more"), ("0G", "16M")]
        {
            assert!(memory(refused).unwrap_err().contains(why), "{refused}");
        }
        for refused in ["x", "", "M", "12Q", "-5M", "1.5G", "64MB"] {
            assert!(memory(refused).unwrap_err().contains("expected a size"), "{refused}");
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
