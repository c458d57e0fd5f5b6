//! How an emulated machine gets at its image.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::child;

/// QEMU's option for reading a file without a thread that does it. The boot loader asks for sector
/// after sector, thousands of them, and the firmware looks for each in a loop, with the processor
/// that the thread waits for: on a busy machine a boot of seconds took minutes.
const AT_ONCE: &str = "aio=io_uring";

/// The value of QEMU's `-drive` for an image. A snapshot leaves it as it is, so that any number of
/// machines can boot it at the same time.
pub(super) fn drive(qemu: &Path, image: &Path) -> OsString {
    static READS_AT_ONCE: OnceLock<bool> = OnceLock::new();
    let at_once = *READS_AT_ONCE.get_or_init(|| takes(qemu, AT_ONCE));
    let options = ["format=raw", "snapshot=on"].into_iter().chain(at_once.then_some(AT_ONCE));
    let mut drive = OsString::from(options.collect::<Vec<_>>().join(","));
    drive.push(",file=");
    drive.push(file_value(image));
    drive
}

/// A path as the value of one of QEMU's options.
pub(super) fn file_value(path: &Path) -> OsString {
    as_value(path.as_os_str())
}

/// Text as the value of one of QEMU's options: a comma separates these, a doubled one stands for
/// itself.
pub(super) fn as_value(text: &OsStr) -> OsString {
    let double = |&byte: &u8| [byte; 2].into_iter().take(if byte == b',' { 2 } else { 1 });
    OsString::from_vec(text.as_bytes().iter().flat_map(double).collect())
}

/// Whether this QEMU, and the system under it, can read a file with the option: a machine without
/// anything opens one, and ends.
fn takes(qemu: &Path, option: &str) -> bool {
    let mut drive = OsString::from(format!("if=none,format=raw,readonly=on,{option},file="));
    drive.push(file_value(qemu));
    let mut command = Command::new(qemu);
    command.args(["-M", "none", "-display", "none", "-monitor", "stdio", "-drive"]).arg(drive);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    // If it has ended already, its status says why.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(b"quit\n"));
    child::wait(&mut child).is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_emulator_no_option_is_taken() {
        let qemu = Path::new("no-such-qemu");
        assert!(!takes(qemu, AT_ONCE));
        assert_eq!(drive(qemu, Path::new("a,b.bin")), "format=raw,snapshot=on,file=a,,b.bin");
    }
}
