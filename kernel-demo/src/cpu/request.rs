//! What one CPU asks of others: to forget their translations, and to have fenced.
//!
//! ```text
//!   asks: asked += 1 ── IPI ──► in ring 3, idle, or with interrupts enabled: the handler answers
//!     │                         spinning with interrupts disabled: `answer` is called in the loop
//!     └── waits for answered ◄── flushes all translations, answered = asked
//! ```
//!
//! A CPU that does neither is in the kernel, and will do one of them soon: no stretch of the kernel
//! without interrupts is long (`lib.rs`, rule 2).
//!
//! A request has no addresses: whoever is asked loads CR3 again. It has just done so when it was in
//! ring 3, because each entry of the kernel does.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

use x86_64::instructions::tlb;

use super::{CPUS, Cpu, MAX_CPUS, apic, online, others, this};

/// The interrupt of a request.
pub const VECTOR: u8 = 33;

/// Requests that were made to CPUs since boot.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Requests that were made to CPUs since boot.
pub fn count() -> u64 {
    REQUESTS.load(Ordering::Relaxed)
}

/// Owner of the translations that CPUs are not made to forget.
static LEFT_OUT: AtomicU8 = AtomicU8::new(0);

/// Tables that a translation is of.
#[derive(Clone, Copy)]
pub enum Of {
    /// The kernel's.
    Kernel = 1,
    /// Those of processes.
    Processes = 2,
}

/// Runs the closure, in which no CPU is made to forget these translations, to show what that is
/// for.
///
/// # Safety
///
/// Nothing depends on what other CPUs still reach.
#[cfg(feature = "suite")]
pub unsafe fn left_out<R>(of: Of, closure: impl FnOnce() -> R) -> R {
    LEFT_OUT.store(of as u8, Ordering::SeqCst);
    let result = closure();
    LEFT_OUT.store(0, Ordering::SeqCst);
    result
}

/// Whether requests to forget these are left out.
fn is_left_out(of: Of) -> bool {
    cfg!(feature = "suite") && LEFT_OUT.load(Ordering::SeqCst) == of as u8
}

/// Makes all other CPUs that run on these tables of a process in ring 3 forget its translations. On
/// the kernel's own tables no CPU uses a process's.
#[inline]
pub fn flush_process(root: u64) {
    if online() > 1 && !is_left_out(Of::Processes) {
        ask(|cpu| cpu.root.load(Ordering::SeqCst) == root);
    }
}

/// Makes all other CPUs forget the kernel's translations. Those in ring 3 have only the ones that
/// every process has, and forget the others when they come back.
#[inline]
pub fn flush_kernel(in_every_process: bool) {
    if online() > 1 && !is_left_out(Of::Kernel) {
        ask(|cpu| in_every_process || cpu.root.load(Ordering::SeqCst) == 0);
    }
}

/// Wakes a CPU that waits for an interrupt.
pub fn wake(number: usize) {
    apic::send(CPUS[number].apic_id.load(Ordering::Relaxed), VECTOR);
}

/// Makes all other CPUs fence, and wakes those that wait for an interrupt.
pub fn barrier() {
    if online() > 1 {
        ask(|_| true);
    }
}

/// Answers what others have asked of this CPU. Interrupts are disabled.
#[inline]
pub fn answer() {
    let this = this();
    let asked = this.asked.load(Ordering::Acquire);
    if asked != this.answered.load(Ordering::Relaxed) {
        tlb::flush_all();
        this.answered.store(asked, Ordering::Release);
    }
}

/// Asks each other CPU that is meant, and waits until all of them have answered.
#[cold]
fn ask(is_meant: impl Fn(&Cpu) -> bool) {
    // Page tables have changed before: a CPU that is not meant now will see the change when it
    // enters ring 3 or leaves it.
    fence(Ordering::SeqCst);
    let mut asked = [None; MAX_CPUS];
    for cpu in others().filter(|cpu| is_meant(cpu)) {
        asked[cpu.number as usize] = Some((cpu, cpu.asked.fetch_add(1, Ordering::SeqCst) + 1));
        apic::send(cpu.apic_id.load(Ordering::Relaxed), VECTOR);
        REQUESTS.fetch_add(1, Ordering::Relaxed);
    }
    for (cpu, number) in asked.into_iter().flatten() {
        while cpu.answered.load(Ordering::Acquire) < number {
            answer();
            spin_loop();
        }
    }
}
