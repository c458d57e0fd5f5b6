//! What is not mapped, or not for this, ends the process that touches it, and that one only (C19).
//!
//! `segv CASE` does it; `segv` does each in a child of its own, and looks how it ended.

#![no_std]
#![no_main]

use core::hint;

use programs::{Span, probe};
use runtime::system::memory::MapFlags;
use runtime::system::process::Ending;
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, in_child, println, program};

program!(run);

/// A case: its name, what it does, and how it breaks the rules.
type Case = (&'static str, &'static str, fn() -> Verdict);

static CASES: [Case; 14] = [
    ("unmapped", "read where nothing was ever mapped", unmapped),
    ("null", "write to address 0", || write(0)),
    ("kernel", "read the kernel's half", || read(KERNEL)),
    ("kernel-write", "write to the kernel's half", || write(KERNEL)),
    ("not-canonical", "read an address that the processor does not have", || {
        read(0x0000_8000_0000_0000)
    }),
    ("text", "write to text", || write(run as *const () as usize)),
    ("constant", "write to a constant", || write((&raw const CONSTANT).addr())),
    ("relocated", "write to a constant that holds addresses, once they are right", || {
        write((&raw const CASES).addr())
    }),
    ("execute-data", "execute data", execute_data),
    ("execute-stack", "execute the stack", execute_stack),
    ("after-shrink", "read what the break has given back", after_shrink),
    ("after-unmap", "read what was unmapped", after_unmap),
    ("guard", "write below the most that the stack may have", || {
        write(stack_pointer() - BELOW_STACK)
    }),
    ("recursion", "let the stack grow for ever", || {
        Err(if recurse(0) == 0 { Untrue::ARGUMENTS } else { Untrue::CLAIM })
    }),
];

/// Text, for all that the linker knows.
static CONSTANT: [u8; 16] = *b"do not write me!";

/// The first address of the kernel's half.
const KERNEL: usize = 0xFFFF_8000_0000_0000;

/// More than a stack may have, and less than what is kept free below it.
const BELOW_STACK: usize = 16 << 20;

fn run(arguments: Arguments) -> Verdict {
    let Some(chosen) = arguments.first() else { return all() };
    let Some((name, meaning, case)) = CASES.iter().find(|(name, ..)| *name == chosen) else {
        println!("cases:");
        CASES.iter().for_each(|(name, meaning, _)| println!("  {name}: {meaning}"));
        return Err(Untrue::ARGUMENTS);
    };
    println!("{name}: about to {meaning}");
    case()?;
    println!("{name}: UNTRUE: nothing happened");
    Err(Untrue::CLAIM)
}

fn all() -> Verdict {
    let mine = Span::map(PAGE, MapFlags::PRIVATE)?;
    mine.fill(42);
    for (name, meaning, case) in &CASES {
        let ending = in_child(case)?;
        println!("{name}: {ending}");
        claim!(ending == Ending::SEGMENTATION_FAULT, "to {meaning} ends a process");
    }
    claim!(mine.is_filled(42), "and does nothing to its parent");
    Ok(())
}

fn read(address: usize) -> Verdict {
    hint::black_box(probe::read(address));
    Ok(())
}

fn write(address: usize) -> Verdict {
    // SAFETY: if this is possible, the process says so and ends.
    unsafe { probe::write(address, 1) };
    Ok(())
}

fn unmapped() -> Verdict {
    // Between the break and the mappings there is a wide gap.
    read(runtime::sbrk(0)?.addr().get() + (1 << 30))
}

fn execute_data() -> Verdict {
    let data = Span::from_break(PAGE)?;
    data.set(0, probe::RETURN);
    // SAFETY: the instruction returns at once.
    unsafe { probe::execute(data.address()) };
    Ok(())
}

fn execute_stack() -> Verdict {
    let code = hint::black_box([probe::RETURN; 16]);
    // SAFETY: the instruction returns at once.
    unsafe { probe::execute(code.as_ptr().addr()) };
    Ok(())
}

fn after_shrink() -> Verdict {
    let given_back = Span::from_break(4 * PAGE)?;
    given_back.fill(1);
    // SAFETY: it is touched only to see the process end.
    unsafe { runtime::unsbrk(4 * PAGE) }?;
    read(given_back.end() - 1)
}

fn after_unmap() -> Verdict {
    let mapped = Span::map(PAGE, MapFlags::PRIVATE)?;
    let address = mapped.address();
    mapped.fill(1);
    // SAFETY: a mapping, and touched only to see the process end.
    unsafe { mapped.unmap() }?;
    read(address)
}

fn stack_pointer() -> usize {
    let local = 0_u8;
    (&raw const local).addr()
}

/// Takes at least a page of stack a call. Returns only if the stack is as large as a number.
fn recurse(depth: usize) -> usize {
    let room = hint::black_box([depth as u8; PAGE]);
    let deeper = if depth == usize::MAX { 0 } else { recurse(depth + 1) };
    deeper + usize::from(hint::black_box(room)[depth % PAGE]) + 1
}
