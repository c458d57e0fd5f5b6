//! What only the host can show: a program with a dynamic linker. The kernel waits for it.
//!
//! ```text
//!   kernel                                         host (tools/harness/src/preloaded.rs)
//!   [C28] …
//!     (the host takes over)               ───►     runs a program with libbrkmalloc.so
//!     evidence, line by line              ◄───     | text
//!     a check                             ◄───     = what | expected | found
//!     goes on                             ◄───     .
//! ```

use core::hint;
use core::str;

use crate::arch::{qemu, serial};
use crate::evidence::{Evidence, Shown};
use crate::programs;
use crate::system::image::{Image, ImageError};

/// Maximum length of a line, in bytes.
const LONGEST: usize = 400;

pub fn preloaded(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "A library is preloaded by the dynamic linker, which no program of this kernel has."
    ));
    let images = programs::names().filter_map(programs::find);
    let needs_linker =
        |image: &&[u8]| matches!(Image::parse(image), Err(ImageError::NeedsInterpreter));
    let linked = images.filter(needs_linker).count();
    evidence.expect("programs here that name a dynamic linker", 0, linked);
    if qemu::option("host", &mut [0; 4]).is_none() {
        evidence.say(format_args!(
            "No Linux host with glibc runs this kernel's harness: `malloc/README.md` says the rest."
        ));
        return Ok(());
    }
    evidence.say(format_args!("So the host runs a program of its own, and the kernel waits."));
    evidence.show(format_args!("(the host takes over)"));
    let mut buffer = [0; LONGEST];
    loop {
        let line = read_line(&mut buffer);
        let text = line.get(1..).unwrap_or("").trim();
        match line.chars().next() {
            Some('.') => return Ok(()),
            Some('|') => evidence.show(format_args!("| {text}")),
            Some('=') => {
                let mut parts = text.split('|').map(str::trim);
                let mut part = || parts.next().unwrap_or("");
                let (what, expected, found) = (part(), part(), part());
                evidence.expect(what, expected, found);
            }
            _ => evidence.expect_that("the host says what the kernel understands", false),
        }
    }
}

/// The next line that comes from the serial port, without what does not fit.
fn read_line(buffer: &mut [u8; LONGEST]) -> &str {
    let mut len = 0;
    loop {
        match serial::read_byte() {
            None => hint::spin_loop(),
            Some(b'\n') => break,
            Some(byte) if len < LONGEST => {
                buffer[len] = byte;
                len += 1;
            }
            Some(_) => {}
        }
    }
    str::from_utf8(&buffer[..len]).unwrap_or("?")
}
