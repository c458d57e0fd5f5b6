//! What QEMU offers to a kernel under test: a port that ends the machine with a status, and strings
//! from its command line.

use core::str;

use x86_64::instructions::hlt;
use x86_64::instructions::port::Port;

/// How the kernel ends. QEMU's exit status is `2 × code + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Exit {
    /// All is well: status 33.
    Passed = 0x10,
    /// The run is complete, but cases or expectations failed: status 35.
    Failed = 0x11,
    /// The kernel panicked: status 37.
    Panic = 0x12,
    /// A fault came that nobody could serve: status 39.
    Fault = 0x13,
}

/// Ends the machine. On a machine without QEMU's exit device the processor is stopped for good.
pub fn exit(code: Exit) -> ! {
    let mut port = Port::new(0xF4);
    // SAFETY: nothing but `isa-debug-exit` listens on this port.
    unsafe { port.write(code as u32) };
    loop {
        hlt();
    }
}

/// Reads the option `opt/brkalloc/KEY` of QEMU's command line
/// (`-fw_cfg name=opt/brkalloc/KEY,string=VALUE`) into the buffer. `None` when it was not given.
///
/// # Panics
///
/// When the value does not fit the buffer, or is not text.
pub fn option<'b>(key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let (file, len) = find(key)?;
    assert!(len <= buffer.len(), "option {key} has {len} bytes, {} at most", buffer.len());
    let value = &mut buffer[..len];
    select(file);
    value.fill_with(next_byte);
    Some(str::from_utf8(value).unwrap_or_else(|_| panic!("option {key} is not text")))
}

/// Selector and length of the option's file in the directory of the `fw_cfg` device.
fn find(key: &str) -> Option<(u16, usize)> {
    const SIGNATURE: u16 = 0;
    const DIRECTORY: u16 = 0x19;
    select(SIGNATURE);
    if read::<4>() != *b"QEMU" {
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
        if name.strip_prefix(b"opt/brkalloc/") == Some(key.as_bytes()) {
            found = Some((selector, size as usize));
        }
    }
    found
}

/// Chooses the item that the next bytes come from.
fn select(item: u16) {
    let mut selector = Port::new(0x510);
    // SAFETY: the port belongs to `fw_cfg`; without such a device nobody listens.
    unsafe { selector.write(item) };
}

fn next_byte() -> u8 {
    let mut data = Port::new(0x511);
    // SAFETY: the port belongs to `fw_cfg`; without such a device it reads as all ones.
    unsafe { data.read() }
}

fn read<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.fill_with(next_byte);
    bytes
}
