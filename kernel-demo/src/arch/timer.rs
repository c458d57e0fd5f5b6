//! The timer that takes the processor away from a program: the PC's interval timer, through its
//! interrupt controllers.
//!
//! Interrupts are enabled in ring 3, and in the kernel for moments ([`let_in`]). A tick that comes
//! while the kernel runs waits, and stops the next program at once or is taken at such a moment.
//! The clock is QEMU's: with `-icount` it counts instructions, and each run sees its ticks at the
//! same ones.

use core::arch::asm;

use pic8259::ChainedPics;
use spin::Mutex;
use x86_64::instructions::interrupts;
use x86_64::instructions::port::Port;

/// The interrupt of a tick.
pub const VECTOR: u8 = 32;

/// Interrupts that a controller raises when a request is gone before it is answered: of the first
/// and the second interval controller, and of the processor's own.
pub const SPURIOUS: [u8; 3] = [VECTOR + 7, VECTOR + 15, 0xFF];

/// Where the interrupts of the controllers begin: each has eight.
static CONTROLLERS: Mutex<ChainedPics> = {
    // SAFETY: no exception has a vector from here on.
    Mutex::new(unsafe { ChainedPics::new_contiguous(VECTOR) })
};

/// Keeps the controllers silent, which the firmware left talking. Called before interrupts are
/// enabled for the first time.
pub(super) fn silence() {
    // SAFETY: no interrupt comes any more.
    unsafe { CONTROLLERS.lock().disable() };
}

/// Ticks come as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Ticking {
    _started: (),
}

impl Ticking {
    /// Starts the timer: a tick each so many microseconds, of which there may be 54,000. None waits
    /// from before.
    ///
    /// # Panics
    ///
    /// When the interval is zero or too long.
    pub fn every(microseconds: u32) -> Self {
        /// Oscillations of the timer in a second.
        const FREQUENCY: u64 = 1_193_182;
        /// Counter 0, both bytes of it, mode 2: again and again.
        const PERIODIC: u8 = 0b0011_0100;
        let count = u64::from(microseconds) * FREQUENCY / 1_000_000;
        let count = u16::try_from(count)
            .ok()
            .filter(|count| *count > 1)
            .expect("an interval that the timer can count");
        let [low, high] = count.to_le_bytes();
        for (port, value) in [(0x43, PERIODIC), (0x40, low), (0x40, high)] {
            // SAFETY: the ports are the timer's, and nobody else in this kernel uses them.
            unsafe { Port::new(port).write(value) };
        }
        let mut controllers = CONTROLLERS.lock();
        // SAFETY: the interrupts have handlers, or are masked below before interrupts are enabled.
        unsafe { controllers.initialize() };
        // SAFETY: the timer's is the only one, and has a handler.
        unsafe { controllers.write_masks(!1, !0) };
        Self { _started: () }
    }
}

impl Drop for Ticking {
    /// Stops the ticks.
    fn drop(&mut self) {
        silence();
    }
}

/// Takes the interrupts that have waited while the kernel ran.
pub fn let_in() {
    interrupts::enable();
    // The instruction behind the one that enables interrupts still runs without them.
    // SAFETY: it does nothing.
    unsafe { asm!("nop", options(nomem, nostack)) };
    interrupts::disable();
}

/// Lets the next interrupt come. No controller waits for the end of a spurious one, but the first
/// one takes a spurious interrupt of the second for one of its own.
pub(super) fn acknowledge(vector: u8) {
    let ended = match vector {
        VECTOR => VECTOR,
        vector if vector == SPURIOUS[1] => VECTOR + 2,
        _ => return,
    };
    // SAFETY: called once for each interrupt; both vectors are the first controller's.
    unsafe { CONTROLLERS.lock().notify_end_of_interrupt(ended) };
}
