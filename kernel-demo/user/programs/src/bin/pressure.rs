//! Asks the kernel for much of one thing, and says what it got. Other programs must not notice.
//!
//! ```text
//!   pressure promised MIB            is promised memory, gives way many times, then touches all of it
//!   pressure tables GIB              reads a page under each page table of a read-only mapping
//!   pressure objects N               makes shared mappings of a page each
//!   pressure areas N PROCESSES       has many areas, and makes children that have them too
//!   pressure large MIB               maps, touches, forks, protects, writes out, and unmaps in one call each
//! ```

#![no_std]
#![no_main]

use programs::{Span, machine};
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::system::process::{self, Ending, Fork};
use runtime::system::{Errno, io};
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, ensure, println, program};

program!(run);

const MIB: usize = 1 << 20;

/// How often a program gives way to others before it uses what it was promised.
const TURNS: usize = 300;

/// Addresses that a page table of the lowest level covers.
const UNDER_ONE_TABLE: usize = 2 * MIB;

fn run(arguments: Arguments) -> Verdict {
    let number = |index| arguments.number(index, 1);
    match arguments.first() {
        Some("promised") => promised(number(1)),
        Some("tables") => tables(number(1)),
        Some("objects") => objects(number(1)),
        Some("areas") => areas(number(1), number(2)),
        Some("large") => large(number(1)),
        _ => Err(Untrue::ARGUMENTS),
    }
}

fn promised(mib: usize) -> Verdict {
    let span = Span::from_break(mib * MIB)?;
    (0..TURNS).for_each(|_| process::sched_yield());
    for page in 0..mib * MIB / PAGE {
        span.set(page * PAGE, 1);
        process::sched_yield();
    }
    claim!(span.holds([0], 1), "all that was promised is there");
    Ok(())
}

fn tables(gib: usize) -> Verdict {
    let len = gib << 30;
    let start = match memory::map_anonymous(len, Protection::READ, MapFlags::PRIVATE) {
        Ok(start) => start.addr().get(),
        Err(errno) => {
            println!("refused: {errno}");
            return Ok(());
        }
    };
    for at in (start..start + len).step_by(UNDER_ONE_TABLE) {
        ensure!(programs::probe::read(at) == 0, "a page that nobody wrote to is zero");
    }
    println!("page tables: {}", len / UNDER_ONE_TABLE);
    // SAFETY: nothing points there.
    Ok(unsafe { memory::munmap(start, len) }?)
}

fn objects(count: usize) -> Verdict {
    let mut made = 0;
    while made < count {
        let Ok(span) = Span::map(PAGE, MapFlags::SHARED) else { break };
        span.set(0, 1);
        made += 1;
    }
    println!("objects: {made}");
    let other = Span::map(PAGE, MapFlags::PRIVATE)?;
    // SAFETY: nothing points there.
    Ok(unsafe { other.unmap() }?)
}

fn areas(count: usize, processes: usize) -> Verdict {
    // First, because there may be no area left for it.
    let is_over = Span::map(PAGE, MapFlags::SHARED)?;
    is_over.set(0, 0);
    let start =
        memory::map_anonymous((2 * count + 2) * PAGE, Protection::empty(), MapFlags::PRIVATE)?;
    let page = |number: usize| start.addr().get() + (2 * number + 1) * PAGE;
    // SAFETY: nothing is taken away.
    let protect = |number| unsafe { memory::mprotect(page(number), PAGE, Protection::READ) };
    let made = (0..count).take_while(|number| protect(*number).is_ok()).count();
    let before = machine::frames_free();
    let mut children = 0;
    while children < processes {
        match process::fork() {
            Ok(Fork::Child) => {
                while is_over.holds([0], 0) {
                    process::sched_yield();
                }
                process::exit(0);
            }
            Ok(Fork::Parent { .. }) => children += 1,
            Err(_) => break,
        }
    }
    println!("areas: {made} more, in {children} children too");
    let with_children = machine::frames_free();
    is_over.set(0, 1);
    for _ in 0..children {
        ensure!(process::wait()?.1 == Ending::WELL, "a child ends");
    }
    ensure!(process::wait() == Err(Errno::ECHILD), "no child is left");
    if let (Some(before), Some(least)) = (before, with_children) {
        let now = machine::frames_free().unwrap_or(0);
        println!("frames that children took: {}", before - least);
        println!("frames that stay: {}", before.saturating_sub(now));
    }
    Ok(())
}

fn large(mib: usize) -> Verdict {
    let len = mib * MIB;
    let span = Span::map(len, MapFlags::PRIVATE)?;
    span.touch(0..len / PAGE, b'.');
    let child = runtime::in_child(|| {
        ensure!(span.holds([0, len / PAGE - 1], b'.'), "a child has all of it");
        Ok(())
    })?;
    claim!(child == Ending::WELL, "a child has the same memory");
    let start = span.address();
    // SAFETY: it is only read from here on.
    unsafe { memory::mprotect(start, len, Protection::READ) }?;
    claim!(io::write_from(io::OUTPUT, start, 8 * PAGE)? == 8 * PAGE, "all is written");
    // SAFETY: nothing points there.
    unsafe { memory::munmap(start, len) }?;
    claim!(io::write_from(io::OUTPUT, start, 1) == Err(Errno::EFAULT), "all is unmapped");
    Ok(())
}
