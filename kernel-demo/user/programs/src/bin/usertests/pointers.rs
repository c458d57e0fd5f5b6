//! System calls that are given addresses: bad ones are `EFAULT`, and good ones that no page is
//! behind yet are good.

use programs::Span;
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::system::process::{self, Ending};
use runtime::system::{Errno, io};
use runtime::{PAGE, Verdict, ensure, in_child, unsbrk};

use crate::Case;

pub const CASES: [Case; 11] = [
    ("pointer-kernel", kernel),
    ("pointer-unmapped", unmapped),
    ("pointer-half-good", half_good),
    ("pointer-read-only", read_only),
    ("pointer-not-readable", not_readable),
    ("pointer-wait", wait),
    ("pointer-lazy-in", lazy_in),
    ("pointer-lazy-out", lazy_out),
    ("pointer-zero-page", zero_page),
    ("pointer-copy-on-write", copy_on_write),
    ("pointer-given-back", given_back),
];

/// Bytes of the answer of `getrusage`.
const USAGE: usize = 144;

/// Which process `getrusage` is asked about.
const SELF: i32 = 0;

/// Addresses that are no process's.
const KERNEL: [usize; 6] = [
    0x0000_7FFF_FFFF_F000,
    0x0000_8000_0000_0000,
    0x8000_0000_0000_0000,
    0xFFFF_8000_0000_0000,
    0xFFFF_FFFF_8000_0000,
    usize::MAX - 3,
];

/// Has the kernel write `USAGE` bytes there.
fn write_usage(address: usize) -> Result<(), Errno> {
    // SAFETY: each case gives an address that nothing else is at, or that cannot be written.
    unsafe { process::getrusage_to(SELF, address) }
}

fn kernel() -> Verdict {
    for address in KERNEL {
        ensure!(
            io::write_from(io::OUTPUT, address, 1) == Err(Errno::EFAULT),
            "write from {address:#x}"
        );
        ensure!(
            io::write_from(io::OUTPUT, address, 2 * PAGE) == Err(Errno::EFAULT),
            "write more from {address:#x}"
        );
        // SAFETY: it cannot be written.
        let read = unsafe { io::read_to(io::INPUT, address, 1) };
        ensure!(read == Err(Errno::EFAULT), "read to {address:#x}: {read:?}");
        ensure!(write_usage(address) == Err(Errno::EFAULT), "getrusage to {address:#x}");
    }
    Ok(())
}

fn unmapped() -> Verdict {
    let hole = Span::map(PAGE, MapFlags::PRIVATE)?;
    let address = hole.address();
    // SAFETY: a mapping.
    unsafe { hole.unmap() }?;
    for address in [0, 1, 8, PAGE - 1, address, address + PAGE / 2] {
        ensure!(
            io::write_from(io::OUTPUT, address, 1) == Err(Errno::EFAULT),
            "write from {address:#x}"
        );
        ensure!(write_usage(address) == Err(Errno::EFAULT), "getrusage to {address:#x}");
    }
    Ok(())
}

/// A range that begins well and ends badly.
fn half_good() -> Verdict {
    let span = Span::map(2 * PAGE, MapFlags::PRIVATE)?;
    let edge = span.address() + PAGE;
    // SAFETY: not touched any more.
    unsafe { memory::munmap(edge, PAGE) }?;
    ensure!(write_usage(edge - USAGE) == Ok(()), "an answer that just fits");
    for short in [1, 8, USAGE - 1] {
        ensure!(
            write_usage(edge - USAGE + short) == Err(Errno::EFAULT),
            "one that does not, by {short} bytes"
        );
    }
    Ok(())
}

/// The kernel does not write where the process may not.
fn read_only() -> Verdict {
    static CONSTANT: [u64; 64] = [7; 64];
    let closed = Span::map(PAGE, MapFlags::PRIVATE)?;
    closed.fill(3);
    // SAFETY: it is only read from now on.
    unsafe { memory::mprotect(closed.address(), PAGE, Protection::READ) }?;
    for address in [read_only as *const () as usize, (&raw const CONSTANT).addr(), closed.address()]
    {
        ensure!(write_usage(address) == Err(Errno::EFAULT), "getrusage to {address:#x}");
    }
    ensure!(CONSTANT == [7; 64] && closed.is_filled(3), "nothing has changed");
    Ok(())
}

/// Nor does it read there.
fn not_readable() -> Verdict {
    let closed = Span::map(PAGE, MapFlags::PRIVATE)?;
    closed.fill(3);
    // SAFETY: it is not touched any more.
    unsafe { memory::mprotect(closed.address(), PAGE, Protection::empty()) }?;
    ensure!(
        io::write_from(io::OUTPUT, closed.address(), 1) == Err(Errno::EFAULT),
        "write from a page that is closed"
    );
    Ok(())
}

/// The status of a child goes nowhere, or to a bad address.
fn wait() -> Verdict {
    for (address, answer) in [(0, Ok(())), (KERNEL[3], Err(Errno::EFAULT)), (1, Err(Errno::EFAULT))]
    {
        let process::Fork::Parent { child } = process::fork()? else { process::exit(0) };
        // SAFETY: nothing can be written there.
        let waited = unsafe { process::wait4_to(child.cast_signed(), address, 0) };
        ensure!(waited.map(drop) == answer, "wait4 with status at {address:#x}: {waited:?}");
    }
    Ok(())
}

/// The kernel reads from a page that nobody has touched yet: it is zero, and it is there.
fn lazy_in() -> Verdict {
    let of_break = Span::from_break(2 * PAGE)?;
    let mapped = Span::map(PAGE, MapFlags::PRIVATE)?;
    for address in [of_break.end() - 1, mapped.address()] {
        ensure!(io::write_from(io::OUTPUT, address, 1) == Ok(1), "write from {address:#x}");
    }
    Ok(())
}

/// The kernel writes to pages that nobody has touched yet, across their border.
fn lazy_out() -> Verdict {
    let of_break = Span::from_break(4 * PAGE)?;
    let border = of_break.address().next_multiple_of(PAGE) + PAGE;
    ensure!(
        write_usage(border - USAGE / 2) == Ok(()),
        "across the border of two pages of the break"
    );
    let mapped = Span::map(2 * PAGE, MapFlags::PRIVATE)?;
    ensure!(write_usage(mapped.address() + PAGE - USAGE / 2) == Ok(()), "and of a mapping");
    ensure!(!mapped.is_zero(), "something was written");
    Ok(())
}

/// A page that was only read shows zeros that all such pages share: the kernel must not write into
/// those.
fn zero_page() -> Verdict {
    let written = Span::map(PAGE, MapFlags::PRIVATE)?;
    let other = Span::map(PAGE, MapFlags::PRIVATE)?;
    ensure!(written.is_zero() && other.is_zero(), "both are zero");
    ensure!(write_usage(written.address()) == Ok(()), "the kernel writes to one");
    ensure!(!written.is_zero(), "something was written");
    ensure!(other.is_zero(), "the other is as it was");
    ensure!(Span::map(PAGE, MapFlags::PRIVATE)?.is_zero(), "and so is a new one");
    Ok(())
}

/// The kernel writes to a page that two processes have: each has its own then.
fn copy_on_write() -> Verdict {
    let span = Span::map(PAGE, MapFlags::PRIVATE)?;
    span.fill(1);
    let ending = in_child(|| {
        ensure!(write_usage(span.address()) == Ok(()), "the kernel writes to the child's");
        ensure!(!span.is_filled(1), "something was written");
        Ok(())
    })?;
    ensure!(ending == Ending::WELL && span.is_filled(1), "the parent's is as it was");
    Ok(())
}

fn given_back() -> Verdict {
    let span = Span::from_break(2 * PAGE)?;
    span.fill(1);
    // SAFETY: not touched any more.
    unsafe { unsbrk(2 * PAGE) }?;
    let address = span.end() - USAGE;
    ensure!(
        write_usage(address) == Err(Errno::EFAULT),
        "getrusage to what the break has given back"
    );
    ensure!(io::write_from(io::OUTPUT, address, 1) == Err(Errno::EFAULT), "write from there");
    Ok(())
}
