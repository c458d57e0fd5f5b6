//! What QEMU offers to a kernel under test: ways to end the machine with a status, and options from
//! the host.
//!
//! | platform | ends by | options by |
//! |---|---|---|
//! | a PC | [`isa_debug_exit`] | [`fw_cfg`] |
//! | Cortex-M, aarch64 | [`semihosting_exit`] | [`semihosting_option`] |
//! | RISC-V `virt` | [`semihosting_exit`], [`sifive_test`] | [`semihosting_option`] |

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub use pc::{cpus, fw_cfg, isa_debug_exit};
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub use riscv::sifive_test;
#[cfg(any(
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv32",
    target_arch = "riscv64"
))]
pub use semihosting::{semihosting_exit, semihosting_option};

/// The value of `key` in a command line of words `key=value`.
#[cfg_attr(any(target_arch = "x86", target_arch = "x86_64"), allow(dead_code))]
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod pc {
    use core::arch::asm;

    use crate::Exit;

    /// The port of `isa-debug-exit,iobase=0xf4`.
    const EXIT: u16 = 0xF4;
    /// The ports of `fw_cfg`.
    const SELECTOR: u16 = 0x510;
    const DATA: u16 = 0x511;
    /// Items of `fw_cfg`.
    const SIGNATURE: u16 = 0;
    const CPUS: u16 = 5;
    const DIRECTORY: u16 = 0x19;

    /// Ends the machine by `isa-debug-exit`. Without that device the processor is stopped for good.
    pub fn isa_debug_exit(exit: Exit) -> ! {
        // SAFETY: nothing but `isa-debug-exit` listens on this port.
        unsafe { asm!("out dx, eax", in("dx") EXIT, in("eax") exit as u32) };
        loop {
            // SAFETY: the processor waits for an interrupt; it writes nothing.
            unsafe { asm!("hlt", options(nomem, nostack)) };
        }
    }

    /// Reads the option `opt/FOLDER/KEY` of QEMU's command line
    /// (`-fw_cfg name=opt/FOLDER/KEY,string=VALUE`) into the buffer. `None` when it was not given.
    ///
    /// # Panics
    ///
    /// When the value does not fit the buffer, or is not text.
    pub fn fw_cfg<'b>(folder: &str, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        let (file, len) = find(folder, key)?;
        assert!(len <= buffer.len(), "option {key} has {len} bytes, {} at most", buffer.len());
        let value = &mut buffer[..len];
        select(file);
        value.fill_with(next_byte);
        Some(core::str::from_utf8(value).unwrap_or_else(|_| panic!("option {key} is not text")))
    }

    /// Number of CPUs that the machine has (`-smp`); 1 where that cannot be told.
    pub fn cpus() -> u16 {
        if is_there() {
            select(CPUS);
            u16::from_le_bytes(read())
        } else {
            1
        }
    }

    /// Whether the device is there.
    fn is_there() -> bool {
        select(SIGNATURE);
        read::<4>() == *b"QEMU"
    }

    /// Selector and length of the option's file in the directory of the device.
    fn find(folder: &str, key: &str) -> Option<(u16, usize)> {
        if !is_there() {
            return None;
        }
        select(DIRECTORY);
        let files = u32::from_be_bytes(read());
        let mut found = None;
        for _ in 0..files {
            let size = u32::from_be_bytes(read());
            let selector = u16::from_be_bytes(read());
            let _reserved: [u8; 2] = read();
            let name: [u8; 56] = read();
            let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
            if is_option(name, folder, key) {
                found = Some((selector, size as usize));
            }
        }
        found
    }

    /// Whether a file's name is `opt/FOLDER/KEY`.
    pub(super) fn is_option(name: &[u8], folder: &str, key: &str) -> bool {
        let rest = name.strip_prefix(b"opt/").and_then(|rest| rest.strip_prefix(folder.as_bytes()));
        rest.and_then(|rest| rest.strip_prefix(b"/")) == Some(key.as_bytes())
    }

    /// Chooses the item that the next bytes come from.
    fn select(item: u16) {
        // SAFETY: the port belongs to `fw_cfg`; without that device nothing listens.
        unsafe { asm!("out dx, ax", in("dx") SELECTOR, in("ax") item, options(nomem, nostack)) };
    }

    fn next_byte() -> u8 {
        let byte;
        // SAFETY: the port belongs to `fw_cfg`; without that device it reads as all ones.
        unsafe { asm!("in al, dx", in("dx") DATA, out("al") byte, options(nomem, nostack)) };
        byte
    }

    fn read<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        bytes.fill_with(next_byte);
        bytes
    }
}

#[cfg(any(
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv32",
    target_arch = "riscv64"
))]
mod semihosting {
    use core::arch::asm;

    use super::value;
    use crate::Exit;

    /// Operations of semihosting.
    const GET_CMDLINE: usize = 0x15;
    const EXIT_EXTENDED: usize = 0x20;
    /// The reason of an exit: the application ended, with a status.
    const APPLICATION_EXIT: usize = 0x20026;

    /// Longest command line, in bytes.
    const LONGEST: usize = if usize::BITS > 32 { 2048 } else { 768 };

    /// Ends the machine with the exit's status.
    pub fn semihosting_exit(exit: Exit) -> ! {
        let block = [APPLICATION_EXIT, exit.status() as usize];
        loop {
            // SAFETY: the operation takes two words, and reads them.
            unsafe { call(EXIT_EXTENDED, block.as_ptr() as usize) };
        }
    }

    /// Reads an option of the command line (`-semihosting-config …,arg=KEY=VALUE`) into the buffer.
    /// `None` when it was not given.
    ///
    /// # Panics
    ///
    /// When the value does not fit the buffer, or the command line is not text.
    pub fn semihosting_option<'b>(key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        let mut line = [0_u8; LONGEST];
        let mut block = [line.as_mut_ptr() as usize, LONGEST];
        // SAFETY: the operation writes as many bytes to the first word's address as the second
        // says, and then their number to the second.
        let failed = unsafe { call(GET_CMDLINE, block.as_mut_ptr() as usize) };
        if failed != 0 {
            return None;
        }
        let len = line.iter().position(|&byte| byte == 0).unwrap_or(LONGEST);
        let line = core::str::from_utf8(&line[..len]).expect("the command line is text");
        let value = value(line, key)?;
        let room = buffer.get_mut(..value.len());
        let room = room.unwrap_or_else(|| panic!("option {key} has {} bytes", value.len()));
        room.copy_from_slice(value.as_bytes());
        core::str::from_utf8(room).ok()
    }

    /// Calls the host.
    ///
    /// # Safety
    ///
    /// `parameter` is what the operation takes.
    unsafe fn call(operation: usize, parameter: usize) -> usize {
        let result;
        // SAFETY: the instruction that the architecture's specification of semihosting names; the
        // host reads and writes what `parameter` points to, as the caller allows.
        #[cfg(target_arch = "arm")]
        unsafe {
            asm!("bkpt 0xAB", inout("r0") operation => result, in("r1") parameter);
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!("hlt #0xF000", inout("x0") operation => result, in("x1") parameter);
        }
        // SAFETY: as above. The three instructions must be uncompressed and in one page.
        #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
        unsafe {
            asm!(
                ".balign 16",
                ".option push",
                ".option norvc",
                "slli x0, x0, 0x1f",
                "ebreak",
                "srai x0, x0, 7",
                ".option pop",
                inout("a0") operation => result,
                in("a1") parameter,
            );
        }
        result
    }
}

#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
mod riscv {
    use crate::Exit;

    /// The register of the `sifive_test` device of `virt`.
    const REGISTER: usize = 0x10_0000;
    /// The word that ends the machine with a status, in its upper half.
    const FAIL: u32 = 0x3333;

    /// Ends the machine with the exit's status.
    pub fn sifive_test(exit: Exit) -> ! {
        loop {
            // SAFETY: the device is at this address in every `virt` machine.
            unsafe { (REGISTER as *mut u32).write_volatile(exit.status() << 16 | FAIL) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_command_line_is_found_by_its_whole_key() {
        let line = "kerntest filter=a,b from=2 list=";
        assert_eq!(value(line, "filter"), Some("a,b"));
        assert_eq!(value(line, "list"), Some(""));
        assert_eq!(["fil", "a", "kerntest"].map(|key| value(line, key)), [None; 3]);
    }

    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    #[test]
    fn a_file_is_an_option_by_its_whole_name() {
        assert!(pc::is_option(b"opt/kerntest/from", "kerntest", "from"));
        for name in ["opt/kerntest/fro", "opt/kerntes/from", "opt/kerntestfrom", "from"] {
            assert!(!pc::is_option(name.as_bytes(), "kerntest", "from"), "{name}");
        }
    }
}
