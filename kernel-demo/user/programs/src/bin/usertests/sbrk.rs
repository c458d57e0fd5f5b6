//! The break (C11, C12, C13).

use programs::{Span, probe};
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::{PAGE, Untrue, Verdict, ensure, sbrk, unsbrk};

use crate::{Case, must_fault};

pub const CASES: [Case; 12] = [
    ("sbrk-by-bytes", by_bytes),
    ("sbrk-unaligned", unaligned),
    ("sbrk-shrink-unmaps", shrink_unmaps),
    ("sbrk-regrown-is-zero", regrown_is_zero),
    ("sbrk-far", far),
    ("sbrk-below-start", below_start),
    ("sbrk-into-kernel", into_kernel),
    ("sbrk-too-much", too_much),
    ("sbrk-into-mapping", into_mapping),
    ("sbrk-over-hole", over_hole),
    ("sbrk-over-protected", over_protected),
    ("sbrk-in-child", in_child),
];

fn brk() -> Result<usize, Untrue> {
    Ok(sbrk(0)?.addr().get())
}

/// Moves the break to an address.
fn brk_to(address: usize) -> usize {
    // SAFETY: what these cases give back they touch only to see a process end.
    unsafe { memory::brk(address) }
}

/// `sbrk(1)`, many times: each byte is the next one, and can be written.
fn by_bytes() -> Verdict {
    let start = brk()?;
    for offset in 0..5000 {
        let byte = Span::from_break(1)?;
        ensure!(byte.address() == start + offset, "byte {offset} is the next one");
        byte.set(0, 1);
    }
    ensure!(brk()? == start + 5000, "the break stands behind them");
    Ok(())
}

/// A break inside a page: all of that page is there.
fn unaligned() -> Verdict {
    let start = brk()?.next_multiple_of(PAGE);
    ensure!(
        brk_to(start + PAGE + 1) == start + PAGE + 1,
        "the break stands at the byte that was asked for"
    );
    ensure!(probe::read(start + 2 * PAGE - 1) == 0, "the last byte of its page is there");
    must_fault("the next page is not", || probe::read(start + 2 * PAGE))?;
    ensure!(brk_to(start + 1) == start + 1, "it moves down by bytes as well");
    must_fault("the page above is gone", || probe::read(start + PAGE))
}

fn shrink_unmaps() -> Verdict {
    let span = Span::from_break(10 * PAGE)?;
    span.touch(0..10, 1);
    // SAFETY: touched only to see a process end.
    unsafe { unsbrk(10 * PAGE) }?;
    ensure!(brk()? == span.address(), "the break is where it was");
    for page in [0, 9] {
        must_fault("a page that was given back", || span.get(page * PAGE + PAGE - 1))?;
    }
    Ok(())
}

fn regrown_is_zero() -> Verdict {
    let len = 4 * PAGE + 100;
    let span = Span::from_break(len)?;
    for _ in 0..3 {
        span.fill(0xAA);
        // SAFETY: used again only when it is there again.
        unsafe { unsbrk(len) }?;
        let again = Span::from_break(len)?;
        ensure!(again.address() == span.address(), "the same addresses");
        ensure!(again.is_zero(), "nothing is left of what was written");
    }
    Ok(())
}

/// Far more than is touched, in one step.
fn far() -> Verdict {
    let span = Span::from_break(32 << 20)?;
    for offset in [0, 20 << 20, span.len() - 1] {
        ensure!(span.get(offset) == 0, "a byte far up is there, and zero");
        span.set(offset, 9);
        ensure!(span.get(offset) == 9, "and keeps what is written");
    }
    Ok(())
}

/// The break does not go below where it began, and an answer is where it stands.
fn below_start() -> Verdict {
    let start = brk()?;
    for address in [0, 1, PAGE, start - 1, start - PAGE, start - (1 << 30)] {
        ensure!(brk_to(address) == start, "brk({address:#x}) is refused");
    }
    let span = Span::from_break(PAGE)?;
    ensure!(brk_to(start - PAGE) == start + PAGE, "also when it has moved");
    span.fill(1);
    ensure!(span.is_filled(1), "and nothing has changed");
    Ok(())
}

fn into_kernel() -> Verdict {
    let start = brk()?;
    for address in [
        0x0000_7FFF_FFFF_F000,
        0x0000_8000_0000_0000,
        0xFFFF_8000_0000_0000,
        usize::MAX - PAGE,
        usize::MAX,
    ] {
        ensure!(brk_to(address) == start, "brk({address:#x}) is refused");
    }
    Ok(())
}

/// What is refused is refused whole, and smaller requests are served afterwards.
fn too_much() -> Verdict {
    let start = brk()?;
    let span = Span::from_break(8 * PAGE)?;
    span.fill(5);
    ensure!(sbrk(1 << 46).is_err(), "half of all addresses are refused");
    ensure!(brk()? == start + 8 * PAGE, "the break has not moved");
    ensure!(span.is_filled(5), "what was there is there");
    Span::from_break(PAGE)?.fill(6);
    Ok(())
}

/// The break does not run into a mapping, and keeps a page away.
fn into_mapping() -> Verdict {
    let end = brk()?.next_multiple_of(PAGE);
    let at = end + 16 * PAGE;
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE;
    // SAFETY: nothing is there.
    let mapped = unsafe { memory::mmap(at, PAGE, Protection::READ, flags, -1, 0) }?;
    ensure!(mapped == at, "there is room above the break");
    let before = brk()?;
    for address in [at + PAGE, at + 1, at, at - PAGE + 1] {
        ensure!(
            brk_to(address) == before,
            "brk({address:#x}) is refused, with a mapping at {at:#x}"
        );
    }
    ensure!(brk_to(at - PAGE) == at - PAGE, "up to a page below it the break may go");
    // SAFETY: nobody uses it.
    unsafe { memory::munmap(at, PAGE) }?;
    ensure!(brk_to(at + PAGE) == at + PAGE, "and further once it is gone");
    Ok(())
}

/// A part of the heap that was unmapped: the break passes over it.
fn over_hole() -> Verdict {
    let start = brk()?.next_multiple_of(PAGE);
    ensure!(brk_to(start + 6 * PAGE) == start + 6 * PAGE, "there is room");
    // SAFETY: touched only to see a process end.
    unsafe { memory::munmap(start + 2 * PAGE, 2 * PAGE) }?;
    must_fault("a page of the hole", || probe::read(start + 2 * PAGE))?;
    ensure!(probe::read(start + 4 * PAGE) == 0, "above the hole all is as it was");
    ensure!(brk_to(start) == start, "the break moves down over it");
    ensure!(brk_to(start + 6 * PAGE) == start + 6 * PAGE, "and up again");
    ensure!(probe::read(start + 2 * PAGE) == 0, "and then there is no hole");
    Ok(())
}

/// Protection of a part of the heap ends with that part.
fn over_protected() -> Verdict {
    let start = brk()?.next_multiple_of(PAGE);
    ensure!(brk_to(start + 4 * PAGE) == start + 4 * PAGE, "there is room");
    // SAFETY: touched only to see a process end.
    unsafe { memory::mprotect(start + PAGE, PAGE, Protection::empty()) }?;
    must_fault("a page that may not be read", || probe::read(start + PAGE))?;
    ensure!(brk_to(start) == start, "the break moves down over it");
    ensure!(brk_to(start + 4 * PAGE) == start + 4 * PAGE, "and up again");
    // SAFETY: memory of the break, which nothing uses.
    unsafe { probe::write(start + PAGE, 1) };
    ensure!(probe::read(start + PAGE) == 1, "what comes back is ordinary");
    Ok(())
}

/// A child's break is its own.
fn in_child() -> Verdict {
    let span = Span::from_break(PAGE)?;
    span.fill(1);
    let before = brk()?;
    let ending = runtime::in_child(|| {
        ensure!(brk()? == before, "a child begins with its parent's break");
        // SAFETY: the child's, which nobody uses.
        unsafe { unsbrk(PAGE) }?;
        Span::from_break(16 * PAGE)?.fill(2);
        Ok(())
    })?;
    ensure!(ending == runtime::system::process::Ending::WELL, "it moves it");
    ensure!(brk()? == before && span.is_filled(1), "and its parent's stays");
    Ok(())
}
