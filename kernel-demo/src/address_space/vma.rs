//! One stretch of addresses, all alike: a *virtual memory area*.

use core::fmt;

use super::layout::GUARD_GAP;
use crate::words::Permissions;
use crate::words::layout::PAGE_SIZE;

/// What an area is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaKind {
    /// A part of the program: text, rodata, data, bss.
    Image,
    /// What the break has claimed.
    Heap,
    /// A stack: it grows down when the addresses below it are touched.
    Stack,
    /// A mapping that `mmap` made.
    Mapping,
    /// Memory of the kernel that is mapped as long as the area is there.
    Fixed,
    /// The unmapped page below a stack of the kernel.
    Guard,
}

/// A piece of memory that several address spaces may map at once; whoever makes it gives it a
/// number and keeps its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId(pub u32);

/// Who sees what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Only this process; after a fork each of the two keeps its own.
    Private,
    /// Everybody who maps the object (`MAP_SHARED | MAP_ANONYMOUS`). The number is the page of the
    /// object at the area's start.
    Shared(ObjectId, u64),
}

/// What is promised for an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Charge {
    /// Nothing: it was never accessible, so nothing is mapped; or it is mapped for good.
    Nothing,
    /// The page tables that cover it.
    Tables,
    /// These, and a frame for each page.
    Pages,
}

impl Charge {
    /// What an area like this needs. Private memory that is read-only never needs more than the
    /// zero page, except for a program's image, which has no file behind it here that it could be
    /// read from again. The frames of shared memory are the object's.
    pub fn of(permissions: Permissions, kind: AreaKind, sharing: Sharing) -> Self {
        let own = sharing == Sharing::Private;
        if matches!(kind, AreaKind::Fixed | AreaKind::Guard) {
            Self::Nothing
        } else if own && (permissions.contains(Permissions::WRITE) || kind == AreaKind::Image) {
            Self::Pages
        } else if permissions.is_empty() {
            Self::Nothing
        } else {
            Self::Tables
        }
    }
}

/// A stretch of addresses with one purpose, one set of permissions, and one source of contents.
///
/// # Invariants
///
/// In a list: `start < end`, both page-aligned, and all of it below the end of user memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vma {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What may be done with it.
    pub permissions: Permissions,
    /// What it is for.
    pub kind: AreaKind,
    /// Who sees what is written.
    pub sharing: Sharing,
    /// The program whose file this is a part of; empty for memory that is no file's, such as bss.
    /// What people call it, in the kernel.
    pub name: &'static str,
    /// Where in that file the area starts, in bytes; 0 without a name.
    pub offset: u64,
    /// What is promised for it. It never becomes less until the area is unmapped: what was written
    /// stays when the permissions change.
    pub charge: Charge,
}

impl Vma {
    /// No area: what a table holds where it holds none.
    pub const NONE: Self = Self {
        start: 0,
        end: 0,
        permissions: Permissions::empty(),
        kind: AreaKind::Fixed,
        sharing: Sharing::Private,
        name: "",
        offset: 0,
        charge: Charge::Nothing,
    };

    /// Private memory without a name.
    pub fn private(start: u64, end: u64, permissions: Permissions, kind: AreaKind) -> Self {
        let charge = Charge::of(permissions, kind, Sharing::Private);
        Self { start, end, permissions, kind, charge, ..Self::NONE }
    }

    /// A part of a program's file, from the byte `offset` of it on. The loader fills it.
    pub fn image(
        start: u64,
        end: u64,
        permissions: Permissions,
        name: &'static str,
        offset: u64,
    ) -> Self {
        Self { name, offset, ..Self::private(start, end, permissions, AreaKind::Image) }
    }

    /// Length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "an area has a page at least")]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Length in pages.
    pub const fn pages(&self) -> u64 {
        self.len() / PAGE_SIZE
    }

    /// The lowest address that it claims: a stack claims the gap below it.
    pub const fn lowest(&self) -> u64 {
        match self.kind {
            AreaKind::Stack => self.start.saturating_sub(GUARD_GAP),
            _ => self.start,
        }
    }

    /// Whether the address lies in it.
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether anything may be done with it at all.
    pub const fn accessible(&self) -> bool {
        !self.permissions.is_empty()
    }

    /// Whether others see what is written.
    pub const fn is_shared(&self) -> bool {
        matches!(self.sharing, Sharing::Shared(..))
    }

    /// Whether it counts as data (`VmData`, and the data limit): private, writable, not a stack.
    pub fn is_data(&self) -> bool {
        self.permissions.contains(Permissions::WRITE)
            && !self.is_shared()
            && self.kind != AreaKind::Stack
    }

    /// The part of it in `[start, end)`, which overlaps it.
    pub(super) fn part(&self, start: u64, end: u64) -> Self {
        let (start, end) = (start.max(self.start), end.min(self.end));
        let (offset, sharing) = self.contents_at(start);
        Self { start, end, offset, sharing, ..*self }
    }

    /// What people call it.
    pub fn label(&self) -> &'static str {
        match self.kind {
            _ if !self.name.is_empty() => self.name,
            AreaKind::Heap => "[heap]",
            AreaKind::Stack => "[stack]",
            AreaKind::Mapping if self.is_shared() => "[shared]",
            AreaKind::Image => "[bss]",
            AreaKind::Mapping | AreaKind::Fixed | AreaKind::Guard => "[mapping]",
        }
    }

    /// What a part of it that starts at an address has as offset, and as sharing.
    fn contents_at(&self, address: u64) -> (u64, Sharing) {
        let skipped = address - self.start;
        let from_file = self.kind == AreaKind::Image && !self.name.is_empty();
        let offset = if from_file { self.offset + skipped } else { 0 };
        let sharing = match self.sharing {
            Sharing::Private => Sharing::Private,
            Sharing::Shared(object, first) => Sharing::Shared(object, first + skipped / PAGE_SIZE),
        };
        (offset, sharing)
    }

    /// Whether `next` goes on where this one ends, with everything alike, so that the two can be
    /// one.
    #[inline(always)]
    pub fn continues_in(&self, next: &Self) -> bool {
        self.end == next.start
            && (self.permissions, self.kind, self.charge)
                == (next.permissions, next.kind, next.charge)
            && self.name == next.name
            && self.contents_at(next.start) == (next.offset, next.sharing)
    }
}

impl fmt::Display for Vma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, permissions, .. } = self;
        write!(f, "{start:#018x}..{end:#018x} {permissions} {}", self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RW: Permissions = Permissions::READ.union(Permissions::WRITE);

    #[test]
    fn parts_go_on_where_the_last_one_ended() {
        let file = Vma::image(0x1000, 0x5000, RW, "a", 0x300);
        let shared = Vma {
            sharing: Sharing::Shared(ObjectId(7), 2),
            ..Vma::private(0x1000, 0x5000, RW, AreaKind::Mapping)
        };
        let plain = Vma::private(0x1000, 0x5000, RW, AreaKind::Heap);
        assert_eq!(file.part(0x3000, 0x9000).offset, 0x2300);
        assert_eq!(shared.part(0x3000, 0x9000).sharing, Sharing::Shared(ObjectId(7), 4));
        assert_eq!(plain.part(0, 0x2000), Vma { end: 0x2000, ..plain });
        for vma in [file, shared, plain] {
            let (low, high) = (vma.part(0, 0x2000), vma.part(0x2000, 0x9000));
            assert!(low.continues_in(&high) && !high.continues_in(&low));
            assert!(!low.continues_in(&Vma { permissions: Permissions::READ, ..high }));
            assert!(!low.continues_in(&Vma { charge: Charge::Nothing, ..high }));
            assert!(!low.continues_in(&vma.part(0x3000, 0x9000)));
        }
        assert!(
            !file.part(0, 0x2000).continues_in(&Vma { offset: 0x300, ..file.part(0x2000, 0x9000) })
        );
    }

    #[test]
    fn what_can_need_frames_is_charged() {
        let charge = |permissions, kind| Vma::private(0, 0x1000, permissions, kind).charge;
        assert_eq!(charge(RW, AreaKind::Mapping), Charge::Pages);
        assert_eq!(charge(Permissions::READ, AreaKind::Mapping), Charge::Tables);
        assert_eq!(charge(Permissions::empty(), AreaKind::Stack), Charge::Nothing);
        let shared = Sharing::Shared(ObjectId(1), 0);
        assert_eq!(Charge::of(RW, AreaKind::Mapping, shared), Charge::Tables);
        assert_eq!(charge(Permissions::READ, AreaKind::Image), Charge::Pages);
    }
}
