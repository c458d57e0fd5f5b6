//! One thread takes memory away that another one uses: the other one loses it at once, on whatever
//! CPU it runs.
//!
//! ```text
//!   first thread                                second thread, on another CPU
//!   …                                           accesses a page again and again
//!   munmap, mprotect, brk, or fork ── the kernel makes the CPU forget ──► the next access faults
//! ```
//!
//! A CPU remembers translations. One that is not made to forget goes on to use what it remembers,
//! up to its next way into the kernel. `shootdown TRIES CASE` tries one case.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use programs::Span;
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::system::process::{self, Ending, Fork};
use runtime::thread::spawn;
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, ensure, in_child, println, program};

program!(run, threads);

/// Times that a case is tried: the two threads need not run at the same time.
const TRIES: usize = 3;

/// Accesses that have succeeded before the memory is taken away.
const BEFORE: u64 = 1000;

/// Looks at a page that a child has to itself.
const LOOKS: usize = 100_000;

/// A way to take a page away.
struct Case {
    name: &'static str,
    page: fn() -> Result<Span, Untrue>,
    access: fn(&Span),
    take_away: fn(&Span) -> Verdict,
}

const CASES: [Case; 3] = [
    Case { name: "munmap", page: mapped, access: read, take_away: unmap },
    Case { name: "mprotect", page: mapped, access: write, take_away: protect },
    Case { name: "brk", page: from_break, access: read, take_away: lower_break },
];

/// The case in which a page is not taken away, but shared with a child.
const FORK: &str = "fork";

fn run(arguments: Arguments) -> Verdict {
    let tries = arguments.number(0, TRIES);
    let chosen = arguments.iter().nth(1);
    let is_chosen = |name: &str| chosen.is_none_or(|chosen| chosen == name);
    ensure!(tries > 0, "a case is tried");
    for case in CASES.iter().filter(|case| is_chosen(case.name)) {
        let mut latest = 0;
        for _ in 0..tries {
            latest = latest.max(late_accesses(case)?);
        }
        println!("{}: accesses that succeeded when it had returned: {latest} at most", case.name);
        // One has succeeded before, and was not counted yet.
        claim!(latest <= 1, "{} takes the page away from a thread that uses it", case.name);
    }
    if is_chosen(FORK) {
        for _ in 0..tries {
            ensure!(in_child(write_meanwhile)? == Ending::WELL, "a child's memory is its own");
        }
        println!("{FORK}: a child's page stays as it was");
    }
    Ok(())
}

fn mapped() -> Result<Span, Untrue> {
    Ok(Span::map(PAGE, MapFlags::PRIVATE)?)
}

/// A page at the end of the break.
fn from_break() -> Result<Span, Untrue> {
    let at = runtime::sbrk(0)?.addr().get();
    runtime::sbrk(at.next_multiple_of(PAGE) - at)?;
    Ok(Span::from_break(PAGE)?)
}

fn read(page: &Span) {
    let _ = page.get(0);
}

fn write(page: &Span) {
    page.set(0, 1);
}

fn unmap(page: &Span) -> Verdict {
    // SAFETY: who uses it is to be ended.
    Ok(unsafe { memory::munmap(page.address(), PAGE) }?)
}

fn protect(page: &Span) -> Verdict {
    // SAFETY: as above.
    Ok(unsafe { memory::mprotect(page.address(), PAGE, Protection::READ) }?)
}

fn lower_break(_: &Span) -> Verdict {
    // SAFETY: as above.
    Ok(unsafe { runtime::unsbrk(PAGE) }?)
}

/// What a process tells its parent, in memory that both have.
#[derive(Default)]
struct Counts {
    /// Accesses that have succeeded.
    accesses: AtomicU64,
    /// One more than there were when the page had been taken away; 0 if it was not told.
    then: AtomicU64,
}

/// Counts in a mapping that stays, as children have it.
fn counts() -> Result<&'static Counts, Untrue> {
    let shared = MapFlags::SHARED;
    let start = memory::map_anonymous(PAGE, Protection::READ | Protection::WRITE, shared)?;
    // SAFETY: zeroes are such a value, whose fields are atomic; nothing unmaps it.
    Ok(unsafe { start.cast::<Counts>().as_ref() })
}

/// How many accesses of a second thread succeed when the first one has taken the page away. The
/// next one must end them both.
fn late_accesses(case: &Case) -> Result<u64, Untrue> {
    let counts = counts()?;
    let (access, take_away) = (case.access, case.take_away);
    let ending = in_child(|| {
        let page = (case.page)()?;
        let (start, len) = (page.address(), page.len());
        let _ = spawn(move || {
            let page = core::ptr::with_exposed_provenance_mut(start);
            let page = core::ptr::NonNull::new(core::ptr::slice_from_raw_parts_mut(page, len));
            // SAFETY: the page of the first thread, which lets this one use it.
            let page = page.map(|page| unsafe { Span::new(page) });
            while let Some(page) = &page {
                access(page);
                counts.accesses.fetch_add(1, Ordering::Release);
            }
        })?;
        wait_for(&counts.accesses, BEFORE);
        take_away(&page)?;
        counts.then.store(counts.accesses.load(Ordering::Acquire) + 1, Ordering::Release);
        wait_for(&counts.accesses, u64::MAX);
        Ok(())
    })?;
    ensure!(ending == Ending::SEGMENTATION_FAULT, "{}: the next access faults", case.name);
    let accesses = counts.accesses.load(Ordering::Acquire);
    // The fault may end the first thread before it tells.
    let then = counts.then.load(Ordering::Acquire).checked_sub(1).unwrap_or(accesses);
    Ok(accesses - then)
}

/// Waits until another thread has counted so far.
fn wait_for(count: &AtomicU64, least: u64) {
    while count.load(Ordering::Acquire) < least {
        process::sched_yield();
    }
}

/// Forks while another thread writes to a page: the child's stays as it was.
fn write_meanwhile() -> Verdict {
    let (page, counts) = (mapped()?, counts()?);
    let start = page.address();
    let _ = spawn(move || {
        let page = core::ptr::with_exposed_provenance_mut::<u8>(start);
        let (mut page, mut byte) = (core::ptr::NonNull::new(page), 0_u8);
        while let Some(page) = &mut page {
            byte = byte.wrapping_add(1);
            // SAFETY: the page is there as long as the process is, and nothing else writes to it.
            unsafe { page.write_volatile(byte) };
            counts.accesses.fetch_add(1, Ordering::Release);
        }
    })?;
    wait_for(&counts.accesses, BEFORE);
    // The child uses nothing that the second thread may have had.
    let Fork::Parent { child } = process::fork()? else {
        let first = page.get(0);
        let stays = (0..LOOKS).all(|_| page.get(0) == first);
        process::exit(u8::from(!stays))
    };
    ensure!(process::wait_for(child)? == Ending::WELL, "the child's page stays as it was");
    Ok(())
}
