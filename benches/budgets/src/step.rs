//! Counts instructions, exactly, by single-stepping this process.
//!
//! ```text
//!   set the trap flag ─► call ─► instruction ─► instruction ─► … ─► clear the trap flag
//!                                    └─ SIGTRAP ──┴─ SIGTRAP: the handler adds one, if the
//!                                                    instruction is the program's own
//! ```
//!
//! What lies outside this program's text does not count: it is another's, and another on the next
//! machine. Copying is the program's own, see `copy`.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    // What the linker calls the start and the end of the program's text.
    static __executable_start: u8;
    static etext: u8;
}

/// Instructions of the program's own since the counter was made.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts instructions of this thread.
#[derive(Debug)]
pub struct Counter {
    /// What a call of a function that does nothing counts.
    overhead: u64,
}

impl Counter {
    /// Installs the handler.
    ///
    /// # Errors
    ///
    /// The machine or the system cannot do this.
    pub fn new() -> Result<Self, String> {
        // SAFETY: an action of zeros is a valid one.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = (on_trap as extern "C" fn(_, _, _)) as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: the handler touches nothing but a counter and the context that it is given.
        if unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()) } != 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        let mut counter = Self { overhead: 0 };
        let mut overhead = 0;
        counter.add(&mut overhead, || ());
        if overhead == 0 {
            return Err("the processor does not trap after single instructions".into());
        }
        counter.overhead = overhead;
        Ok(counter)
    }

    /// Calls `f`, returns what it returns, and adds the number of its instructions to `sum`. The
    /// call itself, and the return, are not counted.
    pub fn add<T>(&self, sum: &mut u64, f: impl FnOnce() -> T) -> T {
        let (mut f, mut result) = (Some(f), None);
        let mut call = || result = f.take().map(|f| f());
        let before = COUNT.load(Ordering::Relaxed);
        // SAFETY: sets a flag; the trap handler is installed. The stack is used as the assembler is
        // told.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        out_of_line(&mut call);
        // SAFETY: clears the flag.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
        *sum += (COUNT.load(Ordering::Relaxed) - before).saturating_sub(self.overhead);
        result.expect("it was called")
    }
}

/// Calls `f` out of line, so that every count has the same overhead.
#[inline(never)]
fn out_of_line(f: &mut impl FnMut()) {
    f();
    std::hint::black_box(f);
}

extern "C" fn on_trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the third argument of such a handler is the context that is restored after it.
    let at = unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] } as usize;
    let (start, end) = ((&raw const __executable_start).addr(), (&raw const etext).addr());
    if (start..end).contains(&at) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One instruction each.
    macro_rules! nops {
        ($count:literal) => {
            // SAFETY: instructions that do nothing.
            unsafe { std::arch::asm!(concat!(".rept ", $count), "nop", ".endr") }
        };
    }

    #[test]
    fn instructions_of_the_program_are_counted_one_by_one() {
        let counter = Counter::new().unwrap();
        let count = |f: &dyn Fn()| {
            let mut sum = 0;
            counter.add(&mut sum, f);
            sum
        };
        assert_eq!(count(&|| nops!(137)) - count(&|| nops!(100)), 37);
        assert_eq!(count(&|| nops!(100)), count(&|| nops!(100)));
        let (from, mut to) = ([1_u8; 4096], [0; 4096]);
        let mut sum = 0;
        let len = std::hint::black_box(4096);
        counter.add(&mut sum, || to[..len].copy_from_slice(&from[..len]));
        assert!(sum < 1000, "{sum}: a copy is a few instructions");
        assert_eq!(counter.add(&mut sum, || 6 * 7), 42);
    }
}
