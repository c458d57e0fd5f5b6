//! A machine without addresses: page tables and frames as maps, and a processor that faults.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::account::Account;
use super::{Played, PlayedTables};
use crate::address_space::{AddressSpace, Cause, Decision, ObjectId, PageState};
use crate::words::layout::page_floor;
use crate::words::{Access, PageFault, Permissions};

/// A frame: one byte stands for all of it.
#[derive(Clone, Copy, Debug)]
struct Frame {
    value: u8,
    owners: u32,
}

/// What is behind a mapped page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Zero,
    Frame(u32),
}

/// An entry of a page table.
///
/// # Invariants
///
/// `writable` only if the permissions say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    behind: Behind,
    permissions: Permissions,
    writable: bool,
}

#[derive(Debug, Default)]
struct Frames {
    frames: BTreeMap<u32, Frame>,
    objects: BTreeMap<(ObjectId, u64), u32>,
    next: u32,
}

impl Frames {
    fn take(&mut self, value: u8) -> u32 {
        self.next += 1;
        self.frames.insert(self.next, Frame { value, owners: 1 });
        self.next
    }

    fn release(&mut self, id: u32) {
        let frame = self.frames.get_mut(&id).expect("an entry leads to a frame in use");
        frame.owners -= 1;
        if frame.owners == 0 {
            self.frames.remove(&id);
        }
    }
}

/// Physical memory, and the objects in it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Frames>>);

impl Memory {
    /// Frames in use, without those of objects.
    pub fn in_use(&self) -> usize {
        let frames = self.0.borrow();
        frames.frames.len() - frames.objects.len()
    }
}

/// The page tables of one process.
#[derive(Debug)]
pub struct Tables {
    pages: BTreeMap<u64, Entry>,
    memory: Memory,
}

impl Tables {
    pub fn new(memory: &Memory) -> Self {
        Self { pages: BTreeMap::new(), memory: memory.clone() }
    }

    /// What is mapped, to be compared.
    pub fn snapshot(&self) -> BTreeMap<u64, Entry> {
        self.pages.clone()
    }

    /// Each mapped page and the permissions it is mapped with.
    pub fn mapped(&self) -> impl Iterator<Item = (u64, Permissions)> + '_ {
        self.pages.iter().map(|(page, entry)| (*page, entry.permissions))
    }

    /// Tables for a child: every frame has one more owner, and none of them is writable for either.
    pub fn fork(&mut self) -> Self {
        let mut frames = self.memory.0.borrow_mut();
        for entry in self.pages.values_mut() {
            entry.writable = false;
            if let Behind::Frame(id) = entry.behind {
                frames.frames.get_mut(&id).unwrap().owners += 1;
            }
        }
        Self { pages: self.pages.clone(), memory: self.memory.clone() }
    }

    fn state(&self, page: u64) -> PageState {
        match self.pages.get(&page).map(|entry| entry.behind) {
            None => PageState::Missing,
            Some(Behind::Zero) => PageState::ZeroPage,
            Some(Behind::Frame(id)) if self.memory.0.borrow().frames[&id].owners > 1 => {
                PageState::Shared
            }
            Some(Behind::Frame(_)) => PageState::Own,
        }
    }

    /// Does what an instruction does: reads the byte, or writes to it and returns the old one.
    /// Counts the faults that were served.
    pub fn access(
        &mut self,
        space: &mut AddressSpace,
        account: &mut Account,
        (address, access): (u64, Access),
        value: u8,
    ) -> Result<u8, Cause> {
        let page = page_floor(address);
        if !self.allows(page, access) {
            let (fault, state) = (PageFault { address, access }, self.state(page));
            let (decision, vma) = space.fault(&fault, state, &mut Played(self, account))?;
            let vma = *vma;
            assert!(vma.contains(address), "{vma:?} does not hold {address:#x}");
            let permissions = vma.permissions;
            self.carry_out(page, decision, permissions);
            assert!(
                self.allows(page, access),
                "{decision:?} does not allow to {access} {address:#x}"
            );
        }
        let mut frames = self.memory.0.borrow_mut();
        let Behind::Frame(id) = self.pages[&page].behind else {
            assert_ne!(access, Access::Write, "the zero page is written to");
            return Ok(0);
        };
        let frame = frames.frames.get_mut(&id).unwrap();
        let old = frame.value;
        if access == Access::Write {
            frame.value = value;
        }
        Ok(old)
    }

    fn allows(&self, page: u64, access: Access) -> bool {
        self.pages.get(&page).is_some_and(|entry| match access {
            Access::Read => !entry.permissions.is_empty(),
            Access::Write => entry.writable,
            Access::Execute => entry.permissions.contains(Permissions::EXECUTE),
        })
    }

    fn carry_out(&mut self, page: u64, decision: Decision, permissions: Permissions) {
        let old = self.pages.get(&page).copied();
        let writable = permissions.contains(Permissions::WRITE);
        let mut frames = self.memory.0.borrow_mut();
        let entry = match (decision, old.map(|entry| entry.behind)) {
            (Decision::MapZeroPage, None) => {
                Entry { behind: Behind::Zero, permissions, writable: false }
            }
            (Decision::MapZeroed, None | Some(Behind::Zero)) => {
                Entry { behind: Behind::Frame(frames.take(0)), permissions, writable }
            }
            (Decision::Copy, Some(Behind::Frame(id))) => {
                let value = frames.frames[&id].value;
                frames.release(id);
                Entry { behind: Behind::Frame(frames.take(value)), permissions, writable }
            }
            (Decision::MakeWritable, Some(Behind::Frame(id))) => {
                Entry { behind: Behind::Frame(id), permissions, writable }
            }
            (Decision::MapObject { object, page }, None) => {
                let known = frames.objects.get(&(object, page)).copied();
                let id = known.unwrap_or_else(|| frames.take(0));
                frames.objects.insert((object, page), id);
                frames.frames.get_mut(&id).unwrap().owners += 1;
                Entry { behind: Behind::Frame(id), permissions, writable }
            }
            (decision, behind) => panic!("{decision:?} where there is {behind:?}"),
        };
        self.pages.insert(page, entry);
    }
}

impl PlayedTables for Tables {
    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        let pages: Vec<u64> = self.pages.range(start..end).map(|(page, _)| *page).collect();
        for page in pages {
            if let Some(Entry { behind: Behind::Frame(id), .. }) = self.pages.remove(&page) {
                self.memory.0.borrow_mut().release(id);
            }
        }
        end
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        let frames = self.memory.0.borrow();
        for entry in self.pages.range_mut(start..end).map(|(_, entry)| entry) {
            entry.permissions = to;
            entry.writable = to.contains(Permissions::WRITE)
                && matches!(entry.behind, Behind::Frame(id) if frames.frames[&id].owners == 1);
        }
        true
    }

    fn release(&mut self, _: ObjectId, _: u64) {}
}

impl Drop for Tables {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.pages.is_empty(), "pages are left over");
        }
    }
}
