//! Children: what they begin with, how they end, who is told.

use core::arch::asm;

use programs::{Span, probe};
use runtime::system::memory::MapFlags;
use runtime::system::process::{self, Ending, Fork};
use runtime::system::{Errno, io};
use runtime::{PAGE, Untrue, Verdict, ensure, in_child};

use crate::Case;

pub const CASES: [Case; 9] = [
    ("fork-isolates", isolates),
    ("fork-many", many),
    ("fork-of-fork", of_fork),
    ("exit-status", exit_status),
    ("killed-status", killed_status),
    ("wait-errors", wait_errors),
    ("wait-not", wait_not),
    ("orphan", orphan),
    ("call-errors", call_errors),
];

fn isolates() -> Verdict {
    let of_break = Span::from_break(3 * PAGE)?;
    let mapped = Span::map(3 * PAGE, MapFlags::PRIVATE)?;
    for span in [&of_break, &mapped] {
        span.fill(1);
    }
    let local = core::hint::black_box([1_u8; 64]);
    let ending = in_child(|| {
        let mut local = local;
        local.fill(2);
        for span in [&of_break, &mapped] {
            ensure!(span.is_filled(1), "the child has what its parent had");
            span.fill(2);
            ensure!(span.is_filled(2), "and what it writes");
        }
        core::hint::black_box(local);
        Ok(())
    })?;
    ensure!(ending == Ending::WELL, "the child");
    ensure!(
        of_break.is_filled(1) && mapped.is_filled(1) && local == [1; 64],
        "the parent has none of it"
    );
    Ok(())
}

/// Several at a time, each with a number of its own.
fn many() -> Verdict {
    const CHILDREN: usize = 20;
    let mut children = [0; CHILDREN];
    for (index, child) in children.iter_mut().enumerate() {
        match process::fork()? {
            Fork::Child => {
                process::sched_yield();
                process::exit(index as u8)
            }
            Fork::Parent { child: number } => *child = number,
        }
    }
    for _ in 0..CHILDREN {
        let (child, ending) = process::wait()?;
        let index = children.iter().position(|&number| number == child).ok_or(Untrue::CLAIM)?;
        ensure!(ending == Ending::Exited(index as u8), "child {index}: {ending}");
        children[index] = 0;
    }
    ensure!(process::wait() == Err(Errno::ECHILD), "then there is no child");
    Ok(())
}

/// Children of children of children.
fn of_fork() -> Verdict {
    fn down(levels: usize) -> Verdict {
        let own = process::getpid();
        let ending = in_child(|| {
            ensure!(process::getpid() != own, "a child has a number of its own");
            if levels == 0 { Ok(()) } else { down(levels - 1) }
        })?;
        ensure!(ending == Ending::WELL, "level {levels}");
        Ok(())
    }
    down(5)
}

fn exit_status() -> Verdict {
    for status in [0, 1, 42, 127, 128, 255] {
        let ending = in_child(|| process::exit(status))?;
        ensure!(ending == Ending::Exited(status), "{ending} of {status}");
    }
    Ok(())
}

fn killed_status() -> Verdict {
    let ending = in_child(|| {
        // SAFETY: it cannot be written.
        unsafe { probe::write(0, 1) };
        Ok(())
    })?;
    ensure!(ending == Ending::Killed(11), "a bad address: {ending}");
    let ending = in_child(|| {
        // SAFETY: ends the process.
        unsafe { asm!("ud2", options(noreturn)) }
    })?;
    ensure!(ending == Ending::Killed(4), "an instruction that is none: {ending}");
    let ending = in_child(|| {
        // SAFETY: ends the process: only the kernel may stop the processor.
        unsafe { asm!("hlt") };
        Ok(())
    })?;
    ensure!(ending == Ending::Killed(11), "an instruction that is the kernel's: {ending}");
    let ending = in_child(|| {
        // SAFETY: ends the process: no number is divided by 0.
        unsafe { asm!("div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
        Ok(())
    })?;
    ensure!(ending == Ending::Killed(8), "a division by zero: {ending}");
    Ok(())
}

fn wait_errors() -> Verdict {
    ensure!(process::wait() == Err(Errno::ECHILD), "who has no child does not wait");
    ensure!(process::wait_for(1) == Err(Errno::ECHILD), "nor for another's child");
    let Fork::Parent { child } = process::fork()? else { process::exit(3) };
    ensure!(process::wait_for(child) == Ok(Ending::Exited(3)), "a child is waited for");
    ensure!(process::wait_for(child) == Err(Errno::ECHILD), "once");
    Ok(())
}

fn wait_not() -> Verdict {
    let page = Span::map(PAGE, MapFlags::SHARED)?;
    let Fork::Parent { child } = process::fork()? else {
        while page.get(0) == 0 {
            process::sched_yield();
        }
        process::exit(5)
    };
    ensure!(process::wait_not() == Ok(None), "a child that lives has not ended");
    page.set(0, 1);
    let ended = loop {
        if let Some(ended) = process::wait_not()? {
            break ended;
        }
        process::sched_yield();
    };
    ensure!(ended == (child, Ending::Exited(5)), "then it has");
    Ok(())
}

/// A child that ends before its own child: nobody waits for that one, and nothing of it stays.
fn orphan() -> Verdict {
    let page = Span::map(PAGE, MapFlags::SHARED)?;
    let ending = in_child(|| {
        if process::fork()? == Fork::Child {
            while page.get(0) == 0 {
                process::sched_yield();
            }
            page.set(1, 1);
            process::exit(0)
        }
        Ok(())
    })?;
    ensure!(ending == Ending::WELL, "the child ends first");
    page.set(0, 1);
    while page.get(1) == 0 {
        process::sched_yield();
    }
    ensure!(process::wait() == Err(Errno::ECHILD), "a grandchild is no child");
    Ok(())
}

fn call_errors() -> Verdict {
    // SAFETY: no kernel has such a call.
    let answer = unsafe { runtime::system::unknown(0xFFFF) };
    ensure!(answer == Err(Errno::ENOSYS), "a call that there is none of: {answer:?}");
    ensure!(io::write(99, b"x") == Err(Errno::EBADF), "a file that is not open");
    ensure!(io::read(99, &mut [0]) == Err(Errno::EBADF), "to read from neither");
    ensure!(io::write(io::OUTPUT, b"") == Ok(0), "nothing is written at once");
    // SAFETY: refused before anything is written.
    let usage = unsafe { process::getrusage_to(77, 0) };
    ensure!(usage == Err(Errno::EINVAL), "nobody is number 77: {usage:?}");
    Ok(())
}
