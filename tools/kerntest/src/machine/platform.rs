//! The machines that QEMU emulates for a kernel, and how each one gets its image.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::TempDir;

use super::disk::{drive, file_value};

/// The variable that names the UEFI firmware for x86_64.
pub const OVMF: &str = "KERNTEST_OVMF";

/// The places where distributions put the UEFI firmware for x86_64, code only.
const OVMF_FILES: [&str; 8] = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
    "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
    "/usr/share/qemu/edk2-x86_64-code.fd",
    "/opt/homebrew/share/qemu/edk2-x86_64-code.fd",
    "/usr/local/share/qemu/edk2-x86_64-code.fd",
];

/// A machine of QEMU's, with the form of image that it boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// A PC that boots a raw disk by its BIOS, as `bootloader` 0.9 and Limine make one.
    PcDisk,
    /// A PC that boots an ISO image by its BIOS, as Limine and GRUB make one.
    PcCdrom,
    /// A PC that QEMU loads an ELF file into: Multiboot, or PVH by an ELF note.
    PcKernel,
    /// A PC with UEFI. It boots an `.efi` file, a folder that is an EFI system partition, or a
    /// raw disk.
    PcUefi,
    /// A Cortex-M board of `qemu-system-arm`, such as `lm3s6965evb`, that an ELF file is loaded
    /// into.
    CortexM(String),
    /// RISC-V `virt`, 32 bits, in machine mode, that an ELF file is loaded into.
    RiscV32,
    /// RISC-V `virt`, 64 bits, in machine mode, that an ELF file is loaded into.
    RiscV64,
    /// aarch64 `virt` with a Cortex-A72, that an ELF file is loaded into.
    AArch64,
}

/// The way in which a kernel gets options: the filter, and from which case on it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A file of the `fw_cfg` device for each option: `opt/<prefix>/<key>`.
    FwCfg,
    /// The command line of semihosting: `kerntest key=value …`.
    Semihosting,
    /// The command line of the loader, QEMU's `-append`: `key=value …`.
    CommandLine,
    /// None: the kernel runs all of its cases in each boot.
    None,
}

/// The arguments that give a machine its image, and what must live as long as the machine.
pub(super) struct Medium {
    pub(super) arguments: Vec<OsString>,
    pub(super) _folder: Option<TempDir>,
}

impl Platform {
    /// Names of all platforms, as [`FromStr`] takes them.
    pub const NAMES: [&str; 8] = [
        "pc-disk",
        "pc-cdrom",
        "pc-kernel",
        "pc-uefi",
        "cortex-m:BOARD",
        "riscv32",
        "riscv64",
        "aarch64",
    ];

    /// Whether it is a PC.
    pub fn is_pc(&self) -> bool {
        matches!(self, Self::PcDisk | Self::PcCdrom | Self::PcKernel | Self::PcUefi)
    }

    /// The emulator's name on `PATH`.
    pub fn qemu(&self) -> &'static str {
        match self {
            Self::PcDisk | Self::PcCdrom | Self::PcKernel | Self::PcUefi => "qemu-system-x86_64",
            Self::CortexM(_) => "qemu-system-arm",
            Self::RiscV32 => "qemu-system-riscv32",
            Self::RiscV64 => "qemu-system-riscv64",
            Self::AArch64 => "qemu-system-aarch64",
        }
    }

    /// How kernels of this platform get options, if nothing else is said.
    pub fn channel(&self) -> Channel {
        if self.is_pc() { Channel::FwCfg } else { Channel::Semihosting }
    }

    /// The machine's own arguments: board, processor, firmware, and the device that ends it.
    pub(super) fn board(&self) -> Vec<OsString> {
        let arguments: &[&str] = match self {
            Self::PcDisk | Self::PcCdrom | Self::PcKernel | Self::PcUefi => {
                // All that the accelerator can do: SMEP and SMAP are not in the default.
                &["-cpu", "max", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
            }
            Self::CortexM(board) => &["-machine", board],
            Self::RiscV32 | Self::RiscV64 => &["-machine", "virt", "-bios", "none"],
            Self::AArch64 => &["-machine", "virt", "-cpu", "cortex-a72"],
        };
        arguments.iter().map(OsString::from).collect()
    }

    /// The arguments for booting `image`.
    pub(super) fn medium(&self, qemu: &Path, image: &Path) -> io::Result<Medium> {
        let plain = |arguments| Ok(Medium { arguments, _folder: None });
        let image_argument = |option: &str| vec![option.into(), image.into()];
        match self {
            Self::PcDisk => plain(vec!["-drive".into(), drive(qemu, image)]),
            Self::PcCdrom => plain(image_argument("-cdrom")),
            Self::PcKernel | Self::CortexM(_) | Self::RiscV32 | Self::RiscV64 | Self::AArch64 => {
                plain(image_argument("-kernel"))
            }
            Self::PcUefi => uefi(qemu, image),
        }
    }
}

/// The arguments for a PC with UEFI firmware.
fn uefi(qemu: &Path, image: &Path) -> io::Result<Medium> {
    let firmware = firmware()?;
    let mut arguments = vec!["-drive".into(), {
        let mut flash = OsString::from("if=pflash,format=raw,readonly=on,file=");
        flash.push(file_value(&firmware));
        flash
    }];
    let is_program = image.extension().is_some_and(|extension| extension == "efi");
    if !image.is_dir() && !is_program {
        arguments.extend(["-drive".into(), drive(qemu, image)]);
        return Ok(Medium { arguments, _folder: None });
    }
    let mut folder = None;
    let partition = if is_program {
        let new = TempDir::new()?;
        let boot = new.path().join("EFI/BOOT");
        fs::create_dir_all(&boot)?;
        fs::copy(image, boot.join("BOOTX64.EFI"))?;
        folder.insert(new).path().to_owned()
    } else {
        image.to_owned()
    };
    let mut value = OsString::from("format=raw,snapshot=on,file=fat:");
    value.push(file_value(&partition));
    arguments.extend(["-drive".into(), value]);
    Ok(Medium { arguments, _folder: folder })
}

/// The UEFI firmware of this machine.
fn firmware() -> io::Result<PathBuf> {
    let named = env::var_os(OVMF).map(PathBuf::from);
    let known = OVMF_FILES.iter().map(PathBuf::from);
    named.into_iter().chain(known).find(|path| path.is_file()).ok_or_else(|| {
        let reason = format!(
            "no UEFI firmware: install ovmf (Debian), edk2-ovmf (Fedora, Arch) or qemu (Homebrew), \
             or set {OVMF}"
        );
        io::Error::new(io::ErrorKind::NotFound, reason)
    })
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "pc-disk" => Self::PcDisk,
            "pc-cdrom" => Self::PcCdrom,
            "pc-kernel" => Self::PcKernel,
            "pc-uefi" => Self::PcUefi,
            "riscv32" => Self::RiscV32,
            "riscv64" => Self::RiscV64,
            "aarch64" => Self::AArch64,
            _ => match name.strip_prefix("cortex-m:") {
                Some(board) if !board.is_empty() => Self::CortexM(board.to_owned()),
                _ => return Err(format!("expected one of {}", Self::NAMES.join(", "))),
            },
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PcDisk => f.write_str("pc-disk"),
            Self::PcCdrom => f.write_str("pc-cdrom"),
            Self::PcKernel => f.write_str("pc-kernel"),
            Self::PcUefi => f.write_str("pc-uefi"),
            Self::CortexM(board) => write!(f, "cortex-m:{board}"),
            Self::RiscV32 => f.write_str("riscv32"),
            Self::RiscV64 => f.write_str("riscv64"),
            Self::AArch64 => f.write_str("aarch64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_taken_and_printed() {
        for name in Platform::NAMES {
            let name = name.replace("BOARD", "lm3s6965evb");
            assert_eq!(name.parse::<Platform>().map(|platform| platform.to_string()), Ok(name));
        }
        for name in ["", "pc", "cortex-m", "cortex-m:"] {
            assert!(name.parse::<Platform>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_elf_file_is_loaded_and_a_disk_is_attached() {
        let arguments = |platform: Platform| {
            let medium = platform.medium(Path::new("no-such-qemu"), Path::new("a,b")).unwrap();
            medium.arguments
        };
        assert_eq!(arguments(Platform::RiscV32), ["-kernel", "a,b"]);
        assert_eq!(arguments(Platform::PcDisk), ["-drive", "format=raw,snapshot=on,file=a,,b"]);
    }
}
