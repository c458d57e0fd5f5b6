//! Whether KVM works. It may start and then run a plain loop more than a hundred times slower than
//! software emulation does, where the machine itself is emulated.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Accel, Machine, Platform};
use crate::judge::exit;

/// Where Linux has it.
const DEVICE: &str = "/dev/kvm";

/// A processor of today takes a tenth of a second for the loop, firmware included one second.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A boot sector: counts 50,000,000 down, then ends QEMU as a kernel does whose tests all passed.
const LOOP: [u8; 13] = [
    0x66, 0xB9, 0x80, 0xF0, 0xFA, 0x02, // mov ecx, 50000000
    0x67, 0xE2, 0xFD, // loop, with ecx
    0xB0, 0x10, // mov al, 0x10
    0xE6, 0xF4, // out 0xf4, al
];

/// The size of a sector, and the two bytes at its end that make it one to boot from.
const SECTOR: usize = 512;
const SIGNATURE: [u8; 2] = [0x55, 0xAA];

/// Boots the loop under KVM, from a file at `path`.
///
/// # Errors
///
/// Why KVM does not work.
pub fn probe(qemu: &Path, path: &Path) -> Result<(), String> {
    File::options()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map_err(|error| format!("cannot open {DEVICE}: {error}"))?;
    match boot(Accel::Kvm, qemu, path)? {
        Some((status, _)) if status.code() == Some(exit::PASSED) => Ok(()),
        Some((status, complaint)) => {
            let complaint = complaint.lines().next().map(|line| format!(": {line}"));
            Err(format!("QEMU ended with {status}{}", complaint.unwrap_or_default()))
        }
        None => Err(format!("a loop of 50,000,000 rounds took longer than {} s", LIMIT.as_secs())),
    }
}

/// The status with which the emulator ended, and its error output; `None` if it did not end in
/// time, by the wall clock.
fn boot(accel: Accel, qemu: &Path, path: &Path) -> Result<Option<(ExitStatus, String)>, String> {
    let mut sector = [0; SECTOR];
    sector[..LOOP.len()].copy_from_slice(&LOOP);
    sector[SECTOR - SIGNATURE.len()..].copy_from_slice(&SIGNATURE);
    fs::write(path, sector).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let qemu = qemu.to_owned();
    let mem = Some("16M".to_owned());
    let machine = Machine { accel, qemu, mem, ..Machine::new(Platform::PcDisk) };
    let failed = |error: io::Error| format!("cannot run {}: {error}", machine.qemu.display());
    let mut command = machine.command(path).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().map_err(failed)? {
            let mut complaint = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut complaint).map_err(failed)?;
            }
            return Ok(Some((status, complaint)));
        }
        thread::sleep(LOOK);
    }
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "it boots QEMU"]
    fn the_loop_ends_where_a_machine_is_as_fast_as_emulation() {
        let folder = tempfile::tempdir().unwrap();
        let qemu = Path::new(Platform::PcDisk.qemu());
        let (status, complaint) =
            boot(Accel::Tcg, qemu, &folder.path().join("loop.bin")).unwrap().unwrap();
        assert_eq!((status.code(), complaint.as_str()), (Some(exit::PASSED), ""));
    }
}
