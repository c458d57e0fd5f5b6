//! `mmap`, `munmap`, `mprotect`: errors, and splitting.

use programs::{Span, probe};
use runtime::system::Errno;
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::system::process::Ending;
use runtime::{PAGE, Verdict, ensure, in_child};

use crate::{Case, must_fault};

pub const CASES: [Case; 8] = [
    ("map-errors", map_errors),
    ("map-is-zero", is_zero),
    ("map-hint", hint_is_taken),
    ("map-fixed", fixed),
    ("map-shared", shared),
    ("unmap-errors", unmap_errors),
    ("unmap-splits", splits),
    ("protect-errors", protect_errors),
];

const ANONYMOUS: MapFlags = MapFlags::PRIVATE.union(MapFlags::ANONYMOUS);
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

fn map(hint: usize, len: usize, flags: MapFlags, file: i32, offset: usize) -> Result<usize, Errno> {
    // SAFETY: where an address is fixed, nothing is there that is used.
    unsafe { memory::mmap(hint, len, READ_WRITE, flags, file, offset) }
}

fn unmap(start: usize, len: usize) -> Result<(), Errno> {
    // SAFETY: what these cases unmap they touch only to see a process end.
    unsafe { memory::munmap(start, len) }
}

fn map_errors() -> Verdict {
    ensure!(map(0, 0, ANONYMOUS, -1, 0) == Err(Errno::EINVAL), "of no bytes");
    ensure!(
        map(0, PAGE, MapFlags::ANONYMOUS, -1, 0) == Err(Errno::EINVAL),
        "neither private nor shared"
    );
    ensure!(map(0, PAGE, MapFlags::PRIVATE, -1, 0) == Err(Errno::EBADF), "of no file");
    ensure!(map(0, PAGE, ANONYMOUS, -1, 1) == Err(Errno::EINVAL), "from inside a page");
    ensure!(
        map(1, PAGE, ANONYMOUS | MapFlags::FIXED, -1, 0) == Err(Errno::EINVAL),
        "to inside a page"
    );
    for len in [usize::MAX, 1 << 63, 1 << 47] {
        ensure!(map(0, len, ANONYMOUS, -1, 0) == Err(Errno::ENOMEM), "of {len:#x} bytes");
    }
    let kernel = 0xFFFF_8000_0000_0000;
    ensure!(
        map(kernel, PAGE, ANONYMOUS | MapFlags::FIXED, -1, 0) == Err(Errno::ENOMEM),
        "in the kernel's half"
    );
    Ok(())
}

fn is_zero() -> Verdict {
    let first = Span::map(3 * PAGE + 1, MapFlags::PRIVATE)?;
    ensure!(first.is_zero(), "a mapping is zero");
    ensure!(probe::read(first.address() + 4 * PAGE - 1) == 0, "to the end of its last page");
    first.fill(1);
    let second = Span::map(3 * PAGE, MapFlags::PRIVATE)?;
    ensure!(second.is_zero() && first.is_filled(1), "and apart from others");
    ensure!(first.address() % PAGE == 0 && second.address() % PAGE == 0, "and begins with a page");
    Ok(())
}

fn hint_is_taken() -> Verdict {
    let free = Span::map(4 * PAGE, MapFlags::PRIVATE)?.address();
    unmap(free, 4 * PAGE)?;
    ensure!(
        map(free + 1, PAGE, ANONYMOUS, -1, 0)? == free
            || map(free, PAGE, ANONYMOUS, -1, 0)? == free,
        "a hint is taken if it can be"
    );
    let elsewhere = map(free, PAGE, ANONYMOUS, -1, 0)?;
    ensure!(elsewhere != free, "and is only a hint");
    Ok(())
}

fn fixed() -> Verdict {
    let span = Span::map(3 * PAGE, MapFlags::PRIVATE)?;
    span.touch(0..3, 1);
    let middle = span.address() + PAGE;
    ensure!(
        map(middle, PAGE, ANONYMOUS | MapFlags::FIXED_NOREPLACE, -1, 0) == Err(Errno::EEXIST),
        "nothing is replaced"
    );
    ensure!(span.holds(0..3, 1), "nothing was");
    ensure!(
        map(middle, PAGE, ANONYMOUS | MapFlags::FIXED, -1, 0) == Ok(middle),
        "unless that is asked for"
    );
    ensure!(
        span.holds([0, 2], 1) && span.holds([1], 0),
        "the new one is zero, its neighbours are as they were"
    );
    Ok(())
}

/// Parent and child see the same.
fn shared() -> Verdict {
    let span = Span::map(2 * PAGE, MapFlags::SHARED)?;
    let own = Span::map(PAGE, MapFlags::PRIVATE)?;
    span.set(0, 1);
    own.set(0, 1);
    let ending = in_child(|| {
        ensure!(span.get(0) == 1 && own.get(0) == 1, "the child sees both");
        span.set(0, 2);
        // A page that the parent never touched.
        span.set(PAGE, 3);
        own.set(0, 2);
        Ok(())
    })?;
    ensure!(ending == Ending::WELL, "the child writes to both");
    ensure!(span.get(0) == 2 && span.get(PAGE) == 3, "what is shared has changed");
    ensure!(own.get(0) == 1, "what is private has not");
    Ok(())
}

fn unmap_errors() -> Verdict {
    let span = Span::map(PAGE, MapFlags::PRIVATE)?;
    span.fill(1);
    ensure!(unmap(span.address() + 1, PAGE) == Err(Errno::EINVAL), "from inside a page");
    ensure!(unmap(span.address(), 0) == Err(Errno::EINVAL), "of no bytes");
    ensure!(unmap(0xFFFF_8000_0000_0000, PAGE) == Err(Errno::EINVAL), "in the kernel's half");
    ensure!(unmap(span.address(), usize::MAX) == Err(Errno::EINVAL), "of too much");
    ensure!(span.is_filled(1), "nothing was unmapped");
    ensure!(unmap(span.address(), 1) == Ok(()), "a byte is a page");
    ensure!(unmap(span.address(), PAGE) == Ok(()), "what is not mapped can be unmapped");
    must_fault("it is gone", || probe::read(span.address()))
}

fn splits() -> Verdict {
    let span = Span::map(5 * PAGE, MapFlags::PRIVATE)?;
    span.touch(0..5, 1);
    unmap(span.address() + 2 * PAGE, PAGE)?;
    must_fault("the middle", || span.get(2 * PAGE))?;
    ensure!(span.holds([0, 1, 3, 4], 1), "both sides are as they were");
    // SAFETY: nothing is taken away.
    let across = unsafe { memory::mprotect(span.address(), 5 * PAGE, Protection::READ) };
    ensure!(across == Err(Errno::ENOMEM), "a range with a hole cannot be protected");
    unmap(span.address(), 5 * PAGE)?;
    for page in [0, 1, 3, 4] {
        must_fault("what is left of it goes in one call", || span.get(page * PAGE))?;
    }
    Ok(())
}

fn protect_errors() -> Verdict {
    let span = Span::map(PAGE, MapFlags::PRIVATE)?;
    // SAFETY: nothing is taken away: these are refused, or change nothing.
    let protect = |start, len| unsafe { memory::mprotect(start, len, READ_WRITE) };
    ensure!(protect(span.address() + 1, PAGE) == Err(Errno::EINVAL), "from inside a page");
    ensure!(protect(span.address(), 0) == Ok(()), "of no bytes");
    ensure!(protect(0, PAGE) == Err(Errno::ENOMEM), "of what is not mapped");
    Ok(())
}
