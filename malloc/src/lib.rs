//! `libbrkmalloc.so`: brkalloc as the `malloc` of a process (C28).
//!
//! ```text
//!   malloc · free · memalign · operator new · mallopt · …   entry/      what C and C++ call
//!  ──────────────────────────────────────────────────────────────────────
//!   allocate · deallocate · reallocate · usable_size        engine/     usual, checked, or traced
//!  ──────────────────────────────────────────────────────────────────────
//!   ArenaHeap · Locked<CheckedHeap>                         brkalloc
//!  ──────────────────────────────────────────────────────────────────────
//!   ProcessBreak · Mappings                                 provider/   brk, mmap, madvise, …
//! ```
//!
//! The other files: `request` (layouts), `options` (the environment), `start` (constructor, fork
//! handlers, destructor), `thread` (slots of threads), `decay` (when free pages go back), `lock`
//! and `stdio` (what `fork` holds), `fault` (handler of page faults), `clock`, `errno`, `report`
//! (messages).
//!
//! # Rules
//!
//! 1. No function of this library calls a function that may call `malloc`, except where a comment
//!    says why that is harmless. There is no std.
//! 2. Nothing unwinds: a panic, and corruption that the heap finds, is a message and `abort`.
//! 3. All state works zeroed from the first call on: before constructors, and after destructors.
//! 4. `free` preserves `errno`.

#![no_std]

mod barrier;
mod clock;
mod decay;
mod engine;
mod entry;
mod errno;
mod fault;
mod lock;
mod options;
mod provider;
mod report;
#[deny(unsafe_code)]
mod request;
mod start;
mod stdio;
mod thread;

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
compile_error!("libbrkmalloc is written for Linux with glibc on x86-64");

/// Aborts the process: a panic is a misuse that the heap found, corruption, or a bug of the heap.
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    match info.location() {
        Some(place) => report::die(format_args!(
            "{} (found in {}, line {})",
            info.message(),
            place.file().rsplit('/').next().unwrap_or_default(),
            place.line()
        )),
        None => report::die(format_args!("{}", info.message())),
    }
}
