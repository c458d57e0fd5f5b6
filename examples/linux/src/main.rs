//! A Linux program with std: an arena for each thread, over a break that grows and shrinks.

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, exit};
use std::sync::mpsc;
use std::thread;

use brkalloc::{ArenaHeap, LinuxBreak, LinuxHeap, LinuxMap, LinuxThreads};

#[global_allocator]
static HEAP: LinuxHeap = ArenaHeap::with_map(LinuxBreak::new(), THREADS, LinuxMap);
// SAFETY: a thread that ends is in no operation of the heap.
const THREADS: LinuxThreads = LinuxThreads::new(|| unsafe { HEAP.end_of_thread() });

fn main() {
    if std::env::args().nth(1).as_deref() == Some("panic") {
        panic!("on purpose");
    }
    let heap = work::Heap {
        live,
        peak: || HEAP.stats().parent.peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 256 << 10,
        budget: 8 << 20,
        too_much: isize::MAX as usize / 2,
    };
    // The first thread, and the first output, leave something behind.
    thread::spawn(|| println!("begin")).join().unwrap();
    let mut cases: [work::Case; 3] = [
        ("threads_pass_blocks_on", &mut pass_on),
        ("threads_that_end_give_their_memory_back", &mut end_of_threads),
        ("a_panic_with_a_back_trace_ends", &mut panic_ends),
    ];
    work::run(&mut Stdout, &heap, &mut cases);
    exit(work::PASSED);
}

/// Bytes in use, without what the heap keeps for the next request.
fn live() -> usize {
    HEAP.flush();
    HEAP.used()
}

fn pass_on() {
    let (sender, receiver) = mpsc::channel();
    let threads = [(); 4].map(|()| {
        let sender = sender.clone();
        thread::spawn(move || {
            (0..10_000).for_each(|n| sender.send(vec![n as u8; n % 500]).unwrap());
        })
    });
    drop(sender);
    let sum: usize = receiver.iter().map(|block| block.len()).sum();
    assert_eq!(sum, 4 * (0..10_000).map(|n| n % 500).sum::<usize>());
    // A scope of threads ends before what they do at their end, which gives their arenas up.
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn end_of_threads() {
    let before = HEAP.size();
    for _ in 0..200 {
        assert_eq!(thread::spawn(|| vec![1_u8; 50_000].len()).join().unwrap(), 50_000);
    }
    assert!(HEAP.size() <= before + (256 << 10), "{} after {before}", HEAP.size());
}

/// A back-trace allocates megabytes inside the panic.
fn panic_ends() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg("panic").env("RUST_BACKTRACE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("on purpose") && said.contains("stack backtrace"), "{said}");
    assert!(!output.status.success());
}

/// Standard output, without a buffer.
struct Stdout;

impl fmt::Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| fmt::Error)
    }
}
