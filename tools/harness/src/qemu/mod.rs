//! Boots an image under QEMU and hands on what the kernel writes, byte by byte, with limits on
//! silence.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::disk::{as_value, drive};
use crate::judge::Ending;
use crate::names::Naming;
use crate::patience::{Patience, waited};
use crate::process;
use crate::turn::Turns;

/// Who executes the kernel's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// QEMU, in software.
    Tcg,
    /// The processor, through Linux's KVM.
    Kvm,
    /// QEMU, in software, with a clock that counts instructions: one a nanosecond.
    Counting,
}

/// The machine to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Who executes the instructions.
    pub accel: Accel,
    /// How many CPUs.
    pub smp: u32,
    /// How much memory, as QEMU's `-m` understands it: `64M`.
    pub mem: String,
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
    /// QEMU's arguments for booting from a [`drive`], with `keys` for the kernel to read
    /// (`opt/brkalloc/<key>`).
    fn arguments(&self, drive: OsString, keys: &[(&str, &str)]) -> Vec<OsString> {
        let accel = match self.accel {
            Accel::Tcg | Accel::Counting => "tcg",
            Accel::Kvm => "kvm",
        };
        let smp = self.smp.to_string();
        let mut arguments = vec![OsString::from("-drive"), drive];
        arguments.extend(
            [
                "-accel",
                accel,
                "-smp",
                &smp,
                "-m",
                &self.mem,
                // All that the accelerator can do: SMEP and SMAP are not in the default.
                "-cpu",
                "max",
                "-device",
                "isa-debug-exit,iobase=0xf4,iosize=0x04",
                "-serial",
                "stdio",
                "-display",
                "none",
                "-monitor",
                "none",
                "-nic",
                "none",
                "-no-reboot",
            ]
            .map(OsString::from),
        );
        if self.accel == Accel::Counting {
            arguments.extend(["-icount", "shift=0"].map(OsString::from));
        }
        for (key, value) in keys {
            let mut file = OsString::from(format!("name=opt/brkalloc/{key},string="));
            file.push(as_value(value.as_ref()));
            arguments.extend(["-fw_cfg".into(), file]);
        }
        arguments
    }

    /// The emulator that waits for a debugger at its standard input before it boots `image`, and
    /// writes what the kernel says to the file `log`.
    pub(crate) fn debug_command(
        &self,
        qemu: &Path,
        image: &Path,
        keys: &[(&str, &str)],
        log: &Path,
    ) -> Command {
        let mut serial = OsString::from("file:");
        serial.push(log);
        let mut arguments = self.arguments(drive(qemu, image), keys);
        let place = arguments.iter().position(|argument| argument == "-serial");
        arguments[place.expect("a machine has a serial port") + 1] = serial;
        let mut command = Command::new(qemu);
        command.args(arguments).args(["-S", "-gdb", "stdio"]);
        command
    }

    /// The emulator that boots `image`.
    pub(crate) fn command(&self, qemu: &Path, image: &Path, keys: &[(&str, &str)]) -> Command {
        let mut command = Command::new(qemu);
        command.args(self.arguments(drive(qemu, image), keys));
        command
    }

    /// Boots `image` and returns how that ended. `on_bytes` gets what the kernel writes to its
    /// serial port as it comes. If it does not report progress for as long as the limits say,
    /// the machine is stopped. Waits while as many machines run as there are processors.
    pub fn boot(
        &self,
        qemu: &Path,
        image: &Path,
        keys: &[(&str, &str)],
        limits: Limits,
        on_bytes: impl FnMut(&[u8]) -> Progress,
    ) -> Ending {
        self.boot_with(Stdio::null(), qemu, image, keys, limits, on_bytes)
    }

    /// Boots as [`boot`](Self::boot) does, a machine whose serial port reads `input`.
    pub fn boot_with(
        &self,
        input: Stdio,
        qemu: &Path,
        image: &Path,
        keys: &[(&str, &str)],
        limits: Limits,
        mut on_bytes: impl FnMut(&[u8]) -> Progress,
    ) -> Ending {
        static TURNS: Turns = Turns::new();
        let _turn = TURNS.take();
        let mut command = self.command(qemu, image, keys);
        command.stdin(input);
        let mut naming = Naming::of(image);
        match watch(command, limits, |bytes| on_bytes(&naming.name(bytes))) {
            Ok(ending) => ending,
            Err(error) => Ending::Broken(format!("cannot run {}: {error}", qemu.display())),
        }
    }
}

/// A child that does not outlive us, whatever happens.
struct Guarded(Option<Child>);

impl Guarded {
    /// Waits for its end.
    fn wait(mut self) -> io::Result<ExitStatus> {
        let mut child = self.0.take().expect("taken here alone, with the value");
        process::wait(&mut child)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Nobody is waited for twice: by then its number may be another's. Should either fail,
        // there is nothing left to do.
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = process::wait(child);
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

    let mut patience = Patience::new(limits.first, Instant::now(), waited(pid));
    loop {
        match chunks.recv_timeout(LOOK) {
            Ok(bytes) => {
                if on_bytes(&bytes) == Progress::Made {
                    patience = Patience::new(limits.next, Instant::now(), waited(pid));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // Also after bytes: one that writes for ever without getting on is never silent.
        if !patience.lasts(Instant::now(), waited(pid)) {
            return Ok(Ending::TimedOut(patience.limit()));
        }
    }
    let status = child.wait()?;
    let stderr = complaint.join().unwrap_or_default();
    Ok(match status.code() {
        Some(status) => Ending::Exited { status, stderr },
        None => Ending::Broken(format!("QEMU was stopped from outside: {status}")),
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
