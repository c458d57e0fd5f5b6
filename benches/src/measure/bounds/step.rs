//! Counts the instructions of a single call, exactly, by single-stepping this process.
//!
//! ```text
//!   set the trap flag ─► call ─► instruction ─► instruction ─► … ─► clear the trap flag
//!                                    └─ SIGTRAP ──┴─ SIGTRAP: the handler adds one
//! ```
//!
//! The processor traps after every instruction while the flag is set. An instruction that repeats
//! (`rep movsb`) traps after every repetition.

use std::cell::Cell;

use crate::measure::Failure;

thread_local! {
    /// Instructions since the trap flag was set. It needs no constructor, so that a signal handler
    /// may touch it.
    static COUNT: Cell<u64> = const { Cell::new(0) };

    /// The handler clears the trap flag when so many were counted.
    static MOST: Cell<u64> = const { Cell::new(0) };
}

/// Where counting stops: a call of millions of instructions would take seconds.
pub const LIMIT: u64 = 5_000;

/// The trap flag in the flags register.
#[cfg(target_arch = "x86_64")]
const TRAP: i64 = 0x100;

/// Counts instructions of this thread.
#[derive(Debug)]
pub struct Stepper {
    /// What a call of a function that does nothing counts.
    overhead: u64,
}

impl Stepper {
    /// Installs the handler.
    ///
    /// # Errors
    ///
    /// The machine or the system cannot do this.
    #[cfg(target_arch = "x86_64")]
    pub fn new() -> Result<Self, Failure> {
        // SAFETY: an action of zeros is a valid one.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = (on_trap as extern "C" fn(_, _, _)) as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: the handler touches nothing but a number of its thread and the context that it is
        // given.
        if unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(Failure::because(std::io::Error::last_os_error()));
        }
        let mut stepper = Self { overhead: 0 };
        stepper.overhead = stepper.count(|| ()).1;
        if stepper.overhead == 0 {
            return Err(Failure::Crashed(
                "the processor does not trap after single instructions".to_owned(),
            ));
        }
        Ok(stepper)
    }

    /// Installs the handler: only x86-64 has one.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn new() -> Result<Self, Failure> {
        Err(Failure::Unsupported)
    }

    /// Calls `f`, and returns what it returns and how many instructions it took: [`LIMIT`] if there
    /// were as many or more. The call itself, and the return, are not counted.
    #[cfg(target_arch = "x86_64")]
    pub fn count<T>(&self, f: impl FnOnce() -> T) -> (T, u64) {
        self.count_to(LIMIT, f)
    }

    /// The same with another limit.
    #[cfg(target_arch = "x86_64")]
    pub fn count_to<T>(&self, limit: u64, f: impl FnOnce() -> T) -> (T, u64) {
        MOST.set(limit + 1000);
        let (mut f, mut result) = (Some(f), None);
        let mut call = || result = f.take().map(|f| f());
        COUNT.set(0);
        // SAFETY: sets a flag; the trap handler is installed. The stack is used as the assembler is
        // told.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        out_of_line(&mut call);
        // SAFETY: clears the flag.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
        let count = COUNT.get();
        (result.expect("it was called"), count.saturating_sub(self.overhead).min(limit))
    }

    /// Not on this machine.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn count_to<T>(&self, _: u64, f: impl FnOnce() -> T) -> (T, u64) {
        (f(), 0)
    }

    /// Not on this machine.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn count<T>(&self, f: impl FnOnce() -> T) -> (T, u64) {
        (f(), 0)
    }
}

/// The same call for everything that is counted, so that the overhead is the same.
#[inline(never)]
fn out_of_line(f: &mut impl FnMut()) {
    f();
    std::hint::black_box(f);
}

#[cfg(target_arch = "x86_64")]
extern "C" fn on_trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    COUNT.set(COUNT.get() + 1);
    if COUNT.get() > MOST.get() {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: the third argument of such a handler is the context that is restored after it.
        unsafe { (*context).uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP };
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
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
    fn instructions_are_counted_one_by_one() {
        let stepper = Stepper::new().unwrap();
        let hundred = stepper.count(|| nops!(100)).1;
        let more = stepper.count(|| nops!(137)).1;
        assert_eq!(more - hundred, 37);
        assert!((100..110).contains(&hundred), "{hundred}");
        assert_eq!(stepper.count(|| nops!(100)).1, hundred);
        assert_eq!(
            stepper.count(|| (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>()).1,
            LIMIT
        );
        assert!(stepper.count_to(2 * LIMIT, || nops!(6000)).1 > LIMIT);
        assert_eq!(stepper.count(|| 6 * 7).0, 42);
    }
}
