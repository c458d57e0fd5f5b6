//! A memory manager over a vector, and the translations that a processor would remember.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use x86_64::structures::paging::PageTableFlags;

use crate::address_space::{Decision, ObjectId, PageState, Resident};
use crate::memory::frames::OutOfFrames;
use crate::memory::frames::{Counts, Frame, Frames};
use crate::memory::kernel::Memory;
use crate::memory::objects;
use crate::memory::pages;
use crate::memory::pool::Payer;
use crate::memory::tables::tests::VectorMemory;
use crate::memory::tables::{Budget, Leaf, Tables};
use crate::words::Permissions;
use crate::words::layout::{LOWER_HALF_END, PAGE_SIZE, frame_at};

pub const RW: Permissions = Permissions::READ.union(Permissions::WRITE);
pub const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);

/// A memory manager over a vector.
#[derive(Clone)]
pub(crate) struct Machine {
    memory: Rc<RefCell<Memory<VectorMemory>>>,
    ram: VectorMemory,
}

impl Machine {
    pub fn with<R>(&self, action: impl FnOnce(&mut Memory<VectorMemory>) -> R) -> R {
        action(&mut self.memory.borrow_mut())
    }

    fn pay<R>(&self, action: impl FnOnce(&mut Payer<'_>) -> R) -> R {
        self.with(|memory| action(&mut memory.payer().0))
    }
}

/// The page tables of a process, which give their frames back when they are dropped.
pub struct Pages {
    inner: Option<pages::Pages<VectorMemory>>,
    machine: Machine,
}

impl Pages {
    pub fn new(machine: Machine) -> Result<Self, OutOfFrames> {
        let made = machine.with(|memory| {
            let (mut payer, kernel) = memory.payer();
            pages::Pages::new(&mut payer, kernel)
        })?;
        Ok(Self { inner: Some(made), machine })
    }

    pub fn inner(&mut self) -> &mut pages::Pages<VectorMemory> {
        self.inner.as_mut().unwrap()
    }

    /// Does to a page what was decided.
    pub fn apply(
        &mut self,
        page: u64,
        decision: Decision,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let machine = self.machine.clone();
        machine.pay(|payer| {
            let found = self.inner().find(payer.pool, page);
            self.inner().carry_out(payer, found, (decision, permissions), None)
        })
    }

    pub fn map_object(
        &mut self,
        page: u64,
        object: &mut Object,
        index: u64,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let machine = self.machine.clone();
        machine.pay(|payer| {
            let frame = object.inner.as_mut().unwrap().frame(payer, index)?;
            let decision = Decision::MapObject { object: ObjectId(0), page: index };
            let found = self.inner().find(payer.pool, page);
            self.inner().carry_out(payer, found, (decision, permissions), Some(frame))
        })
    }

    pub fn fork(&mut self) -> Result<Self, OutOfFrames> {
        let machine = self.machine.clone();
        machine.with(|memory| {
            let (mut payer, kernel) = memory.payer();
            let mut child = self.inner().begin_fork(&mut payer, kernel)?;
            let all = [(0, LOWER_HALF_END)];
            while !self.inner().continue_fork(&mut payer, &mut child, all) {}
            Ok(Self { inner: Some(child), machine: machine.clone() })
        })
    }

    pub fn unmap_all(&mut self, start: u64, end: u64) {
        let machine = self.machine.clone();
        machine.pay(|payer| self.inner().unmap(payer, start, end, &mut Budget::unbounded()));
    }

    pub fn protect(&mut self, start: u64, end: u64, to: Permissions) {
        let machine = self.machine.clone();
        let work = &mut Budget::unbounded();
        assert!(machine.pay(|payer| self.inner().protect(payer, (start, end), to, work)));
    }

    pub fn resident_in(&mut self, start: u64, end: u64) -> Resident {
        let (machine, mut found) = (self.machine.clone(), Resident::default());
        let work = &mut Budget::unbounded();
        machine.pay(|payer| self.inner().count_resident(payer, (start, end), &mut found, work));
        found
    }

    pub fn state(&mut self, address: u64) -> PageState {
        let machine = self.machine.clone();
        machine.with(|memory| self.inner().find(&memory.pool, address).state)
    }

    pub fn load(&mut self, address: u64, bytes: &[u8]) -> usize {
        let machine = self.machine.clone();
        machine.with(|memory| self.inner().load(&memory.pool, address, bytes))
    }

    pub fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        self.inner().read(address, buffer)
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) -> usize {
        self.inner().write(address, bytes)
    }

    pub fn resident(&mut self) -> u64 {
        self.inner().resident()
    }

    pub fn leaf(&mut self, page: u64) -> Option<Leaf> {
        self.inner().tables.leaf(page)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let inner = self.inner.take().unwrap();
            self.machine.pay(|payer| inner.destroy(payer));
        }
    }
}

/// An object, which gives its frames back when it is dropped.
pub struct Object {
    pub inner: Option<objects::Object<VectorMemory>>,
    machine: Machine,
}

impl Object {
    pub fn new(machine: Machine, pages: u64) -> Result<Self, OutOfFrames> {
        let inner = machine.with(|memory| {
            let (mut payer, kernel) = memory.payer();
            objects::Object::new(&mut payer, kernel, pages)
        })?;
        Ok(Self { inner: Some(inner), machine })
    }

    pub fn resident(&self) -> u64 {
        self.inner.as_ref().unwrap().resident()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let inner = self.inner.take().unwrap();
            self.machine.pay(|payer| inner.destroy(payer));
        }
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
        self.ram.told.borrow_mut().clear();
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

/// A process, and what two CPUs that run it without a pause remember of its tables: one that
/// changes them, and another one.
///
/// # Invariants
///
/// What the first one remembers is what the tables say, if every change was flushed. What the other
/// one remembers is the same, or permits less: [`settle`](Self::settle) holds the code to both.
pub(in crate::memory) struct Process {
    pub pages: Pages,
    remembered: HashMap<u64, Leaf>,
    elsewhere: HashMap<u64, Leaf>,
}

impl Process {
    pub fn new(pages: Pages) -> Self {
        let (remembered, elsewhere) = (HashMap::new(), HashMap::new());
        let mut process = Self { pages, remembered, elsewhere };
        process.remember();
        process
    }

    /// Forgets what was flushed since the last time, and compares the rest with the tables.
    pub fn settle(&mut self) {
        let machine = self.pages.machine.clone();
        for page in machine.ram.flushed.borrow().iter() {
            self.remembered.remove(page);
        }
        for (page, leaf) in &self.remembered {
            assert_eq!(self.pages.leaf(*page), Some(*leaf), "a stale translation of {page:#x}");
        }
        if machine.ram.told.borrow().contains(&self.pages.inner().root()) {
            self.elsewhere.clear();
        }
        for (page, old) in &self.elsewhere {
            let now = self.pages.leaf(*page).expect("another CPU uses a page that is not mapped");
            let permits_less = now.flags.contains(old.flags & PageTableFlags::WRITABLE)
                && old.flags.contains(now.flags & PageTableFlags::NO_EXECUTE);
            assert!(now.frame == old.frame && permits_less, "{page:#x} is stale on another CPU");
        }
        self.remember();
    }

    /// The processor has just touched everything.
    fn remember(&mut self) {
        let (machine, remembered) = (self.pages.machine.clone(), &mut self.remembered);
        let seen = &mut |_: &mut Payer<'_>, page, leaf| {
            remembered.insert(page, leaf);
            leaf
        };
        let (all, work) = ((0, LOWER_HALF_END), &mut Budget::unbounded());
        let tables = &mut self.pages.inner.as_mut().unwrap().tables;
        // SAFETY: nothing is changed.
        machine.pay(|payer| unsafe { tables.visit(payer, all, work, seen) });
        for (page, leaf) in &self.remembered {
            self.elsewhere.entry(*page).or_insert(*leaf);
        }
    }
}
