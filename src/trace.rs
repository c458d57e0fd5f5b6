//! Call sites: from where a heap is called.
//!
//! ```text
//!   frame ─► ┌──────────────────┬────────────────┐        callers' frames lie higher
//!            │ caller's frame ──┼─► ┌────────────┤
//!            │ return address   │   │ …          │
//!            └──────────────────┘   └────────────┘
//! ```

use core::fmt;
use core::ops::Range;

/// Return addresses of a call, the innermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trace([usize; Trace::DEPTH]);

impl Trace {
    /// Trace of an unknown caller.
    pub const UNKNOWN: Self = Self([0; Self::DEPTH]);

    /// Maximum number of return addresses of a trace.
    pub const DEPTH: usize = 8;

    /// Returns the trace of these return addresses, as far as they fit: at most
    /// [`DEPTH`](Trace::DEPTH). O(1).
    #[must_use]
    pub fn of(addresses: impl IntoIterator<Item = usize>) -> Self {
        let mut trace = Self::UNKNOWN;
        trace.0.iter_mut().zip(addresses).for_each(|(place, address)| *place = address);
        trace
    }

    /// Returns the trace of the function that called the caller of this one, by frame pointers.
    /// Ends early where no frame pointer leads on: in code that was compiled without them (rustc
    /// keeps them with `-C force-frame-pointers=yes`), or on a processor other than x86, Arm 64-bit
    /// and RISC-V. O(1).
    ///
    /// `stack` is the calling thread's stack. A frame outside of it ends the trace.
    ///
    /// ```
    /// use brkalloc::Trace;
    ///
    /// #[inline(never)]
    /// fn site(stack: core::ops::Range<usize>) -> Trace {
    ///     // SAFETY: the range is empty, so nothing is read.
    ///     unsafe { Trace::of_frames(stack) }
    /// }
    /// assert_eq!(site(0..0), Trace::UNKNOWN);
    /// ```
    ///
    /// # Safety
    ///
    /// All of `stack` is readable, and no other thread writes there.
    #[must_use]
    #[inline(always)]
    pub unsafe fn of_frames(stack: Range<usize>) -> Self {
        // SAFETY: the clause is that of this method.
        unsafe { Self::from_frame(frame_pointer(), stack) }
    }

    /// Follows frame pointers from one on.
    ///
    /// # Safety
    ///
    /// The clause of [`of_frames`](Trace::of_frames).
    #[inline(never)]
    unsafe fn from_frame(mut frame: usize, stack: Range<usize>) -> Self {
        const WORD: usize = size_of::<usize>();
        // RISC-V's frame pointer points behind the two words.
        let (offset, end) = if cfg!(any(target_arch = "riscv32", target_arch = "riscv64")) {
            (2 * WORD, 0)
        } else {
            (0, 2 * WORD)
        };
        let addresses = core::iter::from_fn(|| {
            let words = frame.checked_sub(offset)?;
            let is_inside = words >= stack.start && frame.checked_add(end)? <= stack.end;
            if !is_inside || words % WORD != 0 {
                return None;
            }
            let words: *const usize = core::ptr::with_exposed_provenance(words);
            // SAFETY: two aligned words of the stack, which is readable: this method's clause.
            let (next, address) = unsafe { (words.read(), words.add(1).read()) };
            // Callers' frames lie higher: the walk ends.
            frame = if next > frame { next } else { 0 };
            (address != 0).then_some(address)
        });
        Self::of(addresses)
    }

    /// Returns the return addresses, the innermost first. O(1) a step.
    pub fn addresses(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied().take_while(|&address| address != 0)
    }

    /// Returns `true` if no address is known.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        self.0[0] == 0
    }
}

impl fmt::Display for Trace {
    /// Writes the addresses as `0x1000 < 0x2000`: a callee first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unknown() {
            return f.write_str("an unknown caller");
        }
        for (number, address) in self.addresses().enumerate() {
            let separator = if number == 0 { "" } else { " < " };
            write!(f, "{separator}{address:#x}")?;
        }
        Ok(())
    }
}

/// Defines `frame_pointer` by the instruction that reads it from a register, for each target.
macro_rules! frame_pointer {
    ($($target:meta => $instruction:literal,)+) => {
        /// Returns the frame pointer of the function into which this is inlined; 0 if that is not
        /// known.
        #[inline(always)]
        fn frame_pointer() -> usize {
            let frame: usize;
            $(#[cfg($target)]
            // SAFETY: reads a register.
            unsafe {
                core::arch::asm!(
                    $instruction,
                    frame = out(reg) frame,
                    options(nomem, nostack, preserves_flags),
                );
            })+
            #[cfg(not(any($($target),+)))]
            {
                frame = 0;
            }
            frame
        }
    };
}

frame_pointer! {
    target_arch = "x86_64" => "mov {frame}, rbp",
    target_arch = "x86" => "mov {frame}, ebp",
    target_arch = "aarch64" => "mov {frame}, x29",
    any(target_arch = "riscv32", target_arch = "riscv64") => "mv {frame}, s0",
}

/// Tells from where a heap is called: for [`Sampled`](crate::Sampled) and
/// [`Ledger`](crate::Ledger).
///
/// A kernel that is compiled with frame pointers knows its stacks:
///
/// ```
/// use brkalloc::{CallSites, Trace};
/// # fn current_stack() -> core::ops::Range<usize> { 0..0 }
///
/// struct Stacks;
///
/// impl CallSites for Stacks {
///     fn trace(&self) -> Trace {
///         // SAFETY: the stack of the running task, which is mapped.
///         unsafe { Trace::of_frames(current_stack()) }
///     }
/// }
/// ```
pub trait CallSites {
    /// Returns the return addresses of the call in progress. It must not use the heap.
    fn trace(&self) -> Trace;
}

/// No call sites: every caller is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSites;

impl CallSites for NoSites {
    #[inline(always)]
    fn trace(&self) -> Trace {
        Trace::UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn frames_are_followed_as_far_as_they_lie_in_the_stack() {
        let mut words = [0; 8];
        let base = (&raw mut words).expose_provenance();
        let word = size_of::<usize>();
        let shift =
            if cfg!(any(target_arch = "riscv32", target_arch = "riscv64")) { 2 * word } else { 0 };
        let frame = |index: usize| base + index * word + shift;
        words[0] = frame(2);
        words[1] = 0x100;
        words[2] = frame(5);
        words[3] = 0x200;
        words[5] = frame(2);
        words[6] = 0x300;
        let all = base..base + size_of_val(&words);
        // SAFETY: the words are readable.
        let trace = |first, stack| unsafe { Trace::from_frame(first, stack) };
        assert_eq!(trace(frame(0), all.clone()), Trace::of([0x100, 0x200, 0x300]));
        assert_eq!(trace(frame(0), base..base + 4 * word), Trace::of([0x100, 0x200]));
        assert_eq!(trace(frame(0) + 1, all.clone()), Trace::UNKNOWN);
        assert_eq!(trace(0, all), Trace::UNKNOWN);
    }

    #[test]
    fn a_trace_is_shown_from_the_callee_to_its_callers() {
        assert_eq!(Trace::of([0x10, 0x20]).to_string(), "0x10 < 0x20");
        assert_eq!(Trace::UNKNOWN.to_string(), "an unknown caller");
        assert_eq!(Trace::of(1..100).addresses().count(), Trace::DEPTH);
    }
}
