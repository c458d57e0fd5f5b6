//! A page is entered in page tables, a break's or a process's: the account of its owner pays for
//! the tables that are missing.
#![allow(unsafe_code)]

use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

use super::frames::OutOfFrames;
use super::pool::{Account, Pool};
use super::tables::{Leaf, Mmu, Way};
use super::trace::{Event, Purpose};

/// Enters a page that is not mapped. Returns how many tables that took.
///
/// # Errors
///
/// There are not enough frames for the page tables. Nothing has changed.
///
/// # Safety
///
/// Accesses to the page are accesses to the frame: the caller answers for both.
#[inline(always)]
pub(super) unsafe fn enter<M: Mmu>(
    (pool, account): (&mut Pool, &mut Account),
    way: &mut Way<'_, M>,
    leaf: Leaf,
) -> Result<u64, OutOfFrames> {
    let missing = way.missing();
    if missing > 0 {
        complete(pool, account, way)?;
    }
    // SAFETY: the caller answers for the mapping.
    let entered = unsafe { way.enter(leaf) };
    entered.expect("the page is not mapped, and its tables are there");
    pool.trace.record(Event::Map { page: way.page(), frame: leaf.frame.start_address().as_u64() });
    Ok(missing as u64)
}

/// Adds the tables that are missing on the way to a page, which is to be entered then.
///
/// # Errors
///
/// There are not enough frames. Nothing has changed.
#[cold]
fn complete<M: Mmu>(
    pool: &mut Pool,
    account: &mut Account,
    way: &mut Way<'_, M>,
) -> Result<(), OutOfFrames> {
    let mut supply = Supply::default();
    for index in 0..way.missing() {
        match pool.take_for(account, Purpose::Table) {
            Ok(frame) => supply.0[index] = Some(frame),
            Err(out) => {
                for frame in supply.0.into_iter().flatten() {
                    pool.release(account, frame, Purpose::Table);
                }
                return Err(out);
            }
        }
    }
    way.complete(&mut supply).expect("no page is large, and the tables are supplied");
    Ok(())
}

/// Frames for the tables that one mapping adds: at most three.
#[derive(Default)]
struct Supply([Option<PhysFrame>; 3]);

// SAFETY: each frame was taken from the page allocator and is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Supply {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.0.iter_mut().find_map(Option::take)
    }
}
