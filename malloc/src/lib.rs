//! `libbrkmalloc.so`: brkalloc as the `malloc` of a process (C28).
//!
//! ```text
//!   malloc · free · … · memalign · … · operator new · … · mallopt · …       entry/      what C and C++ call
//!  ──────────────────────────────────────────────────────────────────────
//!   allocate · free · reallocate · usable_size                              engine/     which heap: the usual one, the checked one; a trace
//!  ──────────────────────────────────────────────────────────────────────
//!   brkalloc, and brkalloc with its profile `checked`
//!  ──────────────────────────────────────────────────────────────────────
//!   ProcessBreak · Mappings                                                 provider/   brk, mmap, mremap, munmap, madvise
//! ```
//!
//! beside it: `request` (which layout is meant), `options` (the environment), `start`
//! (constructors, `fork`, exit), `thread` (who has which arena), `decay` (when unused pages go
//! back), `lock`, `pause`, `report` (messages).
//!
//! # Rules
//!
//! 1. Nothing here calls anything that might call `malloc`, except where it says why that is
//!    harmless. There is no std.
//! 2. Nothing unwinds: a panic, and what the heap finds corrupt, is a message and `abort`.
//! 3. Whatever state there is works zeroed, from the first call on: before constructors, and after
//!    destructors.
//! 4. `free` leaves `errno` alone.

#![no_std]

mod decay;
mod engine;
mod entry;
mod errno;
mod lock;
mod options;
mod pause;
mod provider;
mod report;
#[deny(unsafe_code)]
mod request;
mod start;
mod thread;

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
compile_error!("libbrkmalloc is written for Linux with glibc on x86-64");

/// A panic is a bug of the heap: the process ends, as for corruption.
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    report::die(format_args!("{info}"))
}
