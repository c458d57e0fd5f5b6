//! The naive model: a map from page to what may be done with it. No areas, no splitting, no
//! merging, no search.
//!
//! Errors are decided in the order that the documentation of the calls gives.

use std::collections::BTreeMap;

use crate::address_space::{
    AreaKind, Charge, Errno, GUARD_GAP, Layout, Limits, MIN_ADDRESS, ObjectId, Sharing, USER_END,
    Vma,
};
use crate::words::layout::{PAGE_SIZE, page_floor};
use crate::words::{Access, Permissions};

/// A page of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub permissions: Permissions,
    pub kind: AreaKind,
    pub object: Option<(ObjectId, u64)>,
    pub file: Option<(&'static str, u64)>,
    pub charge: Charge,
    /// What was written last, when it is private.
    pub value: u8,
}

impl Page {
    pub fn is_data(&self) -> bool {
        self.object.is_none()
            && self.kind != AreaKind::Stack
            && self.permissions.contains(Permissions::WRITE)
    }

    /// Whether the next page can be of the same area.
    fn goes_on_in(&self, next: &Self) -> bool {
        let file = self.file.map(|(name, offset)| (name, offset + PAGE_SIZE));
        let object = self.object.map(|(id, page)| (id, page + 1));
        *next == Self { file, object, value: next.value, ..*self }
    }
}

/// What the model needs of the system.
pub struct World {
    /// Pages promised to all processes, and the most that may be.
    pub promised: u64,
    pub limit: Option<u64>,
    pub objects: BTreeMap<(ObjectId, u64), u8>,
}

impl World {
    pub fn promise(&mut self, less: u64, more: u64) -> Result<(), Errno> {
        if more > less && self.limit.is_some_and(|limit| self.promised - less + more > limit) {
            return Err(Errno::ENOMEM);
        }
        self.promised = self.promised - less + more;
        Ok(())
    }
}

/// A process.
#[derive(Clone, Debug)]
pub struct Process {
    pub pages: BTreeMap<u64, Page>,
    pub brk: u64,
    pub image_data: u64,
    pub layout: Layout,
    pub limits: Limits,
}

impl Process {
    pub fn new(layout: Layout, limits: Limits) -> Self {
        Self { pages: BTreeMap::new(), brk: layout.start_brk, image_data: 0, layout, limits }
    }

    /// Enters an area as it is.
    pub fn enter(&mut self, vma: &Vma, world: &mut World) {
        let before = self.charged();
        for (at, page) in pages_of(vma) {
            self.image_data +=
                if page.kind == AreaKind::Image && page.is_data() { PAGE_SIZE } else { 0 };
            self.pages.insert(at, page);
        }
        world.promised += self.charged() - before;
    }

    /// How many areas there are: runs of pages that are alike.
    pub fn areas(&self) -> usize {
        let starts = |(at, page): &(&u64, &Page)| {
            let before = at.checked_sub(PAGE_SIZE).and_then(|before| self.pages.get(&before));
            !before.is_some_and(|before| before.goes_on_in(page))
        };
        self.pages.iter().filter(starts).count()
    }

    pub fn any(&self, start: u64, end: u64) -> bool {
        start < end && self.pages.range(start..end).next().is_some()
    }

    pub fn accounted(&self) -> u64 {
        self.pages.values().filter(|page| page.charge == Charge::Pages).count() as u64
    }

    /// Frames that are promised: for pages, and for each page table above one that was accessible.
    pub fn charged(&self) -> u64 {
        let pages = self.pages.iter().filter(|(_, page)| page.charge != Charge::Nothing);
        let mut tables: Vec<(u32, u64)> =
            pages.flat_map(|(at, _)| [21, 30, 39].map(|level| (level, at >> level))).collect();
        tables.sort_unstable();
        tables.dedup();
        self.accounted() + tables.len() as u64
    }

    /// Becomes what it would be, if that can be promised.
    pub fn become_promised(&mut self, changed: Self, world: &mut World) -> Result<(), Errno> {
        world.promise(self.charged(), changed.charged())?;
        *self = changed;
        Ok(())
    }

    pub fn data(&self, start: u64, end: u64) -> u64 {
        self.pages.range(start..end).filter(|(_, page)| page.is_data()).count() as u64
    }

    pub fn data_allows(&self, less: u64, more: u64) -> bool {
        more <= less || (self.data(0, USER_END) - less + more) * PAGE_SIZE <= self.limits.data
    }

    /// Whether a border between pages lies inside an area.
    pub fn inside(&self, at: u64) -> bool {
        let before = at.checked_sub(PAGE_SIZE).and_then(|before| self.pages.get(&before));
        matches!((before, self.pages.get(&at)), (Some(before), Some(page)) if before.goes_on_in(page))
    }

    /// Whether both ends of the range lie inside one and the same area.
    pub fn splits(&self, start: u64, end: u64) -> bool {
        (start..=end).step_by(PAGE_SIZE as usize).all(|at| self.inside(at))
    }

    /// Whether the list has room for so many areas more.
    pub fn has_room(&self, more: usize) -> bool {
        self.areas() + more <= self.limits.areas
    }

    /// Whether nothing is in the range, nor a stack above it within the guard gap before anything
    /// else.
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        let next = self.pages.range(end..).next();
        let stack_is_near =
            next.is_some_and(|(at, page)| page.kind == AreaKind::Stack && *at < end + GUARD_GAP);
        !self.any(start, end) && !stack_is_near
    }

    pub fn remove(&mut self, start: u64, end: u64) {
        self.pages.retain(|at, _| !(start..end).contains(at));
    }

    pub fn brk(&mut self, to: u64, world: &mut World) -> u64 {
        let up = |at: u64| at.next_multiple_of(PAGE_SIZE);
        if to < self.layout.start_brk
            || (to - self.layout.start_brk).saturating_add(self.image_data) > self.limits.data
            || to > USER_END
        {
            return self.brk;
        }
        let (old, new) = (up(self.brk), up(to));
        if new < old {
            if self.splits(new, old) && !self.has_room(1) {
                return self.brk;
            }
            let before = self.charged();
            self.remove(new, old);
            world.promised -= before - self.charged();
        }
        if new > old {
            let pages = (new - old) / PAGE_SIZE;
            let allowed = self.is_free(old, new + PAGE_SIZE)
                && self.data_allows(0, pages)
                && self.has_room(1);
            let vma =
                Vma::private(old, new, Permissions::READ | Permissions::WRITE, AreaKind::Heap);
            let mut changed = self.clone();
            changed.pages.extend(pages_of(&vma));
            if !allowed || self.become_promised(changed, world).is_err() {
                return self.brk;
            }
        }
        self.brk = to;
        to
    }

    /// Does what an instruction does: reads the byte, or writes to it and returns the old one.
    /// `None` when it must not.
    pub fn touch(
        &mut self,
        (address, access): (u64, Access),
        value: u8,
        world: &mut World,
    ) -> Option<u8> {
        let at = page_floor(address);
        if address >= USER_END
            || (!self.pages.contains_key(&at) && !self.grow_stack(at, access, world))
        {
            return None;
        }
        let page = self.pages.get_mut(&at).filter(|page| permitted(page, access))?;
        let byte =
            page.object.map_or(&mut page.value, |place| world.objects.entry(place).or_default());
        let old = *byte;
        if access == Access::Write {
            *byte = value;
        }
        Some(old)
    }

    fn grow_stack(&mut self, at: u64, access: Access, world: &mut World) -> bool {
        let Some((&start, &page)) = self.pages.range(at..).next() else { return false };
        if page.kind != AreaKind::Stack || !permitted(&page, access) || at < MIN_ADDRESS {
            return false;
        }
        let mut end = start + PAGE_SIZE;
        while self.inside(end) {
            end += PAGE_SIZE;
        }
        let gap_is_gone = self.pages.range(..at).next_back().is_some_and(|(below, page)| {
            page.kind != AreaKind::Stack
                && !page.permissions.is_empty()
                && at - (below + PAGE_SIZE) < GUARD_GAP
        });
        if end - at > self.limits.stack || gap_is_gone {
            return false;
        }
        let mut changed = self.clone();
        for new in (at..start).step_by(PAGE_SIZE as usize) {
            changed.pages.insert(new, Page { value: 0, ..page });
        }
        self.become_promised(changed, world).is_ok()
    }
}

fn permitted(page: &Page, access: Access) -> bool {
    match access {
        Access::Read => !page.permissions.is_empty(),
        Access::Write => page.permissions.contains(Permissions::WRITE),
        Access::Execute => page.permissions.contains(Permissions::EXECUTE),
    }
}

/// The pages of an area, each with a value of 0.
pub fn pages_of(vma: &Vma) -> impl Iterator<Item = (u64, Page)> + use<> {
    let Vma { start, permissions, kind, sharing, name, offset, charge, .. } = *vma;
    (start..vma.end).step_by(PAGE_SIZE as usize).map(move |at| {
        let object = match sharing {
            Sharing::Private => None,
            Sharing::Shared(object, first) => Some((object, first + (at - start) / PAGE_SIZE)),
        };
        let file = (!name.is_empty()).then_some((name, offset + (at - start)));
        (at, Page { permissions, kind, object, file, charge, value: 0 })
    })
}
