//! Threads that share one locked heap (C25).

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::{Locked, RawHeap, RawLock};

/// Four threads allocate, write, check what they wrote, and free; each byte tells whose it is. The
/// heap has 4 MiB.
pub fn threads<H: RawHeap + Send, L: RawLock + Sync>(heap: &Locked<H, L>) {
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            scope.spawn(move || {
                let mut blocks: Vec<(NonNull<u8>, Layout)> = Vec::new();
                for step in 0..3_000_usize {
                    let layout =
                        Layout::from_size_align((step * 37 + thread * 11) % 700, 8).unwrap();
                    // SAFETY: the heap outlives the threads.
                    let block = unsafe { heap.allocate(layout) }.expect("4 MiB are enough");
                    // SAFETY: the block is that long.
                    unsafe { block.write_bytes(thread as u8, layout.size()) };
                    blocks.push((block, layout));
                    if step % 3 != 0 {
                        let (block, layout) = blocks.swap_remove(step * 31 % blocks.len());
                        // SAFETY: the block is live and that long.
                        let bytes =
                            unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
                        assert!(
                            bytes.iter().all(|&byte| byte == thread as u8),
                            "another thread wrote here"
                        );
                        // SAFETY: live until now.
                        unsafe { heap.deallocate(block, layout) };
                    }
                }
                for (block, layout) in blocks {
                    // SAFETY: live until now.
                    unsafe { heap.deallocate(block, layout) };
                }
            });
        }
    });
}
