//! Without paging an address is a place in the machine's memory, and any of them works. With it an
//! address is what this process's tables say (C18). The kernel's tour shows the former, with the
//! code that it started with; this shows what is left of it in a process.

#![no_std]
#![no_main]

use core::hint;

use programs::{Span, probe};
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::system::process::Ending;
use runtime::{Arguments, PAGE, Verdict, claim, in_child, println, program};

program!(run);

/// Places that every PC has, below the first MiB.
const PLACES: [(usize, &str); 4] = [
    (0x0000_0400, "the BIOS's variables"),
    (0x0000_7C00, "where the BIOS loads the first sector of a disk"),
    (SCREEN, "the letters on the screen"),
    (0x000F_FFF0, "the first instruction after a reset"),
];

const SCREEN: usize = 0x000B_8000;

fn run(_: Arguments) -> Verdict {
    println!("in real mode each of these can be read and written by any program:");
    for (address, what) in PLACES {
        let ending = in_child(|| {
            hint::black_box(probe::read(address));
            Ok(())
        })?;
        println!("{address:#07x}: {what}: {ending}");
        claim!(ending == Ending::SEGMENTATION_FAULT, "here nothing is at {address:#x}");
    }

    println!("an address means what the tables say:");
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE;
    // SAFETY: nothing of ours is there.
    let address =
        unsafe { memory::mmap(SCREEN, PAGE, Protection::READ | Protection::WRITE, flags, -1, 0) }?;
    claim!(address == SCREEN, "a process can have memory of its own at {SCREEN:#x}");
    // SAFETY: a mapping of ours, to the end of the process.
    let own =
        unsafe { Span::new(core::ptr::NonNull::slice_from_raw_parts(start_of(address), PAGE)) };
    claim!(own.is_zero(), "it is not the screen: it is empty");
    own.fill(b'!');
    claim!(own.is_filled(b'!'), "and keeps what is written to it");
    let ending = in_child(|| {
        claim!(own.is_filled(b'!'), "a child has it too");
        own.fill(b'?');
        Ok(())
    })?;
    claim!(
        ending == Ending::WELL && own.is_filled(b'!'),
        "as its own: the same address, another place"
    );
    Ok(())
}

fn start_of(address: usize) -> core::ptr::NonNull<u8> {
    core::ptr::NonNull::new(core::ptr::with_exposed_provenance_mut(address)).expect("not null")
}
