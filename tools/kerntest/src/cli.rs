//! The command line: libtest's options, and those of the machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ColorChoice, Parser, ValueEnum};

use kerntest::suite::LIMITS;
use kerntest::{Accel, Channel, Limits, Machine, Platform, Selection, Suite};

/// Boots a test kernel under QEMU, judges each of its cases, and resumes after a crash.
///
/// Exit status, as libtest's: 0 if all selected cases passed, 101 otherwise.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// The image: a disk, an ISO image, an ELF file, an .efi file or an EFI system partition.
    pub image: PathBuf,
    /// Run only cases whose name contains one of these.
    pub filter: Vec<String>,
    /// The machine: pc-disk, pc-cdrom, pc-kernel, pc-uefi, cortex-m:BOARD, riscv32, riscv64,
    /// aarch64.
    #[arg(long, short, env = "KERNTEST_PLATFORM", default_value = "pc-disk")]
    pub platform: Platform,
    /// Take filters as whole names.
    #[arg(long)]
    pub exact: bool,
    /// Leave out cases whose name contains this.
    #[arg(long, value_name = "PART")]
    pub skip: Vec<String>,
    /// Print the names of the selected cases, and run none.
    #[arg(long)]
    pub list: bool,
    /// Show all that the kernel writes.
    #[arg(long)]
    pub nocapture: bool,
    /// What standard output gets.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    pub format: Format,
    /// Write JUnit XML to this file.
    #[arg(long, env = "KERNTEST_JUNIT", value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write JSON lines to this file.
    #[arg(long, env = "KERNTEST_JSON", value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Colours and a bar: on a terminal, always, or never.
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// The emulator [default: the platform's on PATH].
    #[arg(long, env = "KERNTEST_QEMU", value_name = "PROGRAM")]
    pub qemu: Option<PathBuf>,
    /// Who executes instructions: tcg, kvm (PCs), or counting (a clock that counts instructions).
    #[arg(long, default_value = "tcg")]
    pub accel: Accel,
    /// Number of CPUs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub smp: u32,
    /// Memory, as `64M` [default: the board's].
    #[arg(long)]
    pub mem: Option<String>,
    /// Seconds that a case may take.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Seconds that a boot may take until its first case [default: the timeout of a case].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub boot_timeout: Option<Duration>,
    /// How the kernel gets options [default: fw-cfg for PCs, else semihosting].
    #[arg(long, value_enum)]
    pub channel: Option<ChannelName>,
    /// The folder of fw_cfg files that the kernel reads, below opt/.
    #[arg(long, default_value = kerntest::machine::PREFIX)]
    pub prefix: String,
    /// A further option for the kernel.
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    pub options: Vec<(String, String)>,
    /// A further argument for QEMU.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub qemu_arg: Vec<OsString>,
    /// The folder that paths in panics are relative to.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub source: PathBuf,
}

/// What standard output gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for a reader.
    Pretty,
    /// JSON lines.
    Json,
}

/// A channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelName {
    /// Files of the fw_cfg device.
    FwCfg,
    /// The command line of semihosting.
    Semihosting,
    /// The command line of the loader.
    CommandLine,
    /// None.
    None,
}

impl From<ChannelName> for Channel {
    fn from(name: ChannelName) -> Self {
        match name {
            ChannelName::FwCfg => Self::FwCfg,
            ChannelName::Semihosting => Self::Semihosting,
            ChannelName::CommandLine => Self::CommandLine,
            ChannelName::None => Self::None,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Cli {
    /// The suite to run.
    pub fn suite(&self) -> Suite {
        let machine = Machine::new(self.platform.clone());
        let machine = Machine {
            qemu: self.qemu.clone().unwrap_or(machine.qemu),
            accel: self.accel,
            smp: self.smp,
            mem: self.mem.clone(),
            channel: self.channel.map_or(machine.channel, Channel::from),
            prefix: self.prefix.clone(),
            extra: self.qemu_arg.clone(),
            ..machine
        };
        let next = self.timeout.unwrap_or(LIMITS.next);
        Suite {
            limits: Limits { first: self.boot_timeout.unwrap_or(next), next },
            selection: Selection {
                filter: self.filter.clone(),
                exact: self.exact,
                skip: self.skip.clone(),
            },
            options: self.options.clone(),
            source: self.source.clone(),
            ..Suite::new(machine, &self.image)
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

    #[test]
    fn a_case_and_a_boot_may_have_other_limits() {
        let limits = |arguments: &[&str]| {
            Cli::parse_from([&["kerntest", "image"], arguments].concat()).suite().limits
        };
        let second = Duration::from_secs(1);
        assert_eq!(limits(&[]), LIMITS);
        assert_eq!(limits(&["--timeout", "3"]), Limits::both(3 * second));
        let found = limits(&["--timeout", "3", "--boot-timeout", "0.5"]);
        assert_eq!(found, Limits { first: second / 2, next: 3 * second });
    }

    #[test]
    fn options_are_pairs() {
        assert_eq!(pair("seed=1=2"), Ok(("seed".into(), "1=2".into())));
        assert!(pair("seed").is_err());
    }
}
