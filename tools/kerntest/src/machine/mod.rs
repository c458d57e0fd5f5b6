//! Boots an image under QEMU and hands on what the kernel writes, byte by byte, with limits on the
//! time without progress.
//!
//! ```text
//!   Machine ─┬─ platform    board, processor, and how the image gets in
//!            ├─ kvm         whether KVM works
//!            ├─ disk        QEMU's options for files
//!            ├─ deadline    a limit that stands still while other programs have the processors
//!            ├─ semaphore   as many machines at a time as there are processors
//!            └─ child       processor time of emulators
//! ```

mod child;
mod deadline;
mod disk;
pub mod kvm;
mod platform;
mod semaphore;

pub use child::{spent, wait};
pub use platform::{Channel, OVMF, Platform};

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::judge::Ending;
use crate::names::Naming;
use deadline::{Deadline, waited};
use disk::as_value;
use platform::Medium;
use semaphore::Semaphore;

/// The folder of the `fw_cfg` files that kernels read, below `opt/`.
pub const PREFIX: &str = "kerntest";

/// Who executes the kernel's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// QEMU, in software.
    Tcg,
    /// The processor, through Linux's KVM.
    Kvm,
    /// QEMU, in software, with a clock that counts instructions: one a nanosecond.
    Counting,
}

impl Accel {
    /// All of them, by name.
    pub const NAMES: [(&str, Self); 3] =
        [("tcg", Self::Tcg), ("kvm", Self::Kvm), ("counting", Self::Counting)];
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.into_iter().find(|&(known, _)| known == name);
        found.map(|(_, accel)| accel).ok_or_else(|| "expected tcg, kvm or counting".to_owned())
    }
}

/// The machine to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Which one.
    pub platform: Platform,
    /// The emulator.
    pub qemu: PathBuf,
    /// Who executes the instructions.
    pub accel: Accel,
    /// How many CPUs.
    pub smp: u32,
    /// How much memory, as QEMU's `-m` understands it: `64M`. `None`: as much as the board has.
    pub mem: Option<String>,
    /// How the kernel gets options.
    pub channel: Channel,
    /// The folder of `fw_cfg` files that the kernel reads, below `opt/`.
    pub prefix: String,
    /// What the kernel's serial port is connected to, as QEMU's `-serial` understands it.
    pub serial: OsString,
    /// Further arguments for QEMU.
    pub extra: Vec<OsString>,
}

/// Has the kernel made progress?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Yes: the clock starts again.
    Made,
    /// No: the clock goes on.
    None,
}

/// How long a machine may make no progress. What it waits for a processor meanwhile does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its start to the first progress: a whole boot.
    pub first: Duration,
    /// From each progress to the next.
    pub next: Duration,
}

impl Limits {
    /// As long in the beginning as later.
    pub const fn both(limit: Duration) -> Self {
        Self { first: limit, next: limit }
    }
}

impl Machine {
    /// The platform's machine with one CPU and the emulator on `PATH`, in software.
    pub fn new(platform: Platform) -> Self {
        Self {
            qemu: platform.qemu().into(),
            channel: platform.channel(),
            platform,
            accel: Accel::Tcg,
            smp: 1,
            mem: None,
            prefix: PREFIX.to_owned(),
            serial: "stdio".into(),
            extra: Vec::new(),
        }
    }

    /// QEMU's arguments for a machine with this medium, and `options` for the kernel to read.
    fn arguments(&self, medium: &Medium, options: &[(&str, &str)]) -> Vec<OsString> {
        let mut arguments = self.platform.board();
        arguments.extend(medium.arguments.iter().cloned());
        let accel = match self.accel {
            Accel::Tcg | Accel::Counting => "tcg",
            Accel::Kvm => "kvm",
        };
        let smp = self.smp.to_string();
        arguments.extend(
            ["-accel", accel, "-smp", &smp, "-display", "none", "-monitor", "none"]
                .into_iter()
                .chain(["-nic", "none", "-no-reboot"])
                .map(OsString::from),
        );
        arguments.extend(["-serial".into(), self.serial.clone()]);
        if let Some(mem) = &self.mem {
            arguments.extend(["-m".into(), mem.into()]);
        }
        if self.accel == Accel::Counting {
            arguments.extend(["-icount", "shift=0"].map(OsString::from));
        }
        arguments.extend(self.options(options));
        arguments.extend(self.extra.iter().cloned());
        arguments
    }

    /// QEMU's arguments that hand `options` to the kernel. Semihosting is on in each machine that
    /// has it, because it also ends the machine.
    fn options(&self, options: &[(&str, &str)]) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if !self.platform.is_pc() {
            let mut config = OsString::from("enable=on,target=native");
            if self.channel == Channel::Semihosting {
                config.push(",arg=kerntest");
                for (key, value) in options {
                    config.push(format!(",arg={key}="));
                    config.push(as_value(OsStr::new(value)));
                }
            }
            arguments.extend(["-semihosting-config".into(), config]);
        }
        match self.channel {
            Channel::FwCfg => {
                for (key, value) in options {
                    let mut file =
                        OsString::from(format!("name=opt/{}/{key},string=", self.prefix));
                    file.push(as_value(value.as_ref()));
                    arguments.extend(["-fw_cfg".into(), file]);
                }
            }
            Channel::CommandLine => {
                let words: Vec<_> =
                    options.iter().map(|(key, value)| format!("{key}={value}")).collect();
                arguments.extend(["-append".into(), words.join(" ").into()]);
            }
            Channel::Semihosting | Channel::None => {}
        }
        arguments
    }

    /// The emulator that waits for a debugger at its standard input before it boots `image`, and
    /// writes what the kernel says to the file `log`.
    ///
    /// # Errors
    ///
    /// The image cannot be given to a machine.
    pub fn debug_command(
        &self,
        image: &Path,
        options: &[(&str, &str)],
        log: &Path,
    ) -> io::Result<Command> {
        let mut serial = OsString::from("file:");
        serial.push(log);
        let medium = self.platform.medium(&self.qemu, image)?;
        let mut arguments = self.arguments(&medium, options);
        let place = arguments.iter().position(|argument| argument == "-serial");
        arguments[place.expect("a machine has a serial port") + 1] = serial;
        let mut command = Command::new(&self.qemu);
        command.args(arguments).args(["-S", "-gdb", "stdio"]);
        Ok(command)
    }

    /// The emulator that boots a disk without options for its kernel.
    fn command(&self, image: &Path) -> io::Result<Command> {
        let medium = self.platform.medium(&self.qemu, image)?;
        let mut command = Command::new(&self.qemu);
        command.args(self.arguments(&medium, &[]));
        Ok(command)
    }

    /// Boots `image` and returns how that ended. `on_bytes` gets what the kernel writes to its
    /// serial port as it comes. If it does not report progress for as long as the limits say,
    /// the machine is stopped. Waits while as many machines run as there are processors.
    pub fn boot(
        &self,
        image: &Path,
        options: &[(&str, &str)],
        limits: Limits,
        on_bytes: impl FnMut(&[u8]) -> Progress,
    ) -> Ending {
        self.boot_with(Stdio::null(), image, options, limits, on_bytes)
    }

    /// Boots as [`boot`](Self::boot) does, a machine whose serial port reads `input`.
    pub fn boot_with(
        &self,
        input: Stdio,
        image: &Path,
        options: &[(&str, &str)],
        limits: Limits,
        mut on_bytes: impl FnMut(&[u8]) -> Progress,
    ) -> Ending {
        static MACHINES: Semaphore = Semaphore::new();
        let spaced = options.iter().find(|(_, value)| value.contains(char::is_whitespace));
        if let (Channel::Semihosting | Channel::CommandLine, Some((key, value))) =
            (self.channel, spaced)
        {
            return Ending::Broken(format!(
                "option {key}={value:?} contains white space, which separates options there"
            ));
        }
        let medium = match self.platform.medium(&self.qemu, image) {
            Ok(medium) => medium,
            Err(error) => return Ending::Broken(format!("{}: {error}", image.display())),
        };
        let _permit = MACHINES.acquire();
        let mut command = Command::new(&self.qemu);
        command.args(self.arguments(&medium, options)).stdin(input);
        let mut naming = Naming::of(image);
        match watch(command, limits, |bytes| on_bytes(&naming.name(bytes))) {
            Ok(ending) => ending,
            Err(error) => Ending::Broken(format!("cannot run {}: {error}", self.qemu.display())),
        }
    }
}

/// A child that does not outlive us, whatever happens.
struct Guarded(Option<Child>);

impl Guarded {
    /// Waits for its end.
    fn wait(mut self) -> io::Result<ExitStatus> {
        let mut child = self.0.take().expect("taken here alone, with the value");
        wait(&mut child)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Nobody is waited for twice: by then its number may be another's. Should either fail,
        // there is nothing left to do.
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = wait(child);
        }
    }
}

/// How often a silent program is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `command`, whose input is set; see [`Machine::boot`].
fn watch(
    mut command: Command,
    limits: Limits,
    mut on_bytes: impl FnMut(&[u8]) -> Progress,
) -> io::Result<Ending> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let pid = child.id();
    let child = Guarded(Some(child));
    let chunks = read_in_background(stdout);
    let complaint = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });

    let has_terminal = io::stdin().is_terminal();
    let mut deadline = Deadline::new(limits.first, Instant::now(), waited(pid));
    // How much of the deadline was used up when the last byte came.
    let mut heard = Duration::ZERO;
    loop {
        match chunks.recv_timeout(LOOK) {
            Ok(bytes) => {
                heard = deadline.used();
                if on_bytes(&bytes) == Progress::Made {
                    deadline = Deadline::new(limits.next, Instant::now(), waited(pid));
                    heard = Duration::ZERO;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // A terminal that was closed is none. Its signal went to the first process of the session
        // alone, which may wait for this one.
        if has_terminal && !io::stdin().is_terminal() {
            return Ok(Ending::Broken("the terminal was closed".to_owned()));
        }
        // Also after bytes: a kernel that writes for ever without progress is never silent.
        if !deadline.lasts(Instant::now(), waited(pid)) {
            let limit = deadline.limit();
            let is_silent = heard <= limit / 2;
            return Ok(if is_silent { Ending::Hung(limit) } else { Ending::TimedOut(limit) });
        }
    }
    let status = child.wait()?;
    let stderr = complaint.join().unwrap_or_default();
    Ok(match status.code() {
        Some(status) => Ending::Exited { status, stderr },
        None => Ending::Broken(format!("QEMU ended by a signal: {status} {stderr}")),
    })
}

/// The pieces of `stream` as they come; the channel closes when the stream ends.
fn read_in_background(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests;
