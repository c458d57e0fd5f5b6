//! The second serial port, and the number of the next record.

use story_record::Kind;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

use crate::cpu::Lock;

const COM2: u16 = 0x2F8;

/// Where records go.
struct Port {
    uart: Uart16550<PioBackend>,
    /// Number of the next record.
    next: u64,
}

static PORT: Lock<Option<Port>> = Lock::new(None);

/// Sets up the port. `false` if there is none.
#[allow(unsafe_code)]
pub(super) fn init() -> bool {
    // SAFETY: COM2 is a UART, or nothing, on every PC, and nobody else in this kernel uses its
    // ports.
    let uart = unsafe { Uart16550::new_port(COM2) };
    let ready = uart.ok().and_then(|mut uart| uart.init(Config::default()).is_ok().then_some(uart));
    let port = ready.map(|uart| Port { uart, next: 0 });
    let is_ready = port.is_some();
    *PORT.lock() = port;
    is_ready
}

/// Sends a record, whole.
pub(super) fn send(kind: Kind, numbers: &[u64], text: &str) {
    if let Some(Port { uart, next }) = PORT.lock().as_mut() {
        let write = &mut |bytes: &[u8]| uart.send_bytes_exact(bytes);
        story_record::encode(*next, kind, numbers, text, write);
        *next += 1;
    }
}
