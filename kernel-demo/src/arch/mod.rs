//! The processor and the machine: the only part of the kernel that knows instructions and ports.
//!
//! ```text
//!   catch                 run code so that a fault does not end the kernel
//!   user ─── timer        enter ring 3 like a function; what ends an endless loop there
//!     └ user_entry        the instructions that do it
//!   trap ─── trap_frame   every exception arrives here: serve, leave ring 3, return to a catcher, or report and stop
//!   gdt                   segments of both rings, and the stacks that fatal exceptions are taken on
//!   entropy               numbers that nobody can tell in advance
//!   vga                   the text screen
//!   serial                the console              qemu    exit status and options from the command line
//! ```
//!
//! Rules of this room: each `unsafe` block does one thing and says why it may; what can be decided
//! without the machine is decided in `memory`, where it is tested on the host.
#![allow(unsafe_code, reason = "registers, ports and page tables are reached here only")]

pub mod catch;
pub mod entropy;
pub mod gdt;
pub mod qemu;
pub mod serial;
pub mod timer;
pub mod trap;
mod trap_frame;
pub mod user;
mod user_entry;
pub mod vga;

pub use catch::catch_fault;
