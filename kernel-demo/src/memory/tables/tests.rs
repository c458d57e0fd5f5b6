use std::cell::{RefCell, UnsafeCell};
use std::rc::Rc;

use super::*;
use crate::memory::layout::{PAGE_SIZE, frame_at, page_at};

/// Physical memory made of a vector, and a record of the flushes.
#[derive(Clone)]
pub(crate) struct VectorMemory {
    frames: Rc<Vec<UnsafeCell<PageTable>>>,
    pub flushed: Rc<RefCell<Vec<u64>>>,
}

impl VectorMemory {
    pub fn new(frames: usize) -> Self {
        let frames = (0..frames).map(|_| UnsafeCell::new(PageTable::new())).collect();
        Self { frames: Rc::new(frames), flushed: Rc::default() }
    }

    /// The byte at a physical address, which is nobody's table.
    pub fn byte(&self, physical: u64) -> *mut u8 {
        let frame = self.frames[(physical / PAGE_SIZE) as usize].get().cast::<u8>();
        frame.wrapping_add((physical % PAGE_SIZE) as usize)
    }
}

// SAFETY: the frame is an element of the vector, which is neither moved nor dropped before the last
// clone.
unsafe impl PageTableFrameMapping for VectorMemory {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        self.byte(frame.start_address().as_u64()).cast()
    }
}

// SAFETY: as above; there is no processor to tell.
unsafe impl Mmu for VectorMemory {
    fn flush(&self, page: u64) {
        self.flushed.borrow_mut().push(page);
    }
}

/// Frames handed out in order.
struct Counter(u64);

// SAFETY: no frame is handed out twice.
unsafe impl FrameAllocator<Size4KiB> for Counter {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.0 += 1;
        Some(frame_at(self.0 * PAGE_SIZE))
    }
}

const FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
const BASE: u64 = 0xffff_9000_0000_0000;

fn tables() -> (Tables<VectorMemory>, VectorMemory) {
    let memory = VectorMemory::new(64);
    // SAFETY: frame 0 is this test's.
    (unsafe { Tables::new(frame_at(0), memory.clone()) }, memory)
}

fn map(tables: &mut Tables<VectorMemory>, supply: &mut Counter, page: u64) -> PhysFrame {
    let frame = supply.allocate_frame().unwrap();
    // SAFETY: nobody accesses the page.
    unsafe { tables.map(page_at(page), frame, FLAGS, supply) }.unwrap();
    frame
}

#[test]
fn a_mapped_page_translates_and_its_neighbours_do_not() {
    let (mut tables, _) = tables();
    let mut supply = Counter(0);
    assert_eq!(tables.missing(page_at(BASE)), 3);
    let frame = map(&mut tables, &mut supply, BASE);
    let physical = frame.start_address().as_u64() + 0x123;
    assert_eq!(tables.translate(BASE + 0x123), Some(Translation { physical, flags: FLAGS }));
    assert_eq!(tables.translate(BASE + PAGE_SIZE), None);
    assert_eq!(tables.translate(0x123), None);
    let missing = [BASE + PAGE_SIZE, BASE + (2 << 20), BASE + (1 << 30), BASE + (512 << 30)]
        .map(|at| tables.missing(page_at(at)));
    assert_eq!(missing, [0, 1, 2, 3]);
}

#[test]
fn unmapping_a_range_returns_its_pages_and_the_tables_left_empty() {
    let (mut tables, memory) = tables();
    let mut supply = Counter(0);
    let near = map(&mut tables, &mut supply, BASE);
    let next = map(&mut tables, &mut supply, BASE + PAGE_SIZE);
    let far = map(&mut tables, &mut supply, BASE + (3 << 30));
    let mut gone = Vec::new();
    tables.unmap(BASE + PAGE_SIZE, BASE + (64 << 30), &mut Work::unbounded(), &mut |what| {
        gone.push(what)
    });
    let pages: Vec<Unmapped> =
        gone.iter().copied().filter(|what| matches!(what, Unmapped::Page { .. })).collect();
    let page = |page, frame| Unmapped::Page { page, frame };
    assert_eq!(pages, [page(BASE + PAGE_SIZE, next), page(BASE + (3 << 30), far)]);
    assert_eq!(gone.len(), 2 + 2, "the far page had a level-1 and a level-2 table to itself");
    assert_eq!(memory.flushed.borrow().len(), gone.len(), "the processor is told of every change");
    assert!(tables.translate(BASE).is_some());

    gone.clear();
    tables.unmap(BASE, BASE + PAGE_SIZE, &mut Work::unbounded(), &mut |what| gone.push(what));
    assert_eq!(gone[0], page(BASE, near));
    assert_eq!(gone.len(), 1 + 3);
    assert!(tables.root_table().is_empty());
    tables.unmap(BASE, BASE, &mut Work::unbounded(), &mut |_| {
        panic!("an empty range has nothing in it")
    });
}

#[test]
fn the_last_page_of_the_address_space_can_be_unmapped() {
    let (mut tables, _) = tables();
    let top = 0xffff_ffff_ffff_e000;
    map(&mut tables, &mut Counter(0), top);
    let mut gone = 0;
    tables.unmap(top, top + PAGE_SIZE, &mut Work::unbounded(), &mut |_| gone += 1);
    assert_eq!(gone, 4);
}

#[test]
fn a_page_is_not_mapped_twice() {
    let (mut tables, _) = tables();
    let mut supply = Counter(0);
    map(&mut tables, &mut supply, BASE);
    // SAFETY: nobody accesses the page.
    let again = unsafe { tables.map(page_at(BASE), frame_at(0x9000), FLAGS, &mut supply) };
    assert_eq!(again, Err(MapError::Mapped));
}

#[test]
fn zeroing_starts_at_the_offset() {
    let (mut tables, memory) = tables();
    let frame = frame_at(5 * PAGE_SIZE);
    for offset in 0..PAGE_SIZE {
        // SAFETY: the byte lies in the vector, and frame 5 is nobody's table.
        unsafe { memory.byte(5 * PAGE_SIZE + offset).write(7) };
    }
    // SAFETY: frame 5 is this test's.
    unsafe { tables.zero(frame, 100) };
    // SAFETY: as above.
    let byte = |offset| unsafe { memory.byte(5 * PAGE_SIZE + offset).read() };
    assert_eq!([byte(0), byte(99), byte(100), byte(4095)], [7, 7, 0, 0]);
}
