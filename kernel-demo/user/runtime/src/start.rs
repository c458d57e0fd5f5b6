//! How a program begins: from the first instruction to its own `run`.
//!
//! ```text
//!   the kernel: rsp ─► argc │ argv … 0 │ environment … 0 │ auxiliary vector
//!      │
//!   _start      aligns the stack; nothing of the image that holds an address can be used yet
//!      │
//!   start       relocates the image, then closes what only relocation writes to     image.rs
//!      │
//!   run         the program's own; what it returns is the exit status
//! ```

use crate::claim::Verdict;
use crate::system::process;
use crate::{Arguments, image, story};

/// Makes a binary of a function `fn(Arguments) -> Verdict`: its entry, and brkalloc as its heap,
/// `HEAP`.
///
/// `program!(run, simple)` takes the documents' simple heap instead; `program!(run, threads)` a
/// heap with an arena for each thread, `program!(run, one_lock)` one whose threads wait for each
/// other.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        static HEAP: $crate::ProcessHeap =
            $crate::macros::LockedHeap::with_map($crate::ProcessBreak, $crate::ProcessMap);

        #[global_allocator]
        static TOLD: $crate::Told<$crate::ProcessHeap> = $crate::Told::new(&HEAP);

        fn registered(arguments: $crate::Arguments) -> $crate::Verdict {
            // Linux has no such call, and nobody who would ask.
            let _ = $crate::HeapLayout::BRKALLOC.register();
            $run(arguments)
        }

        $crate::entry!(registered);
    };
    ($run:path, simple) => {
        static HEAP: $crate::SimpleProcessHeap = $crate::macros::Locked::from_heap(
            $crate::macros::SimpleHeap::new($crate::ProcessBreak),
        );

        #[global_allocator]
        static TOLD: $crate::Told<$crate::SimpleProcessHeap> = $crate::Told::new(&HEAP);

        $crate::entry!($run);
    };
    ($run:path, threads) => {
        #[global_allocator]
        static HEAP: $crate::ThreadsHeap = $crate::macros::ArenaHeap::with_map(
            $crate::ProcessBreak,
            $crate::thread::ThreadSlots,
            $crate::ProcessMap,
        );

        fn with_threads(arguments: $crate::Arguments) -> $crate::Verdict {
            $crate::thread::begin();
            $run(arguments)
        }

        $crate::entry!(with_threads);
    };
    ($run:path, one_lock) => {
        #[global_allocator]
        static HEAP: $crate::OneLockHeap = $crate::macros::Locked::from_heap(
            $crate::macros::Heap::with_map($crate::ProcessBreak, $crate::ProcessMap),
        );

        $crate::entry!($run);
    };
}

/// The entry of a binary whose own code is `$run`.
#[doc(hidden)]
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        /// The first instruction. There is nothing to return to, and until the image is relocated
        /// only what is reached relative to the instruction is where it says.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            ::core::arch::naked_asm!(
                "xor ebp, ebp",
                "mov rdi, rsp",
                "lea rsi, [rip + __ehdr_start]",
                "lea rdx, [rip + _DYNAMIC]",
                "and rsp, -16",
                "call {begin}",
                "ud2",
                begin = sym begin,
            )
        }

        extern "C" fn begin(stack: *const usize, image: *const u8, dynamic: *const u8) -> ! {
            // SAFETY: `_start` calls this once, with what the kernel and the linker give it.
            unsafe { $crate::start(stack, image, dynamic, $run) }
        }
    };
}

/// Makes the image usable, runs the program, and ends the process.
///
/// # Safety
///
/// Called once, by the first instruction of the process: `stack` is the stack pointer at that time,
/// `image` is where the linked image begins, `dynamic` is its dynamic section.
pub unsafe fn start(
    stack: *const usize,
    image: *const u8,
    dynamic: *const u8,
    run: fn(Arguments) -> Verdict,
) -> ! {
    // SAFETY: the caller's promise.
    unsafe { image::relocate(image, dynamic.cast()) };
    // SAFETY: the image is relocated, and nobody has kept what it was.
    unsafe { image::close_relocated(image) };
    // SAFETY: the caller's promise.
    let arguments = unsafe { Arguments::new(stack) };
    story::start(arguments.auxiliary().story);
    process::exit(match run(arguments) {
        Ok(()) => 0,
        Err(untrue) => untrue.status(),
    })
}
