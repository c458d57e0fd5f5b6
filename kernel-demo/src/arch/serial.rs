//! The console: the first serial port.
//!
//! Printing allocates nothing and takes the port's lock only, so it is allowed everywhere, except
//! in the memory manager, which is silent.

use core::array::IntoIter;
use core::fmt::{self, Write};

use uart_16550::backend::{Backend, PioBackend};
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{MCR, offsets};
use uart_16550::{Config, Uart16550};

use crate::cpu::Lock;

const COM1: u16 = 0x3F8;

/// Maximum number of bytes that come in before the port is set up.
const EARLY: usize = FIFO_SIZE + 1;

/// The port, and what came in before it was set up; there a zero is no byte.
struct Console(Option<(Uart16550<PioBackend>, IntoIter<u8, EARLY>)>);

static CONSOLE: Lock<Console> = Lock::new(Console(None));

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (port, _) = self.0.as_mut().ok_or(fmt::Error)?;
        port.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}

/// Sets up the port. Printing before that, or without a port, prints nothing.
///
/// Keys that were typed during the boot wait in the port, which forgets them when its queues are
/// turned on; so they are read first. Until then loop-back mode keeps QEMU from handing on more.
pub fn init() {
    // SAFETY: COM1 is a UART on every PC, and nobody else in this kernel uses its ports.
    let Ok(mut port) = (unsafe { Uart16550::new_port(COM1) }) else { return };
    let mut early = [0; EARLY];
    // SAFETY: the register is one of the port's.
    unsafe { port.backend_mut().write(offsets::MCR as u8, MCR::LOOP_BACK.bits()) };
    let len = port.receive_bytes(&mut early[..FIFO_SIZE]);
    if port.init(Config::default()).is_ok() {
        // Has QEMU hand on what waits in front of the port; the answer is 0 if nothing is in it.
        // SAFETY: the register is one of the port's.
        early[len] = unsafe { port.backend_mut().read(offsets::DATA as u8) };
        CONSOLE.lock().0 = Some((port, early.into_iter()));
    }
}

/// Takes the console away from whoever was printing when the kernel failed, so that the failure can
/// be reported.
///
/// # Safety
///
/// The holder of the lock will not run again.
pub unsafe fn seize() {
    // SAFETY: the holder will not run again, so nobody is left to be surprised.
    unsafe { CONSOLE.seize() };
}

/// Prints to the console. What [`print!`](crate::print) expands to.
pub fn write(text: fmt::Arguments<'_>) {
    // The only error is a missing port, and there is no other place to report that to.
    let _ = CONSOLE.lock().write_fmt(text);
}

/// Prints bytes, whatever they are.
pub fn write_bytes(bytes: &[u8]) {
    if let Some((port, _)) = &mut CONSOLE.lock().0 {
        port.send_bytes_exact(bytes);
    }
}

/// A byte that has come in and was not read yet.
pub fn read_byte() -> Option<u8> {
    let mut console = CONSOLE.lock();
    let (port, early) = console.0.as_mut()?;
    early.find(|byte| *byte != 0).or_else(|| port.try_receive_byte().ok())
}

/// Prints to the serial console.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::arch::serial::write(::core::format_args!($($text)*)) };
}

/// Prints a line to the serial console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", ::core::format_args!($($text)*)) };
}
