//! A panic ends the process with a message.

use core::panic::PanicInfo;

use crate::println;
use crate::system::process;

/// The exit status of a process that panicked.
const PANICKED: u8 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("panic: {info}");
    process::exit(PANICKED)
}
