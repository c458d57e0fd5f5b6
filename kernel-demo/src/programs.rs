//! The ring-3 programs that are part of the kernel's image.
//!
//! ```text
//!   user/programs ──(built by the harness)──► a folder of ELF images ──(build.rs)──► a table in the kernel's rodata ──► find
//! ```
//!
//! A kernel that was built without that folder, as for the host's tests, carries none.

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// Begins at a page. Without programs there is none.
#[allow(dead_code, reason = "there may be no programs")]
#[repr(C, align(4096))]
struct Aligned<const LEN: usize>([u8; LEN]);

/// The image of the program of this name. It begins at a page.
pub fn find(name: &str) -> Option<&'static [u8]> {
    find_named(name).map(|(_, image)| image)
}

/// The same, with the name as it stands in the table.
pub fn find_named(name: &str) -> Option<(&'static str, &'static [u8])> {
    PROGRAMS.iter().copied().find(|(known, _)| *known == name)
}

/// The names of all programs, in order.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    PROGRAMS.iter().map(|&(name, _)| name)
}
