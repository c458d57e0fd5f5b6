use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::memory::frames::{Counts, Frame, Frames};
use crate::memory::layout::{PAGE_SIZE, frame_at};
use crate::memory::tables::tests::VectorMemory;

/// A memory manager over a vector.
#[derive(Clone)]
struct Machine(Rc<RefCell<Memory<VectorMemory>>>);

impl Reach for Machine {
    type Mmu = VectorMemory;

    fn with<R>(&self, action: impl FnOnce(&mut Memory<VectorMemory>) -> R) -> R {
        action(&mut self.0.borrow_mut())
    }
}

impl Machine {
    fn new(frames: usize) -> Self {
        let ram = VectorMemory::new(frames);
        let mut buddies = Frames::new(vec![Frame::FOREIGN; frames].leak());
        buddies.add(PAGE_SIZE, frames as u64 * PAGE_SIZE);
        // SAFETY: frame 0 is outside the page allocator, and this test's.
        let tables = unsafe { Tables::new(frame_at(0), ram) };
        let mut memory = Memory::new(buddies, tables);
        memory.make_zero_page().unwrap();
        Self(Rc::new(RefCell::new(memory)))
    }

    fn counts(&self) -> Counts {
        self.with(|memory| memory.counts())
    }
}

const RW: Permissions = Permissions::READ.union(Permissions::WRITE);

#[test]
fn pages_give_back_all_they_took() {
    let machine = Machine::new(64);
    let before = machine.counts();
    let mut pages = Pages::new(machine.clone()).unwrap();
    pages.map_zeroed(0x1000, RW).unwrap();
    pages.map_zero_page(0x2000, RW).unwrap();
    assert_eq!(pages.state(0x1fff), PageState::Own);
    assert_eq!(pages.state(0x2000), PageState::ZeroPage);
    assert_eq!(pages.state(0x3000), PageState::Missing);
    assert_eq!(machine.counts().used() - before.used(), 1 + 3 + 1);
    drop(pages);
    assert_eq!(machine.counts(), before);
}
