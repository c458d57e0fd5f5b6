//! Where everything is, from low to high (C20). Another run shows other numbers (C21).

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU8, Ordering};

use programs::{Span, machine};
use runtime::system::memory::MapFlags;
use runtime::{Arguments, PAGE, Verdict, claim, println, program};

program!(run);

static CONSTANT: [u8; 32] = [1; 32];
static DATA: AtomicU8 = AtomicU8::new(1);
static BSS: [AtomicU8; 2 * PAGE] = [const { AtomicU8::new(0) }; 2 * PAGE];

/// The end of a process's half of the addresses.
const END: usize = 0x0000_8000_0000_0000;

fn run(_: Arguments) -> Verdict {
    let boxed = Box::new(1_u8);
    let mapping = Span::map(PAGE, MapFlags::PRIVATE)?;
    let local = 1_u8;
    DATA.fetch_add(BSS[PAGE].load(Ordering::Relaxed), Ordering::Relaxed);

    let (constants, text) = ((&raw const CONSTANT).addr(), run as *const () as usize);
    let (data, bss) = ((&raw const DATA).addr(), (&raw const BSS).addr());
    let (heap, stack) = ((&raw const *boxed).addr(), (&raw const local).addr());
    let places = [
        ("constants", constants),
        ("text", text),
        ("data", data),
        ("bss", bss),
        ("heap", heap),
        ("mapping", mapping.address()),
        ("stack", stack),
    ];
    for (name, address) in places {
        println!("{name}: {address:#x}");
    }
    claim!(
        constants < text && text < data && data < bss,
        "constants, text, data and bss lie in this order"
    );
    claim!(
        mapping.address() < stack && stack < END,
        "mappings lie below the stack, the stack below the kernel"
    );
    claim!(stack - heap > 1 << 30, "between heap and stack there is a wide gap");
    // Linux loads a program that brings its own start-up code among the mappings, and puts the
    // break where the program would have been.
    if !machine::is_linux() {
        claim!(
            bss < heap && heap < mapping.address(),
            "the heap lies above bss, and below the mappings"
        );
    }
    claim!(BSS.iter().all(|byte| byte.load(Ordering::Relaxed) == 0), "bss is zero");
    Ok(())
}
