//! The image of this process: linked for address 0, loaded anywhere.
//!
//! ```text
//!   image ─►┌───────────────────────────┐
//!           │ ELF header, segments' list │ r--   with rodata
//!           ├───────────────────────────┤
//!           │ text                      │ r-x
//!           ├───────────────────────────┤
//!           │ addresses, once relocated │ rw-, then r--   ("relro")
//!           ├───────────────────────────┤
//!           │ data, bss                 │ rw-
//!           └───────────────────────────┘
//! ```
//!
//! Rule of this file: what runs before [`relocate`] has returned uses no constant that holds an
//! address.

use core::slice;

use linux_raw_sys::elf::{
    DT_NULL, DT_RELA, DT_RELASZ, Elf_Dyn, Elf_Ehdr, Elf_Phdr, Elf_Rela, PT_GNU_RELRO,
};

use crate::PAGE;
use crate::system::memory::{self, Protection};

/// The only kind of relocation in an image without a dynamic linker: a word becomes image + addend.
/// (The x86_64 ABI's number.)
const R_X86_64_RELATIVE: u32 = 8;

/// Adds the image's address to every word that holds an address.
///
/// # Safety
///
/// Called once, before anything else: `image` is where the image begins, `dynamic` is its dynamic
/// section.
#[inline(always)]
pub(crate) unsafe fn relocate(image: *const u8, dynamic: *const Elf_Dyn) {
    let (mut table, mut bytes) = (0, 0);
    let mut entry = dynamic;
    loop {
        // SAFETY: the section's last entry is DT_NULL, where the loop ends.
        let Elf_Dyn { d_tag, d_un } = unsafe { entry.read() };
        match d_tag {
            DT_NULL => break,
            // SAFETY: every bit pattern is a number.
            DT_RELA => table = unsafe { d_un.d_ptr },
            // SAFETY: every bit pattern is a number.
            DT_RELASZ => bytes = unsafe { d_un.d_ptr },
            _ => {}
        }
        // SAFETY: this was not the last entry.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: the linker put the table into the image.
    let relocations = unsafe { image.add(table) }.cast::<Elf_Rela>();
    // SAFETY: the table is that long, in the image's part that nobody writes to.
    for relocation in unsafe { slice::from_raw_parts(relocations, bytes / size_of::<Elf_Rela>()) } {
        if relocation.type_() != R_X86_64_RELATIVE {
            // Nothing can be printed yet.
            break_off();
        }
        // SAFETY: a word of the image's writable part.
        let word = unsafe { image.add(relocation.r_offset) }.cast_mut().cast::<usize>();
        // SAFETY: as above; nobody uses it before it is relocated.
        unsafe { word.write_unaligned(image.addr().wrapping_add(relocation.r_addend)) };
    }
}

/// Makes what only relocation writes to not writable.
///
/// # Safety
///
/// `image` is where the image begins, and it is relocated.
pub(crate) unsafe fn close_relocated(image: *const u8) {
    // SAFETY: the image begins with its header.
    let header = unsafe { &*image.cast::<Elf_Ehdr>() };
    // SAFETY: the list of segments is in the image's first segment.
    let segments = unsafe { image.add(header.e_phoff) }.cast::<Elf_Phdr>();
    // SAFETY: the list has that many entries, and nobody writes to it.
    for segment in unsafe { slice::from_raw_parts(segments, header.e_phnum.into()) } {
        if segment.p_type == PT_GNU_RELRO {
            // The linker begins it at a page, and lets nothing that is written to share its last
            // one.
            let (start, end) =
                (segment.p_vaddr, (segment.p_vaddr + segment.p_memsz).next_multiple_of(PAGE));
            // SAFETY: these pages are not written to any more.
            unsafe { memory::mprotect(image.addr() + start, end - start, Protection::READ) }
                .expect("pages of the image can be made read-only");
        }
    }
}

/// Ends the process by an invalid instruction.
#[inline(always)]
fn break_off() -> ! {
    // SAFETY: raises an exception that ends the process.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
