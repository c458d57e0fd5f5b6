use std::cell::{RefCell, UnsafeCell};
use std::rc::Rc;

use super::*;
use crate::memory::frames::{Frame, Frames};
use crate::memory::pool::{Account, Policy, Pool};
use crate::words::layout::frame_at;

/// Physical memory made of a vector, and a record of the flushes.
#[derive(Clone)]
pub(crate) struct VectorMemory {
    frames: Rc<Vec<UnsafeCell<PageTable>>>,
    pub flushed: Rc<RefCell<Vec<u64>>>,
    /// Roots of tables that other CPUs were made to forget.
    pub told: Rc<RefCell<Vec<PhysFrame>>>,
}

impl VectorMemory {
    pub fn new(frames: usize) -> Self {
        let frames = (0..frames).map(|_| UnsafeCell::new(PageTable::new())).collect();
        Self { frames: Rc::new(frames), flushed: Rc::default(), told: Rc::default() }
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

    fn flush_others(&self, root: PhysFrame, _page: u64) {
        self.told.borrow_mut().push(root);
    }
}

const FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
const BASE: u64 = 0xffff_9000_0000_0000;

/// Tables, and who pays for them.
struct World {
    tables: Tables<VectorMemory>,
    memory: VectorMemory,
    pool: Pool,
    account: Account,
}

impl World {
    fn new() -> Self {
        let memory = VectorMemory::new(64);
        let mut frames = Frames::new(vec![Frame::FOREIGN; 64].leak());
        frames.add(PAGE_SIZE, 64 * PAGE_SIZE);
        // SAFETY: frame 0 is this test's.
        let tables = unsafe { Tables::new(frame_at(0), memory.clone()) };
        let account = Account::new(Policy::Overcommit, 0);
        Self { tables, memory, pool: Pool::new(frames), account }
    }

    fn map(&mut self, page: u64) -> PhysFrame {
        let mut payer = Payer { pool: &mut self.pool, account: &mut self.account };
        let mut walk = self.tables.walk(page);
        payer.set_aside(1 + walk.missing()).unwrap();
        let frame = payer.take(Purpose::Page);
        // SAFETY: nobody accesses the page.
        unsafe { self.tables.enter(&mut payer, &mut walk, page, Leaf { frame, flags: FLAGS }) };
        assert_eq!(walk.missing(), 0);
        frame
    }

    /// Unmaps a range. Returns what was mapped there.
    fn unmap(&mut self, start: u64, end: u64) -> Vec<(u64, PhysFrame)> {
        let mut payer = Payer { pool: &mut self.pool, account: &mut self.account };
        let mut gone = Vec::new();
        let told = self.memory.told.clone();
        let before = told.borrow().len();
        let mut visitor = |payer: &mut Payer<'_>, page, frame| {
            assert!(told.borrow().len() > before, "other CPUs are told before a frame goes");
            gone.push((page, frame));
            payer.release(frame, Purpose::Page);
        };
        let work = &mut Budget::unbounded();
        let reached = self.tables.unmap(&mut payer, (start, end), work, &mut visitor);
        assert_eq!(reached, end);
        gone
    }

    fn missing(&mut self, page: u64) -> usize {
        self.tables.walk(page).missing()
    }
}

#[test]
fn a_mapped_page_translates_and_its_neighbours_do_not() {
    let mut world = World::new();
    assert_eq!(world.missing(BASE), 3);
    let frame = world.map(BASE);
    let physical = frame.start_address().as_u64() + 0x123;
    assert_eq!(world.tables.translate(BASE + 0x123), Some(Translation { physical, flags: FLAGS }));
    assert_eq!(world.tables.translate(BASE + PAGE_SIZE), None);
    assert_eq!(world.tables.translate(0x123), None);
    let missing = [BASE + PAGE_SIZE, BASE + (2 << 20), BASE + (1 << 30), BASE + (512 << 30)]
        .map(|at| world.missing(at));
    assert_eq!(missing, [0, 1, 2, 3]);
    assert_eq!((world.tables.count(), world.account.tables()), (3, 3));
}

#[test]
fn unmapping_a_range_returns_its_pages_and_the_tables_left_empty() {
    let mut world = World::new();
    let near = world.map(BASE);
    let next = world.map(BASE + PAGE_SIZE);
    let far = world.map(BASE + (3 << 30));
    assert_eq!(world.account.tables(), 5);
    let gone = world.unmap(BASE + PAGE_SIZE, BASE + (64 << 30));
    assert_eq!(gone, [(BASE + PAGE_SIZE, next), (BASE + (3 << 30), far)]);
    assert_eq!(world.account.tables(), 3, "the far page had two tables to itself");
    assert_eq!(world.memory.flushed.borrow().len(), 2 + 2, "every change is told");
    assert!(world.tables.translate(BASE).is_some());

    assert_eq!(world.unmap(BASE, BASE + PAGE_SIZE), [(BASE, near)]);
    assert_eq!((world.account.tables(), world.account.pages(), world.tables.count()), (0, 0, 0));
    assert!(world.tables.root_table().is_empty());
    assert_eq!(world.unmap(BASE, BASE), [], "an empty range has nothing in it");
}

#[test]
fn the_last_page_of_the_address_space_can_be_unmapped() {
    let mut world = World::new();
    let top = 0xffff_ffff_ffff_e000;
    world.map(top);
    assert_eq!(world.unmap(top, top + PAGE_SIZE).len(), 1);
    assert_eq!(world.account.tables(), 0);
}

#[test]
#[should_panic(expected = "not mapped yet")]
fn a_page_is_not_mapped_twice() {
    let mut world = World::new();
    world.map(BASE);
    world.map(BASE);
}

#[test]
fn a_walk_with_no_work_left_pauses_and_goes_on() {
    let mut world = World::new();
    for page in 0..40 {
        world.map(BASE + page * PAGE_SIZE);
    }
    let mut payer = Payer { pool: &mut world.pool, account: &mut world.account };
    let (end, mut seen, mut from) = (BASE + (1 << 40), 0, BASE);
    for pauses in 0.. {
        let visitor = &mut |_: &mut Payer<'_>, _, leaf| {
            seen += 1;
            leaf
        };
        let work = &mut Budget::slice();
        // SAFETY: nothing is changed.
        from = unsafe { world.tables.visit(&mut payer, (from, end), work, visitor) };
        if from == end {
            assert!((1..100).contains(&pauses), "{pauses} pauses");
            break;
        }
    }
    assert_eq!(seen, 40, "each page once");
}
