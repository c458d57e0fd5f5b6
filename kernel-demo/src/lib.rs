//! A small kernel whose heap is backed by page faults.
//!
//! ```text
//!   tour      command        tests/qemu: the suite            what it is for
//!  ───────────────────────────────────────────────────────
//!   boot      testing   evidence                              coming up; running cases and steps
//!  ───────────────────────────────────────────────────────
//!   kernel                                                    processes on this machine, all its CPUs
//!  ───────────────────────────────────────────────────────
//!   heap        programs                                      the global allocator; the images of ring-3 programs
//!  ───────────────────────────────────────────────────────
//!   system                                                    processes and system calls
//!  ───────────────────────────────────────────────────────
//!   arch        backtrace                                     segments, traps, ring 3, serial port, QEMU; calls on a stack
//!  ───────────────────────────────────────────────────────
//!   memory                                                    frames, page tables, breaks, the handler of page faults
//!  ───────────────────────────────────────────────────────
//!   address_space                                             a process's memory: areas, break, faults, views (policy)
//!  ───────────────────────────────────────────────────────
//!   strace                                                    system calls as strace writes them
//!  ───────────────────────────────────────────────────────
//!   story                                                     what happens to memory, told on a second serial port
//!  ───────────────────────────────────────────────────────
//!   cpu                                                       the block of each CPU, locks, requests, the local APIC
//!  ───────────────────────────────────────────────────────
//!   words                                                     addresses, accesses, permissions; Linux's errors and signals
//! ```
//!
//! Rules of this kernel:
//!
//! 1. All of the kernel lives in the higher half; `memory::layout` has the map. The lower half is
//!    the processes', each on page tables of its own (`memory::pages`). The kernel runs on its own
//!    tables, on which the lower half is empty.
//! 2. One CPU at a time is in the system: it has the kernel's lock, which is free in ring 3
//!    (`kernel`). Without a system the first CPU runs the kernel, and the others wait for
//!    work that it has for all (`cpu::work`). Interrupts are disabled in the kernel, but for
//!    moments between two turns of threads, and where a CPU waits for work; no stretch in between
//!    is longer than 50,000 instructions while processes run. Locks order as `memory` says.
//! 3. Nothing is mapped in a heap until it is touched, and serving the touch needs no heap.
//! 4. Policy is safe code that compiles for the host, where `cargo test --lib` runs its tests. What
//!    needs the machine is left out there (`cfg(not(test))`): `arch`, `boot`, `heap`, and the parts
//!    of `memory` and `testing` that use them.
//! 5. No unstable language feature: exception entries are naked functions.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub use kerntest_guest::{ensure, ensure_eq, ensure_matches};

pub mod address_space;
#[cfg(not(test))]
pub mod arch;
#[cfg(not(test))]
pub mod backtrace;
#[cfg(not(test))]
pub mod boot;
#[cfg(not(test))]
pub mod command;
#[cfg(not(test))]
pub mod cpu;
pub mod evidence;
#[cfg(not(test))]
pub mod heap;
#[cfg(not(test))]
pub mod kernel;
pub mod memory;
pub mod programs;
pub mod story;
pub mod strace;
pub mod system;
pub mod testing;
#[cfg(not(test))]
pub mod tour;
pub mod words;
