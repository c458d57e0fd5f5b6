//! The naive model of `mmap`, `munmap` and `mprotect`.

use super::naive::{Page, Process, World, pages_of};
use crate::address_space::{
    AreaKind, Charge, Errno, GUARD_GAP, MIN_ADDRESS, MapFlags, MapRequest, Sharing, USER_END, Vma,
};
use crate::words::Permissions;
use crate::words::layout::{PAGE_SIZE, page_floor};

const BOTH: Permissions = Permissions::WRITE.union(Permissions::EXECUTE);

/// The end of the range in whole pages, if it is a range of user memory.
fn range(start: u64, len: u64) -> Option<u64> {
    let len = len.checked_next_multiple_of(PAGE_SIZE)?;
    let end = start.checked_add(len)?;
    (len > 0 && start.is_multiple_of(PAGE_SIZE) && end <= USER_END).then_some(end)
}

impl Process {
    pub fn mmap(&mut self, request: MapRequest, world: &mut World) -> Result<u64, Errno> {
        let MapRequest { hint, len, permissions, flags, object } = request;
        let shared = flags.contains(MapFlags::SHARED);
        if len == 0
            || !flags.contains(MapFlags::ANONYMOUS)
            || shared == flags.contains(MapFlags::PRIVATE)
        {
            return Err(Errno::EINVAL);
        }
        let sharing = match object {
            Some(object) if shared => Sharing::Shared(object, 0),
            None if shared => return Err(Errno::EINVAL),
            _ => Sharing::Private,
        };
        if permissions.contains(BOTH) {
            return Err(Errno::EACCES);
        }
        let len = len.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        let noreplace = flags.contains(MapFlags::FIXED_NOREPLACE);
        let start = if noreplace || flags.contains(MapFlags::FIXED) {
            match hint {
                _ if hint.checked_add(len).is_none_or(|end| end > USER_END) => {
                    return Err(Errno::ENOMEM);
                }
                _ if !hint.is_multiple_of(PAGE_SIZE) => return Err(Errno::EINVAL),
                _ if hint < MIN_ADDRESS => return Err(Errno::EPERM),
                _ if noreplace && self.any(hint, hint + len) => return Err(Errno::EEXIST),
                _ => hint,
            }
        } else {
            self.place(hint, len).ok_or(Errno::ENOMEM)?
        };
        let (end, kind) = (start + len, AreaKind::Mapping);
        let charge = match permissions {
            _ if permissions.contains(Permissions::WRITE) && !shared => Charge::Pages,
            _ if permissions.is_empty() => Charge::Nothing,
            _ => Charge::Tables,
        };
        let vma = Vma { start, end, permissions, kind, sharing, charge, ..Vma::NONE };
        self.put(&vma, world)?;
        Ok(start)
    }

    /// Tries one address after the other.
    fn place(&self, hint: u64, len: u64) -> Option<u64> {
        if len > USER_END - MIN_ADDRESS {
            return None;
        }
        let fits = |start: &u64| range(*start, len).is_some_and(|end| self.is_free(*start, end));
        let base = self.layout.mmap_base;
        let hint =
            Some(page_floor(hint)).filter(|hint| *hint != 0).map(|hint| hint.max(MIN_ADDRESS));
        // Behind all pages is room, or there is none at all.
        let behind = self.pages.keys().next_back().map_or(base, |last| base.max(last + PAGE_SIZE));
        let down = (MIN_ADDRESS / PAGE_SIZE..base / PAGE_SIZE).rev().map(|page| page * PAGE_SIZE);
        let down = down.filter(|start| start.saturating_add(len) <= base);
        let up = (base..=behind + GUARD_GAP).step_by(PAGE_SIZE as usize);
        hint.filter(fits).or_else(|| down.chain(up).find(fits))
    }

    /// Puts an area in place of whatever is there.
    fn put(&mut self, vma: &Vma, world: &mut World) -> Result<(), Errno> {
        let pages: Vec<(u64, Page)> = pages_of(vma).collect();
        let data = pages.iter().filter(|(_, page)| page.is_data()).count() as u64;
        let more = 1 + usize::from(self.splits(vma.start, vma.end));
        if !self.data_allows(self.data(vma.start, vma.end), data) || !self.has_room(more) {
            return Err(Errno::ENOMEM);
        }
        let mut changed = self.clone();
        changed.remove(vma.start, vma.end);
        changed.pages.extend(pages);
        self.become_promised(changed, world)
    }

    pub fn munmap(&mut self, start: u64, len: u64, world: &mut World) -> Result<(), Errno> {
        let end = range(start, len).ok_or(Errno::EINVAL)?;
        self.take_out(start, end, world)
    }

    fn take_out(&mut self, start: u64, end: u64, world: &mut World) -> Result<(), Errno> {
        if self.any(start, end) && self.splits(start, end) && !self.has_room(1) {
            return Err(Errno::ENOMEM);
        }
        let mut changed = self.clone();
        changed.remove(start, end);
        self.become_promised(changed, world)
    }

    pub fn mprotect(
        &mut self,
        start: u64,
        len: u64,
        to: Permissions,
        world: &mut World,
    ) -> Result<(), Errno> {
        if !start.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let len = len.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        let end = start.checked_add(len).ok_or(Errno::ENOMEM)?;
        if to.contains(BOTH) {
            return Err(Errno::EACCES);
        }
        if self.pages.range(start..end).count() as u64 != len / PAGE_SIZE {
            return Err(Errno::ENOMEM);
        }
        let mut changed = self.clone();
        for page in changed.pages.range_mut(start..end).map(|(_, page)| page) {
            page.permissions = to;
            let more = match to {
                _ if page.object.is_none() && to.contains(Permissions::WRITE) => Charge::Pages,
                _ if to.is_empty() => Charge::Nothing,
                _ => Charge::Tables,
            };
            page.charge = page.charge.max(more);
        }
        let cuts = usize::from(self.inside(start)) + usize::from(self.inside(end));
        let data = (self.data(start, end), changed.data(start, end));
        if !self.data_allows(data.0, data.1) || !self.has_room(cuts) {
            return Err(Errno::ENOMEM);
        }
        self.become_promised(changed, world)
    }
}
