//! The console: the first serial port.
//!
//! Printing allocates nothing and takes the port's lock only, so it is allowed everywhere, except
//! in the memory manager, which is silent.

use core::fmt::{self, Write};

use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

use crate::cpu::Lock;

const COM1: u16 = 0x3F8;

struct Console(Option<Uart16550<PioBackend>>);

static CONSOLE: Lock<Console> = Lock::new(Console(None));

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let port = self.0.as_mut().ok_or(fmt::Error)?;
        port.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}

/// Sets up the port. Printing before that, or without a port, prints nothing.
pub fn init() {
    // SAFETY: COM1 is a UART on every PC, and nobody else in this kernel uses its ports.
    let port = unsafe { Uart16550::new_port(COM1) };
    let ready = port.ok().and_then(|mut port| port.init(Config::default()).is_ok().then_some(port));
    CONSOLE.lock().0 = ready;
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
    if let Some(port) = &mut CONSOLE.lock().0 {
        port.send_bytes_exact(bytes);
    }
}

/// A byte that has come in and was not read yet.
pub fn read_byte() -> Option<u8> {
    CONSOLE.lock().0.as_mut()?.try_receive_byte().ok()
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
