//! Back-traces end, whatever the frame pointers are.

use core::ptr;

use kernel_demo::backtrace::{MOST_CALLS, calls};
use kernel_demo::memory::layout::IMAGE;
use kernel_demo::testing::CaseResult;
use kernel_demo::{ensure, ensure_eq};

use crate::common::case;

/// What a call leaves on the stack: the caller's frame pointer, and where the call returns to.
type Frame = [u64; 2];

fn address(frame: &Frame) -> u64 {
    ptr::from_ref(frame).addr() as u64
}

#[case]
fn calls_are_found_by_frame_pointers() -> CaseResult {
    let outer: Frame = [0, IMAGE + 20];
    let inner: Frame = [address(&outer), IMAGE + 10];
    ensure!(calls(address(&inner)).eq([IMAGE + 9, IMAGE + 19]), "inside the calls");
    Ok(())
}

/// The last one is not canonical: to read it is no page fault.
#[case]
fn a_frame_that_cannot_be_read_ends_them() -> CaseResult {
    for nowhere in [0, 0x10, u64::MAX, u64::MAX - 15, 0xffff_9000_0000_0000 - 8, 1 << 63] {
        ensure_eq!(calls(nowhere).count(), 0);
        let frame: Frame = [nowhere, IMAGE + 10];
        ensure!(calls(address(&frame)).eq([IMAGE + 9]), "{nowhere:#x}");
    }
    Ok(())
}

#[case]
fn an_address_outside_of_the_kernel_ends_them() -> CaseResult {
    for returns_to in [0, 0x5555_5555_0000, IMAGE - 1] {
        let frame: Frame = [0, returns_to];
        ensure_eq!(calls(address(&frame)).count(), 0);
    }
    Ok(())
}

#[case]
fn frames_in_a_circle_come_to_an_end() -> CaseResult {
    let mut frame: Frame = [0, IMAGE + 10];
    frame[0] = address(&frame);
    ensure_eq!(calls(address(&frame)).count(), MOST_CALLS);
    Ok(())
}
