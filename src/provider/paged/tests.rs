//! A paged break over page tables in the host's memory, which no processor uses.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::vec::Vec;

use x86_64::PhysAddr;
use x86_64::structures::paging::{OffsetPageTable, PageTable, Translate};

use super::*;

/// Frames of a host allocation, which stands for physical memory from address 0 on.
struct Pool {
    memory: *mut u8,
    free: Vec<u64>,
    /// Frames handed out.
    taken: BTreeSet<u64>,
    /// Calls until one is refused.
    refuse_at: usize,
}

const FRAMES: usize = 64;

impl Pool {
    fn new() -> Self {
        let layout = Layout::from_size_align(FRAMES * PAGE, PAGE).unwrap();
        // SAFETY: the layout has a size. The memory is leaked: mappers refer to it.
        let memory = unsafe { alloc_zeroed(layout) };
        let free = (0..FRAMES as u64).rev().collect();
        Self { memory, free, taken: BTreeSet::new(), refuse_at: usize::MAX }
    }

    fn physical(&self) -> VirtAddr {
        VirtAddr::from_ptr(self.memory)
    }

    /// Page tables in a frame of their own.
    fn mapper(&mut self) -> OffsetPageTable<'static> {
        let frame = self.allocate_frame().unwrap();
        let table = (self.physical() + frame.start_address().as_u64()).as_mut_ptr::<PageTable>();
        // SAFETY: the frame is zeroed, as an empty table is; physical memory is at `memory`.
        unsafe { OffsetPageTable::new(&mut *table, self.physical()) }
    }
}

// SAFETY: a frame is handed out once until it is given back.
unsafe impl FrameAllocator<Size4KiB> for Pool {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        self.refuse_at = self.refuse_at.checked_sub(1)?;
        let number = self.free.pop()?;
        assert!(self.taken.insert(number));
        Some(PhysFrame::containing_address(PhysAddr::new(number * PAGE as u64)))
    }
}

impl FrameDeallocator<Size4KiB> for Pool {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame<Size4KiB>) {
        let number = frame.start_address().as_u64() / PAGE as u64;
        assert!(self.taken.remove(&number), "a frame that is given back was taken");
        self.free.push(number);
    }
}

std::thread_local!(static FLUSHED: Cell<usize> = const { Cell::new(0) });

fn note_flush(_: Page<Size4KiB>) {
    FLUSHED.set(FLUSHED.get() + 1);
}

const START: usize = 0x4444_4444_0000;
const LEN: usize = 1 << 20;

fn paged() -> PagedBreak<OffsetPageTable<'static>, Pool> {
    let mut pool = Pool::new();
    let mapper = pool.mapper();
    // SAFETY: no processor uses these tables, and the test does not touch the addresses.
    unsafe {
        PagedBreak::new(core::ptr::without_provenance_mut(START), LEN, mapper, pool)
            .with_flush(note_flush)
    }
}

impl<F> PagedBreak<OffsetPageTable<'static>, F> {
    /// Pages of the region that are mapped, by index.
    fn mapped(&self) -> Vec<usize> {
        let is_mapped = |index: &usize| {
            let address = VirtAddr::new((START + index * PAGE) as u64);
            self.mapper.translate_addr(address).is_some()
        };
        (0..LEN / PAGE).filter(is_mapped).collect()
    }
}

/// Page tables below the highest one: three for any region inside of 2 MiB.
const TABLES: usize = 3;

#[test]
fn grants_are_mapped_and_what_is_given_back_is_not() {
    let mut brk = paged();
    let grant = brk.grow(100).unwrap();
    assert_eq!((grant.cast::<u8>().addr().get(), grant.len()), (START, 100));
    assert_eq!((brk.mapped(), brk.frames.taken.len()), (std::vec![0], 1 + TABLES + 1));
    brk.grow(3 * PAGE).unwrap();
    assert_eq!(brk.mapped(), [0, 1, 2, 3]);
    FLUSHED.set(0);
    // SAFETY: the bytes were granted and are not used.
    unsafe { brk.shrink(3 * PAGE).unwrap() };
    assert_eq!((brk.mapped(), FLUSHED.get()), (std::vec![0], 3));
    // SAFETY: as before.
    unsafe { brk.shrink(100).unwrap() };
    assert_eq!((brk.mapped().len(), brk.frames.taken.len()), (0, 1 + TABLES));
}

#[test]
fn every_refused_frame_leaves_the_break_as_it_was() {
    for refused in 0.. {
        let mut brk = paged();
        brk.grow(PAGE).unwrap();
        let before = (brk.end(), brk.mapped(), brk.frames.taken.len());
        brk.frames.refuse_at = refused;
        match brk.grow(5 * PAGE) {
            Err(error) => assert_eq!(error, BreakError::OutOfMemory),
            Ok(_) => {
                assert_eq!(refused, 5, "each of five frames was refused once");
                return;
            }
        }
        assert_eq!((brk.end(), brk.mapped(), brk.frames.taken.len()), before);
        brk.frames.refuse_at = usize::MAX;
        brk.grow(5 * PAGE).unwrap();
        assert_eq!(brk.mapped(), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_refused_table_leaves_the_break_as_it_was() {
    for refused in 0..=TABLES {
        let mut brk = paged();
        brk.frames.refuse_at = refused;
        assert_eq!(brk.grow(PAGE), Err(BreakError::OutOfMemory), "{refused}");
        assert_eq!((brk.end().addr(), brk.mapped()), (START, std::vec![]));
        brk.frames.refuse_at = usize::MAX;
        brk.grow(PAGE).unwrap();
    }
}

#[test]
fn the_region_ends_where_it_ends() {
    let mut brk = paged();
    assert_eq!(brk.grow(LEN + 1), Err(BreakError::OutOfAddresses));
    assert_eq!(brk.grow(usize::MAX), Err(BreakError::OutOfAddresses));
    // SAFETY: nothing was granted, and nothing is taken back.
    assert_eq!(unsafe { brk.shrink(1) }, Err(BreakError::OutOfAddresses));
}

#[test]
fn a_region_that_begins_inside_a_page_has_that_page() {
    let mut brk = paged();
    brk.start = brk.start.wrapping_add(PAGE / 2);
    brk.grow(PAGE / 2).unwrap();
    assert_eq!(brk.mapped(), [0]);
    brk.grow(1).unwrap();
    assert_eq!(brk.mapped(), [0, 1]);
    // SAFETY: the byte was granted and is not used.
    unsafe { brk.shrink(1).unwrap() };
    assert_eq!(brk.mapped(), [0]);
}

#[test]
fn recycled_frames_come_back_before_fresh_ones() {
    let pool = Pool::new();
    let physical = pool.physical();
    // SAFETY: the pool's frames are at `physical`.
    let mut frames = unsafe { RecycledFrames::new(pool, physical) };
    let [a, b, c] = [(); 3].map(|()| frames.allocate_frame().unwrap());
    // SAFETY: the frames are not used.
    unsafe {
        frames.deallocate_frame(a);
        frames.deallocate_frame(c);
    }
    let again = [(); 3].map(|()| frames.allocate_frame().unwrap());
    assert_eq!(again[..2], [c, a]);
    assert!(![a, b, c].contains(&again[2]));
}
