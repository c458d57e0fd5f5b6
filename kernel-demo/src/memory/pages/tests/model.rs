//! What processes' memory is, said naively: a map from pages to numbered contents. Nothing is
//! shared but numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::address_space::{PageState, Resident};
use crate::words::Permissions;
use crate::words::layout::PAGE_SIZE;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Zero,
    /// Contents of this number.
    Private(usize),
    /// Contents of this number, which are an object's.
    Object(usize),
}

/// A page of a process.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub holds: Holds,
    pub permissions: Permissions,
    /// Whether a write succeeds without a fault.
    pub writable: bool,
}

pub type Space = BTreeMap<u64, Page>;

#[derive(Default)]
pub struct Model {
    /// What is in each frame that ever was.
    contents: Vec<Vec<u8>>,
    /// The pages of the one object.
    pub object: BTreeMap<u64, usize>,
    pub processes: Vec<Space>,
}

impl Model {
    /// One process with nothing in it.
    pub fn new() -> Self {
        Self { processes: vec![Space::new()], ..Self::default() }
    }

    /// Contents that are all zero, and their number.
    pub fn fresh(&mut self) -> usize {
        self.contents.push(vec![0; PAGE_SIZE as usize]);
        self.contents.len() - 1
    }

    /// A copy of contents, and its number.
    pub fn copied(&mut self, from: usize) -> usize {
        self.contents.push(self.contents[from].clone());
        self.contents.len() - 1
    }

    fn mappings(&self, number: usize) -> usize {
        let holds = |page: &&Page| matches!(page.holds, Holds::Private(held) | Holds::Object(held) if held == number);
        self.processes.iter().flat_map(|space| space.values()).filter(holds).count()
    }

    pub fn state(&self, process: usize, page: u64) -> PageState {
        match self.processes[process].get(&page).map(|page| page.holds) {
            None => PageState::Missing,
            Some(Holds::Zero) => PageState::ZeroPage,
            Some(Holds::Private(number)) if self.mappings(number) > 1 => PageState::Shared,
            Some(Holds::Private(_) | Holds::Object(_)) => PageState::Own,
        }
    }

    pub fn protect(&mut self, process: usize, page: u64, to: Permissions) {
        let own = self.state(process, page) == PageState::Own;
        if let Some(page) = self.processes[process].get_mut(&page) {
            page.permissions = to;
            page.writable = own && to.contains(Permissions::WRITE);
        }
    }

    /// The child of a process is the last process.
    pub fn fork(&mut self, process: usize) {
        for page in self.processes[process].values_mut() {
            page.writable &= matches!(page.holds, Holds::Object(_));
        }
        self.processes.push(self.processes[process].clone());
    }

    /// The bytes from the address on that may be read, up to `len`.
    pub fn read(&self, process: usize, address: u64, len: usize) -> Vec<u8> {
        let readable = |at: u64| {
            let page = self.processes[process]
                .get(&(at - at % PAGE_SIZE))
                .filter(|page| !page.permissions.is_empty())?;
            Some(match page.holds {
                Holds::Zero => 0,
                Holds::Private(number) | Holds::Object(number) => {
                    self.contents[number][(at % PAGE_SIZE) as usize]
                }
            })
        };
        (address..address + len as u64).map_while(readable).collect()
    }

    /// Writes as many bytes as may be written, and returns how many that are.
    pub fn write(&mut self, process: usize, address: u64, bytes: &[u8]) -> usize {
        for (at, byte) in (address..).zip(bytes) {
            let page = self.processes[process].get(&(at - at % PAGE_SIZE));
            let page = page.filter(|page| page.writable && !page.permissions.is_empty());
            let Some(Holds::Private(number) | Holds::Object(number)) = page.map(|page| page.holds)
            else {
                return (at - address) as usize;
            };
            self.contents[number][(at % PAGE_SIZE) as usize] = *byte;
        }
        bytes.len()
    }

    pub fn resident(&self, process: usize) -> Resident {
        let mut resident = Resident::default();
        for page in self.processes[process].values() {
            match page.holds {
                Holds::Zero => {}
                Holds::Private(number) | Holds::Object(number) if self.mappings(number) == 1 => {
                    resident.private += 1
                }
                Holds::Private(_) | Holds::Object(_) => resident.shared += 1,
            }
        }
        resident
    }

    /// Frames that all this takes: contents somebody holds, page tables, the zero page.
    pub fn frames(&self) -> usize {
        let mut held: BTreeSet<usize> = self.object.values().copied().collect();
        for page in self.processes.iter().flat_map(|space| space.values()) {
            if let Holds::Private(number) | Holds::Object(number) = page.holds {
                held.insert(number);
            }
        }
        let spaces =
            self.processes.iter().map(|space| tables(space.keys().copied())).sum::<usize>();
        held.len() + spaces + tables(self.object.keys().map(|index| index * PAGE_SIZE)) + 1
    }
}

/// Page tables for these pages.
pub fn tables(pages: impl Iterator<Item = u64>) -> usize {
    let needed: BTreeSet<(u32, u64)> =
        pages.flat_map(|page| [21, 30, 39].map(|bits| (bits, page >> bits))).collect();
    1 + needed.len()
}
