//! The second serial port.

use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

const COM2: u16 = 0x2F8;

static PORT: Mutex<Option<Uart16550<PioBackend>>> = Mutex::new(None);

/// Sets up the port. `false` if there is none.
#[allow(unsafe_code)]
pub(super) fn init() -> bool {
    // SAFETY: COM2 is a UART, or nothing, on every PC, and nobody else in this kernel uses its
    // ports.
    let port = unsafe { Uart16550::new_port(COM2) };
    let ready = port.ok().and_then(|mut port| port.init(Config::default()).is_ok().then_some(port));
    let is_ready = ready.is_some();
    *PORT.lock() = ready;
    is_ready
}

/// Sends bytes.
pub(super) fn send(bytes: &[u8]) {
    if let Some(port) = PORT.lock().as_mut() {
        port.send_bytes_exact(bytes);
    }
}
