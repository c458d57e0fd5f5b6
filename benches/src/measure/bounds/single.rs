//! Single operations of one kind: the common path, and the first refused request.

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use super::{Stepper, heaps};
use crate::measure::traces::{Words, counted_allocate, counted_deallocate};
use crate::measure::{Failure, Job, Outcome, process};
use crate::memory::{self, Pages};
use crate::random::Random;
use crate::subject::{self, Kind, Subject};

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 60;

/// More instructions of one operation are not counted.
const MOST: u64 = 20_000_000;

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Single {
    /// `allocate` of 64 bytes, of which free blocks are at hand: the median.
    Allocate,
    /// `deallocate`, with the layout, of such a block: the median.
    Deallocate,
    /// The first refused request in a heap that had so many blocks of all sizes up to a page:
    /// before it refuses, the heap gives up what it holds back.
    Refused(usize),
}

impl Single {
    /// All that a report has.
    pub const ALL: [Self; 4] =
        [Self::Allocate, Self::Deallocate, Self::Refused(1000), Self::Refused(100_000)];
}

impl std::fmt::Display for Single {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Allocate => f.pad("common path: allocate"),
            Self::Deallocate => f.pad("common path: deallocate"),
            Self::Refused(cells) => f.pad(&format!("first refused request, {cells} blocks")),
        }
    }
}

/// The instructions of an operation, by a child.
///
/// # Errors
///
/// Why there is no figure.
pub fn once(subject: subject::Name, single: Single) -> Outcome<u64> {
    if subject.kind() == Kind::Library {
        return Err(Failure::Unsupported);
    }
    process::run(&Job::Single { subject, single }, LIMIT)
}

/// The instructions, in this process.
pub(in crate::measure) fn here(subject: subject::Name, single: Single) -> Outcome<u64> {
    let len = match single {
        Single::Refused(cells) => heaps::len_of_begun(cells),
        _ => 16 << 20,
    };
    let region = memory::region(len, Pages::OnTouch).map_err(Failure::because)?;
    subject.visit(Count { single, region, stepper: Stepper::new()? })
}

struct Count {
    single: Single,
    region: NonNull<[u8]>,
    stepper: Stepper,
}

impl subject::Visitor for Count {
    type Output = Outcome<u64>;

    fn visit<S: Subject>(self) -> Self::Output {
        // SAFETY: a fresh region, used by nobody else, never given back.
        let mut subject = unsafe { S::new(self.region) };
        let mut random = Random::new(0x51_4613);
        match self.single {
            Single::Refused(cells) => {
                heaps::begun(cells, &mut random, &mut subject)?;
                let layout = Layout::from_size_align(heaps::too_much_for_begun(cells), 8)
                    .map_err(Failure::because)?;
                let (block, count) = self.stepper.count_to(MOST, || {
                    // SAFETY: the size is not 0; subjects live as long as the process.
                    unsafe { subject.allocate(layout) }
                });
                assert!(block.is_null(), "a block that overlaps live ones");
                Ok(count)
            }
            Single::Allocate => Ok(common(&self.stepper, &mut random, &mut Words(subject))?.0),
            Single::Deallocate => Ok(common(&self.stepper, &mut random, &mut Words(subject))?.1),
        }
    }
}

/// Median instructions of an `allocate` and a `deallocate` in a heap with free blocks of the size.
fn common<S: Subject>(
    stepper: &Stepper,
    random: &mut Random,
    subject: &mut S,
) -> Outcome<(u64, u64)> {
    const ROUNDS: usize = 99;
    heaps::sparse(4000, random, subject)?;
    let (mut allocated, mut freed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // SAFETY: the subject outlives the block, which is freed once.
        let (block, allocation, deallocation) = unsafe { pair(stepper, subject) };
        if block.is_null() {
            return Err(Failure::OutOfMemory);
        }
        // SAFETY: `Nothing` has no blocks.
        let (_, least_allocation, least_deallocation) = unsafe { pair(stepper, &mut Nothing) };
        allocated.push((allocation + ALLOCATE_NOTHING).saturating_sub(least_allocation));
        freed.push((deallocation + DEALLOCATE_NOTHING).saturating_sub(least_deallocation));
    }
    Ok((middle(allocated), middle(freed)))
}

/// Allocates and frees a block of 64 bytes; returns where it was, and the instructions of the two
/// calls with what is around them.
///
/// # Safety
///
/// As for [`Subject::allocate`].
#[inline(never)]
unsafe fn pair<S: Subject>(stepper: &Stepper, subject: &mut S) -> (*mut u8, u64, u64) {
    let layout = Layout::new::<[u64; 8]>();
    let (block, allocation) = stepper.count(|| {
        // SAFETY: the size is not 0; the rest is the caller's promise.
        black_box(unsafe { counted_allocate(black_box(&mut *subject), black_box(layout)) })
    });
    if block.is_null() {
        return (block, allocation, 0);
    }
    let ((), deallocation) = stepper.count(|| {
        // SAFETY: a live block of that size, which is not used any more.
        unsafe {
            counted_deallocate(black_box(&mut *subject), black_box(block), black_box(layout));
        }
    });
    (block, allocation, deallocation)
}

fn middle(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// Instructions of [`Nothing`]: the result and the return; the return.
const ALLOCATE_NOTHING: u64 = 2;
const DEALLOCATE_NOTHING: u64 = 1;

/// Allocates and frees nothing: what the call takes around the heap.
struct Nothing;

// SAFETY: it returns no block that anybody uses.
unsafe impl Subject for Nothing {
    unsafe fn new(_: NonNull<[u8]>) -> Self {
        Self
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        keep(self, std::ptr::from_ref(self).cast_mut().cast(), layout)
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        keep(self, block, layout);
    }
}

/// The same block. There is no instruction in it, but the compiler does not know that: it leaves
/// the function that calls it in, and passes all of its arguments.
#[inline]
fn keep(nothing: &Nothing, mut block: *mut u8, layout: Layout) -> *mut u8 {
    let (nothing, size) = (std::ptr::from_ref(nothing), layout.size());
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} {1} {2} */", inout(reg) block, in(reg) nothing, in(reg) size,
            options(nostack, preserves_flags));
    }
    block
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_bare_list_takes_few_instructions_and_refuses_at_once() {
        for single in [Single::Allocate, Single::Deallocate, Single::Refused(1000)] {
            let count = here(subject::Name::Floor, single).unwrap();
            assert!((1..3000).contains(&count), "{single}: {count}");
        }
    }
}
