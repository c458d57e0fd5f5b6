//! The calls, the faults and the texts one by one; random programs beside the naive model; and the
//! fuzzer's seeds.

mod calls;
mod faults;
mod programs;
mod views;

use super::model::{Account, Played, PlayedTables, check};
use super::*;
use crate::words::Permissions;

const R: Permissions = Permissions::READ;
const RW: Permissions = Permissions::READ.union(Permissions::WRITE);
const RX: Permissions = Permissions::READ.union(Permissions::EXECUTE);
const NONE: Permissions = Permissions::empty();

/// Bytes of so many pages.
const fn p(pages: u64) -> u64 {
    pages * PAGE_SIZE
}

/// Page numbers: the image from 16 to 24, the heap from 32, mappings below 1000, the stack's two
/// pages below 2000.
const LAYOUT: Layout =
    Layout { text: p(16), start_brk: p(32), mmap_base: p(1000), stack_top: p(2000) };
/// Page tables that cover what is there from the start: two of level 1 (the image's pages and those
/// up to 511, the stack's), and one of each level above.
const TABLES: u64 = 4;
const LIMITS: Limits = Limits { data: u64::MAX, stack: p(64), areas: 64 };

/// Page tables that only write down what they are told.
#[derive(Default)]
struct Told {
    calls: Vec<String>,
}

impl Told {
    /// What they were told since the last time.
    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }
}

impl PlayedTables for Told {
    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        self.calls.push(format!("unmap {}..{}", start / PAGE_SIZE, end / PAGE_SIZE));
        end
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        self.calls.push(format!("protect {}..{} {to}", start / PAGE_SIZE, end / PAGE_SIZE));
        true
    }

    fn release(&mut self, object: ObjectId, pages: u64) {
        self.calls.push(format!("release {} ({pages})", object.0));
    }
}

/// A process, its page tables, and the system's account.
struct World {
    space: AddressSpace,
    told: Told,
    account: Account,
}

impl World {
    /// A process with text, data, bss and a stack, under an account that promises anything.
    fn new() -> Self {
        Self::with(LIMITS, Account::overcommit())
    }

    fn with(limits: Limits, mut account: Account) -> Self {
        let mut told = Told::default();
        let mut both = Played(&mut told, &mut account);
        let mut space = AddressSpace::new(LAYOUT, limits);
        let name = "program";
        for vma in [
            Vma::image(p(16), p(20), RX, name, 0),
            Vma::image(p(20), p(22), RW, name, p(4)),
            Vma::private(p(22), p(24), RW, AreaKind::Image),
        ] {
            space.make_room(|_| Ok(())).unwrap();
            space.insert_image(vma, &mut both).unwrap();
        }
        space.make_room(|_| Ok(())).unwrap();
        space.insert_stack(p(2), &mut both).unwrap();
        Self { space, told, account }
    }

    /// Moves the break to so many bytes above its start; says where it stands afterwards in the
    /// same way.
    fn brk(&mut self, to: u64) -> u64 {
        let to = LAYOUT.start_brk.wrapping_add(to);
        self.space.make_room(|_| Ok(())).unwrap();
        self.space.brk(to, &mut Played(&mut self.told, &mut self.account)).unwrap()
            - LAYOUT.start_brk
    }

    fn mmap(&mut self, request: MapRequest) -> Result<u64, Errno> {
        self.space.make_room(|_| Ok(())).unwrap();
        let mapped = self.space.mmap(request, &mut Played(&mut self.told, &mut self.account));
        mapped.inspect(|at| assert!(at.is_multiple_of(PAGE_SIZE))).map(|at| at / PAGE_SIZE)
    }

    /// Maps so many pages anywhere; says at which page.
    fn map(&mut self, pages: u64) -> u64 {
        self.mmap(private(pages)).unwrap()
    }

    /// Maps pages from here to there, in place of whatever is there.
    fn map_at(&mut self, start: u64, end: u64, permissions: Permissions) {
        let flags = private(0).flags | MapFlags::FIXED;
        assert_eq!(
            self.mmap(MapRequest { hint: p(start), permissions, flags, ..private(end - start) }),
            Ok(start)
        );
    }

    fn munmap(&mut self, start: u64, end: u64) -> Result<(), Errno> {
        self.space.make_room(|_| Ok(())).unwrap();
        self.space.munmap(p(start), p(end - start), &mut Played(&mut self.told, &mut self.account))
    }

    fn mprotect(&mut self, start: u64, end: u64, to: Permissions) -> Result<(), Errno> {
        self.space.make_room(|_| Ok(())).unwrap();
        self.space.mprotect(
            p(start),
            p(end - start),
            to,
            &mut Played(&mut self.told, &mut self.account),
        )
    }

    /// The areas but for those that were there from the start, as `start..end may`, in pages.
    fn areas(&self) -> Vec<String> {
        let others = self
            .space
            .vmas()
            .iter()
            .filter(|vma| !matches!(vma.kind, AreaKind::Image | AreaKind::Stack));
        let text = |vma: &Vma| {
            format!("{}..{} {}", vma.start / PAGE_SIZE, vma.end / PAGE_SIZE, vma.permissions)
        };
        others.map(text).collect()
    }
}

impl Drop for World {
    /// Whatever a test does, the invariants hold afterwards, and what is given up is promised to
    /// nobody.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(check(&self.space), Ok(()));
            assert!(self.space.clear(&mut Played(&mut self.told, &mut self.account)));
            assert_eq!(self.account.promised(), 0);
        }
    }
}

/// A wish for so many pages of private memory.
fn private(pages: u64) -> MapRequest {
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
    MapRequest { hint: 0, len: p(pages), permissions: RW, flags, object: None }
}
