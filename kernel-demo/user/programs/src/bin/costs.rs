//! What the system calls and faults of a heap cost, by the processor's time-stamp counter. Under
//! QEMU with `-icount shift=0` that counts instructions, the kernel's included, and each run counts
//! the same.
//!
//! `costs [rounds]`

#![no_std]
#![no_main]

use programs::clock::now;
use programs::{Span, machine};
use runtime::system::memory::{self, MapFlags};
use runtime::system::process::{self, Ending, Fork};
use runtime::{
    Arguments, PAGE, Untrue, Verdict, claim, ensure, in_child_watched, println, program,
};

program!(run);

const MIB: usize = 1 << 20;

fn run(arguments: Arguments) -> Verdict {
    let rounds = arguments.number(0, 32);
    if rounds == 0 {
        return Err(Untrue::ARGUMENTS);
    }
    calls(rounds)?;
    faults(rounds)?;
    mappings(rounds)?;
    processes(rounds)
}

/// Does it so many times, and prints what it takes; the first time, which touches what was never
/// touched, does not count.
fn measure(name: &str, rounds: usize, mut run: impl FnMut() -> Verdict) -> Verdict {
    run()?;
    let begun = now();
    for _ in 0..rounds {
        run()?;
    }
    print_cost(name, now() - begun, rounds);
    Ok(())
}

fn print_cost(name: &str, ticks: u64, rounds: usize) {
    println!("cost {name}: {}", ticks / rounds as u64);
}

fn calls(rounds: usize) -> Verdict {
    measure("nothing", rounds, || Ok(()))?;
    measure("null-call", rounds, || {
        let _ = process::getpid();
        Ok(())
    })?;
    let end = runtime::sbrk(0)?.addr().get().next_multiple_of(PAGE);
    let mut top = end;
    measure("brk-up", rounds, || {
        top += PAGE;
        ensure!(brk(top) == top, "the break moves up by a page");
        Ok(())
    })?;
    measure("brk-down", rounds, || {
        top -= PAGE;
        ensure!(brk(top) == top, "the break moves down by a page, which nobody has touched");
        Ok(())
    })?;
    measure("brk-up-touch-and-down", rounds, || {
        ensure!(brk(end + PAGE) == end + PAGE, "the break moves by a page");
        touch(end);
        ensure!(brk(end) == end, "and back");
        Ok(())
    })
}

/// Moves the break to an address.
fn brk(address: usize) -> usize {
    // SAFETY: nobody uses what is above where it began.
    unsafe { memory::brk(address) }
}

/// Writes to memory of this program.
fn touch(address: usize) {
    // SAFETY: the caller has just got it.
    unsafe { programs::probe::write(address, 1) };
}

/// Each kind of fault, on pages beside each other: tables cost once.
fn faults(rounds: usize) -> Verdict {
    let span = Span::map((rounds + 1) * PAGE, MapFlags::PRIVATE)?;
    let before = process::usage().faults;
    let mut pages = 0..=rounds;
    measure("fault-read", rounds, || {
        ensure!(
            pages.next().is_some_and(|page| span.get(page * PAGE) == 0),
            "a page reads as zero"
        );
        Ok(())
    })?;
    each_page(&span, "fault-write-after-read", rounds)?;
    let fresh = Span::map((rounds + 1) * PAGE, MapFlags::PRIVATE)?;
    each_page(&fresh, "fault-write", rounds)?;
    let ending = runtime::in_child(|| each_page(&fresh, "fault-copy-on-write", rounds))?;
    claim!(ending == Ending::WELL, "a child's writes");
    each_page(&fresh, "fault-last-owner", rounds)?;
    let served = process::usage().faults - before;
    println!("faults: {served}");
    // Linux may map more than a page at a fault.
    claim!(
        machine::is_linux() || served >= 4 * (rounds + 1),
        "there were as many faults as were measured"
    );
    Ok(())
}

fn each_page(span: &Span, name: &str, rounds: usize) -> Verdict {
    let mut pages = 0..=rounds;
    measure(name, rounds, || {
        let page = pages.next().ok_or(Untrue::CLAIM)?;
        span.set(page * PAGE, 1);
        Ok(())
    })
}

fn mappings(rounds: usize) -> Verdict {
    for (name, len) in [("map-touch-unmap-4k", PAGE), ("map-touch-unmap-1m", MIB)] {
        measure(name, rounds, || {
            let span = Span::map(len, MapFlags::PRIVATE)?;
            span.touch(0..span.pages(), 1);
            // SAFETY: a mapping.
            unsafe { span.unmap() }?;
            Ok(())
        })?;
    }
    Ok(())
}

fn processes(rounds: usize) -> Verdict {
    measure("fork-exit-wait", rounds, || {
        let Fork::Parent { child } = process::fork()? else { process::exit(0) };
        ensure!(process::wait_for(child)? == Ending::WELL, "a child ends");
        Ok(())
    })?;
    measure("yield-alone", rounds, || {
        process::sched_yield();
        Ok(())
    })?;
    // With two who do nothing but give way, each call is a switch, and comes back after another
    // one.
    let page = Span::map(PAGE, MapFlags::SHARED)?;
    let mut here = Ok(());
    let ending = in_child_watched(
        || {
            while page.get(0) == 0 {
                process::sched_yield();
            }
            Ok(())
        },
        |_| {
            here = measure("yield-to-another-and-back", rounds, || {
                process::sched_yield();
                Ok(())
            });
            page.set(0, 1);
        },
    )?;
    here?;
    claim!(ending == Ending::WELL, "two give way to each other");
    Ok(())
}
