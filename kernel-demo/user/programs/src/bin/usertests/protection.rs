//! What may be done with which page (C19, C20).

use core::arch::asm;
use core::hint;
use core::sync::atomic::{AtomicU64, Ordering};

use programs::{Span, machine, probe};
use runtime::system::Errno;
use runtime::system::memory::{self, MapFlags, Protection};
use runtime::{PAGE, Verdict, ensure};

use crate::{Case, must_fault};

pub const CASES: [Case; 9] = [
    ("protection-kernel", kernel),
    ("protection-ring", ring),
    ("protection-text", text),
    ("protection-constants", constants),
    ("protection-no-execute", no_execute),
    ("protection-bss-is-zero", bss_is_zero),
    ("protection-data-is-own", data_is_own),
    ("protection-changes", changes),
    ("protection-write-or-execute", write_or_execute),
];

/// Where there is no memory of a process.
const NOT_OURS: [usize; 7] = [
    0,
    0x0000_7FFF_FFFF_F000,
    0x0000_8000_0000_0000,
    0x8000_0000_0000_0000,
    0xFFFF_8000_0000_0000,
    0xFFFF_9000_0000_0000,
    0xFFFF_FFFF_8000_0000,
];

fn kernel() -> Verdict {
    for address in NOT_OURS {
        must_fault("a read of what is not ours", || probe::read(address))?;
        // SAFETY: nothing of ours is there.
        must_fault("a write to it", || unsafe { probe::write(address, 1) })?;
        // SAFETY: as above.
        must_fault("a call of it", || unsafe { probe::execute(address) })?;
    }
    Ok(())
}

fn ring() -> Verdict {
    must_fault("a return to ring 0", || {
        // SAFETY: the processor refuses the segment, and the process ends.
        unsafe {
            asm!(
                "mov rax, rsp",
                "push 0x10",
                "push rax",
                "push 2",
                "push 8",
                "lea rcx, [rip]",
                "push rcx",
                "iretq",
                options(noreturn)
            )
        }
    })
}

fn text() -> Verdict {
    let address = text as *const () as usize;
    // SAFETY: it cannot be written.
    must_fault("a write to text", || unsafe { probe::write(address, probe::RETURN) })
}

fn constants() -> Verdict {
    static CONSTANT: [u8; 64] = [1; 64];
    static WITH_ADDRESSES: [&[u8; 64]; 2] = [&CONSTANT; 2];
    for address in [(&raw const CONSTANT).addr(), (&raw const WITH_ADDRESSES).addr()] {
        // SAFETY: it cannot be written.
        must_fault("a write to a constant", || unsafe { probe::write(address, 2) })?;
        // SAFETY: it cannot be executed.
        must_fault("a call of a constant", || unsafe { probe::execute(address) })?;
    }
    Ok(())
}

fn no_execute() -> Verdict {
    let of_break = Span::from_break(PAGE)?;
    let mapped = Span::map(PAGE, MapFlags::PRIVATE)?;
    let on_stack = hint::black_box([probe::RETURN; 8]);
    of_break.set(0, probe::RETURN);
    mapped.set(0, probe::RETURN);
    for address in [of_break.address(), mapped.address(), on_stack.as_ptr().addr()] {
        // SAFETY: the instruction returns at once.
        must_fault("a call of data", || unsafe { probe::execute(address) })?;
    }
    Ok(())
}

fn bss_is_zero() -> Verdict {
    static BSS: [AtomicU64; 2048] = [const { AtomicU64::new(0) }; 2048];
    ensure!(BSS.iter().all(|word| word.swap(1, Ordering::Relaxed) == 0), "bss is zero");
    ensure!(BSS.iter().all(|word| word.load(Ordering::Relaxed) == 1), "and can be written");
    Ok(())
}

/// What this process writes to its data is not what the next one finds there.
fn data_is_own() -> Verdict {
    static DATA: AtomicU64 = AtomicU64::new(0x1234);
    for _ in 0..2 {
        let ending = runtime::in_child(|| {
            ensure!(DATA.swap(1, Ordering::Relaxed) == 0x1234, "data is as it was linked");
            Ok(())
        })?;
        ensure!(ending == runtime::system::process::Ending::WELL, "in each child");
    }
    Ok(())
}

/// Closes and opens the middle of three pages.
fn changes() -> Verdict {
    let span = Span::map(3 * PAGE, MapFlags::PRIVATE)?;
    span.fill(1);
    let middle = span.address() + PAGE;
    // SAFETY: touched only to see a process end.
    let protect = |protection| unsafe { memory::mprotect(middle, PAGE, protection) };
    protect(Protection::READ)?;
    // SAFETY: it cannot be written.
    must_fault("a write to what may be read", || unsafe { probe::write(middle, 2) })?;
    ensure!(span.is_filled(1), "it can be read, with both its neighbours");
    protect(Protection::empty())?;
    must_fault("a read of what is closed", || probe::read(middle))?;
    ensure!(
        span.get(PAGE - 1) == probe::read(span.address() + PAGE - 1),
        "its neighbours are as they were"
    );
    protect(Protection::READ | Protection::WRITE)?;
    ensure!(span.is_filled(1), "opened again, it has what it had");
    span.fill(2);
    ensure!(span.is_filled(2), "and can be written");
    Ok(())
}

/// This kernel, other than Linux, lets nothing be both.
fn write_or_execute() -> Verdict {
    let both = Protection::READ | Protection::WRITE | Protection::EXECUTE;
    let expected = if machine::is_linux() { Ok(()) } else { Err(Errno::EACCES) };
    let mapped = memory::map_anonymous(PAGE, both, MapFlags::PRIVATE);
    ensure!(mapped.map(drop) == expected, "a mapping to write and execute");
    let span = Span::map(PAGE, MapFlags::PRIVATE)?;
    // SAFETY: nothing is taken away.
    let changed = unsafe { memory::mprotect(span.address(), PAGE, both) };
    ensure!(changed == expected, "nor one that becomes so");

    span.set(0, probe::RETURN);
    // SAFETY: it is not written any more.
    unsafe { memory::mprotect(span.address(), PAGE, Protection::READ | Protection::EXECUTE) }?;
    // SAFETY: the instruction returns at once.
    unsafe { probe::execute(span.address()) };
    // SAFETY: it cannot be written.
    must_fault("but first the one, then the other", || unsafe { probe::write(span.address(), 0) })
}
