//! The page allocator, with the machine's own frames.

use alloc::vec::Vec;

use kernel_demo::memory::frames::{FreeError, MAX_ORDER};
use kernel_demo::memory::layout::{PAGE_SIZE, frame_at};
use kernel_demo::memory::with;
use kernel_demo::testing::{CaseResult, OrFail};
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;
use crate::counts;

#[case]
fn taken_frames_are_distinct_and_counted() -> CaseResult {
    let mut taken = Vec::with_capacity(200);
    let before = counts();
    for n in 1..=200 {
        taken.push(with(|memory| memory.frames().allocate(0)).or_fail("a frame")?);
        ensure_eq!(counts().used(), before.used() + n);
    }
    taken.sort();
    let distinct = taken.windows(2).all(|pair| pair[0] != pair[1]);
    for frame in taken {
        with(|memory| memory.frames().free(frame, 0)).or_fail("a frame that can be freed")?;
    }
    ensure!(distinct, "a frame was handed out twice");
    ensure_eq!(counts(), before);
    Ok(())
}

#[case]
fn blocks_are_aligned_and_merge_again() -> CaseResult {
    for order in 0..=MAX_ORDER {
        let before = counts();
        let block = with(|memory| memory.frames().allocate(order)).or_fail("a block")?;
        let taken = counts().used() - before.used();
        with(|memory| memory.frames().free(block, order)).or_fail("a block that can be freed")?;
        ensure_eq!(taken, 1 << order);
        ensure_eq!(block.start_address().as_u64() % (PAGE_SIZE << order), 0);
        ensure_eq!(counts(), before);
    }
    Ok(())
}

#[case]
fn freeing_twice_is_an_error_with_the_address() -> CaseResult {
    let frame = with(|memory| memory.frames().allocate(0)).or_fail("a frame")?;
    let address = frame.start_address().as_u64();
    let wrong_order = with(|memory| memory.frames().free(frame, 1));
    let first = with(|memory| memory.frames().free(frame, 0));
    let second = with(|memory| memory.frames().free(frame, 0));
    ensure_eq!(wrong_order, Err(FreeError::WrongOrder { address, expected: 0, found: 1 }));
    ensure_eq!(first, Ok(()));
    ensure_eq!(second, Err(FreeError::NotInUse(address)));
    Ok(())
}

#[case]
fn memory_of_devices_and_kernel_is_foreign() -> CaseResult {
    let before = counts();
    let image = with(|memory| memory.tables().translate(0xFFFF_FFFF_8000_0000))
        .or_fail("the kernel's image is mapped")?;
    for address in [0, 0xF_0000, 0xFFFC_0000, image.physical] {
        ensure_eq!(
            with(|memory| memory.frames().free(frame_at(address), 0)),
            Err(FreeError::Foreign(address))
        );
    }
    ensure_eq!(counts(), before);
    Ok(())
}
