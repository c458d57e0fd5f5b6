//! Single operations of one kind: the common path, and the first refused request.

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use super::{Stepper, heaps};
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
    /// The first refused request in a heap of so many blocks, three quarters of them free: the heap
    /// gives up what it holds back before.
    Refused(usize),
}

impl Single {
    /// All that a report has.
    pub const ALL: [Self; 5] = [
        Self::Allocate,
        Self::Deallocate,
        Self::Refused(1000),
        Self::Refused(100_000),
        Self::Refused(1_000_000),
    ];
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
        Single::Refused(cells) => heaps::len_of_sparse(cells),
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
                heaps::sparse(cells, &mut random, &mut subject)?;
                let layout = Layout::from_size_align(heaps::len_of_sparse(cells), 8)
                    .map_err(Failure::because)?;
                let (block, count) = self.stepper.count_to(MOST, || {
                    // SAFETY: the size is not 0; subjects live as long as the process.
                    unsafe { subject.allocate(layout) }
                });
                assert!(block.is_null(), "a block as long as the whole region");
                Ok(count)
            }
            Single::Allocate => Ok(common(&self.stepper, &mut random, &mut subject)?.0),
            Single::Deallocate => Ok(common(&self.stepper, &mut random, &mut subject)?.1),
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
        let mut nothing = Nothing;
        // SAFETY: the size is not 0; the block is freed once; `Nothing` has no blocks.
        unsafe {
            let (block, count) =
                stepper.count(|| allocate_out_of_line(black_box(subject), black_box(64)));
            let least =
                stepper.count(|| allocate_out_of_line(black_box(&mut nothing), black_box(64))).1;
            if block.is_null() {
                return Err(Failure::OutOfMemory);
            }
            allocated.push((count + ALLOCATE_NOTHING).saturating_sub(least));
            let count = stepper
                .count(|| {
                    deallocate_out_of_line(black_box(subject), black_box(block), black_box(64))
                })
                .1;
            let least = stepper
                .count(|| {
                    deallocate_out_of_line(black_box(&mut nothing), black_box(block), black_box(64))
                })
                .1;
            freed.push((count + DEALLOCATE_NOTHING).saturating_sub(least));
        }
    }
    Ok((middle(allocated), middle(freed)))
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

    unsafe fn allocate(&mut self, _: Layout) -> *mut u8 {
        std::ptr::from_mut(self).cast()
    }

    unsafe fn deallocate(&mut self, _: *mut u8, _: Layout) {}
}

/// `allocate` with an alignment that the compiler knows, as in most programs.
///
/// # Safety
///
/// As for [`Subject::allocate`].
#[inline(never)]
unsafe extern "C" fn allocate_out_of_line<S: Subject>(subject: &mut S, size: usize) -> *mut u8 {
    // SAFETY: 8 is an alignment; the rest is the caller's promise.
    unsafe { subject.allocate(Layout::from_size_align_unchecked(size, 8)) }
}

/// `deallocate` with an alignment that the compiler knows.
///
/// # Safety
///
/// As for [`Subject::deallocate`].
#[inline(never)]
unsafe extern "C" fn deallocate_out_of_line<S: Subject>(
    subject: &mut S,
    block: *mut u8,
    size: usize,
) {
    // SAFETY: 8 is an alignment; the rest is the caller's promise.
    unsafe { subject.deallocate(block, Layout::from_size_align_unchecked(size, 8)) };
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
