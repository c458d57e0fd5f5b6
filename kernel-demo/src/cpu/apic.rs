//! The local APIC: each CPU's own interrupt controller, at the same address for all.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;

use crate::words::layout::LOCAL_APIC;

/// The interrupt that the controller raises when a request is gone before it is answered.
pub const SPURIOUS: u8 = 0xFF;

/// Registers, by their offset.
const ID: u64 = 0x20;
const END_OF_INTERRUPT: u64 = 0xB0;
const SPURIOUS_VECTOR: u64 = 0xF0;
const COMMAND: u64 = 0x300;
const COMMAND_TARGET: u64 = 0x310;
const TIMER: u64 = 0x320;
const LINE_0: u64 = 0x350;
const TIMER_START: u64 = 0x380;
const TIMER_NOW: u64 = 0x390;
const TIMER_DIVISOR: u64 = 0x3E0;

/// Bits of an entry of the local vector table.
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
/// The command is on its way.
const PENDING: u32 = 1 << 12;
/// Commands to all CPUs but this one: reset, and start at the page whose number is the vector.
const INIT_ALL: u32 = 0xC_4500;
const START_ALL: u32 = 0xC_4600;

/// Steps of the timer in a millisecond.
static STEPS: AtomicU32 = AtomicU32::new(0);

fn read(register: u64) -> u32 {
    // SAFETY: the page is mapped to the controller; none of these registers changes when it is
    // read.
    unsafe { ptr::with_exposed_provenance::<u32>((LOCAL_APIC + register) as usize).read_volatile() }
}

fn write(register: u64, value: u32) {
    let register = ptr::with_exposed_provenance_mut::<u32>((LOCAL_APIC + register) as usize);
    // SAFETY: the page is mapped to the controller, which writes no memory.
    unsafe { register.write_volatile(value) };
}

/// Silences the PC's old controllers, which the firmware left talking. Called once, by the first
/// CPU, before it switches its own controller on.
pub fn silence_old_controllers() {
    for mask in [0x21, 0xA1] {
        // SAFETY: the ports are the controllers', whose interrupts nothing waits for.
        unsafe { Port::<u8>::new(mask).write(0xFF) };
    }
}

/// Switches this CPU's controller on. The timer is silent, and the old controllers are cut off.
pub fn enable() {
    write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
    write(LINE_0, MASKED);
    write(TIMER, MASKED);
    write(TIMER_DIVISOR, 0b0011);
    end_of_interrupt();
}

/// The number by which the controller knows this CPU.
pub fn id() -> u32 {
    read(ID) >> 24
}

/// Lets the next interrupt come.
#[inline]
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Interrupts another CPU.
pub fn send(id: u32, vector: u8) {
    without_interrupts(|| {
        write(COMMAND_TARGET, id << 24);
        command(u32::from(vector));
    });
}

/// Resets all other CPUs and lets them start in real mode at a page below 1 MiB.
pub fn start_others(page: u8) {
    command(INIT_ALL);
    wait(10_000);
    for _ in 0..2 {
        command(START_ALL | u32::from(page));
        wait(200);
    }
}

fn command(command: u32) {
    write(COMMAND, command);
    while read(COMMAND) & PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Finds out how fast the timer is, by the PC's interval timer. Called once, by the first CPU.
pub fn calibrate() {
    const MILLISECONDS: u32 = 5;
    write(TIMER_START, u32::MAX);
    wait(MILLISECONDS * 1000);
    STEPS.store((u32::MAX - read(TIMER_NOW)) / MILLISECONDS, Ordering::Relaxed);
    write(TIMER_START, 0);
}

/// Lets this CPU's timer interrupt it each so many microseconds.
///
/// # Panics
///
/// When the interval is zero or longer than the timer can count.
pub fn start_timer(vector: u8, microseconds: u32) {
    let steps = u64::from(STEPS.load(Ordering::Relaxed)) * u64::from(microseconds) / 1000;
    let steps = u32::try_from(steps).ok().filter(|steps| *steps > 0);
    write(TIMER, PERIODIC | u32::from(vector));
    write(TIMER_START, steps.expect("an interval that the timer can count"));
}

/// Stops this CPU's timer.
pub fn stop_timer() {
    write(TIMER, MASKED);
    write(TIMER_START, 0);
}

/// Waits so many microseconds, of which there may be 54,000, by the third counter of the PC's
/// interval timer.
fn wait(microseconds: u32) {
    /// Oscillations of the timer in a second.
    const FREQUENCY: u64 = 1_193_182;
    /// Counter 2, both bytes of it, mode 0: once.
    const ONCE: u8 = 0b1011_0000;
    let [low, high, ..] = (u64::from(microseconds) * FREQUENCY / 1_000_000).to_le_bytes();
    let mut gate = Port::<u8>::new(0x61);
    // SAFETY: the ports are the interval timer's, whose third counter nothing else uses; bit 0 lets
    // it count, and bit 1 is the loudspeaker.
    unsafe {
        let before = gate.read() & !0b11;
        gate.write(before | 1);
        for (port, value) in [(0x43, ONCE), (0x42, low), (0x42, high)] {
            Port::new(port).write(value);
        }
        while gate.read() & 1 << 5 == 0 {
            core::hint::spin_loop();
        }
    }
}
