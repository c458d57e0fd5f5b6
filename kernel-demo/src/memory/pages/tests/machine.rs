//! A memory manager over a vector, and the translations that a processor would remember.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::memory::frames::{Counts, Frame, Frames};
use crate::memory::layout::{LOWER_HALF_END, PAGE_SIZE, frame_at};
use crate::memory::manager::{Memory, Reach};
use crate::memory::pages::Pages;
use crate::memory::permissions::Permissions;
use crate::memory::tables::tests::VectorMemory;
use crate::memory::tables::{Leaf, Tables};

pub const RW: Permissions = Permissions::READ.union(Permissions::WRITE);
pub const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);

/// A memory manager over a vector.
#[derive(Clone)]
pub(crate) struct Machine {
    memory: Rc<RefCell<Memory<VectorMemory>>>,
    ram: VectorMemory,
}

impl Reach for Machine {
    type Mmu = VectorMemory;

    fn with<R>(&self, action: impl FnOnce(&mut Memory<VectorMemory>) -> R) -> R {
        action(&mut self.memory.borrow_mut())
    }
}

impl Machine {
    /// So many frames, less one for the kernel's tables. Used is one, the zero page.
    pub fn new(frames: usize) -> Self {
        let ram = VectorMemory::new(frames);
        let mut buddies = Frames::new(vec![Frame::FOREIGN; frames].leak());
        buddies.add(PAGE_SIZE, frames as u64 * PAGE_SIZE);
        // SAFETY: frame 0 is outside the page allocator, and this test's.
        let tables = unsafe { Tables::new(frame_at(0), ram.clone()) };
        let mut memory = Memory::new(buddies, tables);
        memory.make_zero_page().unwrap();
        Self { memory: Rc::new(RefCell::new(memory)), ram }
    }

    pub fn counts(&self) -> Counts {
        self.with(|memory| memory.counts())
    }

    /// Everybody has settled what was flushed.
    pub fn all_settled(&self) {
        self.ram.flushed.borrow_mut().clear();
    }

    /// Lets the `n`-th frame from now be refused, or none. Returns whether one was still to be
    /// refused.
    pub fn fail_nth(&self, n: Option<usize>) -> bool {
        self.with(|memory| {
            let pending = memory.frames().failure_pending();
            memory.frames().fail_nth(n);
            pending
        })
    }
}

/// A process, and what a processor that runs it without a pause remembers of its tables.
///
/// # Invariants
///
/// What is remembered is what the tables say, if every change was flushed: [`settle`](Self::settle)
/// holds the code to it.
pub(in crate::memory) struct Process {
    pub pages: Pages<Machine>,
    remembered: HashMap<u64, Leaf>,
}

impl Process {
    pub fn new(pages: Pages<Machine>) -> Self {
        let mut process = Self { pages, remembered: HashMap::new() };
        process.remember();
        process
    }

    /// Forgets what was flushed since the last time, and compares the rest with the tables.
    pub fn settle(&mut self) {
        let machine = self.pages.reach.clone();
        for page in machine.ram.flushed.borrow().iter() {
            self.remembered.remove(page);
        }
        for (page, leaf) in &self.remembered {
            assert_eq!(
                self.pages.tables.leaf(*page),
                Some(*leaf),
                "a stale translation of {page:#x}"
            );
        }
        self.remember();
    }

    /// The processor has just touched everything.
    fn remember(&mut self) {
        let remembered = &mut self.remembered;
        let Ok(()) = self.pages.tables.visit(0, LOWER_HALF_END, &mut |page, leaf| {
            remembered.insert(page, leaf);
            Ok::<_, core::convert::Infallible>(())
        });
    }
}
