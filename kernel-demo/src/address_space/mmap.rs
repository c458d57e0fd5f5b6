//! `mmap`: new memory, at an address of the caller's or below the highest gap that is large enough.
//!
//! ```text
//!    … heap      │ gap │ mapping │   gap   │ mapping │        │ guard gap │ stack │
//!                                      ▲             ▲        ▲
//!                                 the next one   mmap_base    only if nothing fits below: lowest gap above
//! ```

use core::iter;

use bitflags::bitflags;

use super::munmap::user_range;
use super::{
    AddressSpace, AreaKind, Backing, Charge, Errno, MIN_ADDRESS, ObjectId, Sharing, USER_END, Vma,
};
use crate::words::Permissions;
use crate::words::layout::{PAGE_SIZE, checked_page_ceil, page_floor};

bitflags! {
    /// How to map; Linux's numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapFlags: u32 {
        /// Others who map the object see what is written.
        const SHARED = 0x01;
        /// Nobody else sees what is written.
        const PRIVATE = 0x02;
        /// Exactly there, in place of whatever is there.
        const FIXED = 0x10;
        /// Memory of no file, all zero.
        const ANONYMOUS = 0x20;
        /// Exactly there, if nothing is there.
        const FIXED_NOREPLACE = 0x10_0000;
    }
}

/// What `mmap` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRequest {
    /// Where: a wish, or an order with `FIXED`. 0 is no wish.
    pub hint: u64,
    /// Bytes; rounded up to pages.
    pub len: u64,
    /// What may be done with it.
    pub permissions: Permissions,
    /// How.
    pub flags: MapFlags,
    /// What a shared mapping maps, from its first page on. Whoever asks has made it as long as the
    /// mapping, and had it charged. `None` for a private one.
    pub object: Option<ObjectId>,
}

impl AddressSpace {
    /// Maps new memory and returns where.
    ///
    /// # Errors
    ///
    /// * `EINVAL`: no length; not exactly one of `SHARED` and `PRIVATE`; not `ANONYMOUS`; a shared
    ///   one without an object; a fixed address that is not page-aligned.
    /// * `EACCES`: writable and executable at once (Linux leaves this to security modules).
    /// * `EPERM`: a fixed address below [`MIN_ADDRESS`].
    /// * `EEXIST`: something is there, with `FIXED_NOREPLACE`.
    /// * `ENOMEM`: no gap is large enough, the range leaves user memory, the list is full, or the
    ///   data limit or the account refuses.
    pub fn mmap(&mut self, request: MapRequest, backing: &mut impl Backing) -> Result<u64, Errno> {
        let MapRequest { hint, permissions, flags, .. } = request;
        if request.len == 0 || !flags.contains(MapFlags::ANONYMOUS) {
            return Err(Errno::EINVAL);
        }
        let sharing = match (flags & (MapFlags::SHARED | MapFlags::PRIVATE), request.object) {
            (MapFlags::PRIVATE, _) => Sharing::Private,
            (MapFlags::SHARED, Some(object)) => Sharing::Shared(object, 0),
            _ => return Err(Errno::EINVAL),
        };
        if permissions.write_code() {
            return Err(Errno::EACCES);
        }
        let len = checked_page_ceil(request.len).ok_or(Errno::ENOMEM)?;
        let start = if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            self.fixed(hint, len, flags)?
        } else {
            self.place(hint, len).ok_or(Errno::ENOMEM)?
        };
        let kind = AreaKind::Mapping;
        let charge = Charge::of(permissions, kind, sharing);
        let end = start + len;
        self.replace(Vma { start, end, permissions, kind, sharing, charge, ..Vma::NONE }, backing)?;
        Ok(start)
    }

    /// The address, if a mapping may be exactly there.
    fn fixed(&self, start: u64, len: u64, flags: MapFlags) -> Result<u64, Errno> {
        if len > USER_END || start > USER_END - len {
            return Err(Errno::ENOMEM);
        }
        if !start.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if start < MIN_ADDRESS {
            return Err(Errno::EPERM);
        }
        let replaces = self.overlapping(start, start + len).is_some();
        if replaces && flags.contains(MapFlags::FIXED_NOREPLACE) {
            Err(Errno::EEXIST)
        } else {
            Ok(start)
        }
    }

    /// Where a mapping of `len` bytes, a multiple of pages, goes: to the page of the hint if it is
    /// free; else as high as possible below `mmap_base`; else as low as possible above. Linear
    /// in the number of areas.
    fn place(&self, hint: u64, len: u64) -> Option<u64> {
        let hint = match page_floor(hint) {
            0 => None,
            page => Some(page.max(MIN_ADDRESS)),
        };
        let free = |start, end| self.areas.gap(start, end).is_some();
        let fits = |start: &u64| user_range(*start, len).is_some_and(|end| free(*start, end));
        hint.filter(fits).or_else(|| self.highest_gap(len)).or_else(|| self.lowest_gap(len))
    }

    /// The highest place for `len` bytes below `mmap_base`.
    fn highest_gap(&self, len: u64) -> Option<u64> {
        let mut end = self.layout.mmap_base;
        for vma in self.vmas().iter().rev() {
            if vma.end.saturating_add(len) <= end {
                break;
            }
            end = self.layout.mmap_base.min(vma.lowest());
        }
        let start = end.checked_sub(len)?;
        (start >= MIN_ADDRESS).then_some(start)
    }

    /// The lowest place for `len` bytes from `mmap_base` on.
    fn lowest_gap(&self, len: u64) -> Option<u64> {
        let mut start = self.layout.mmap_base;
        for vma in self.vmas() {
            if start.saturating_add(len) <= vma.lowest() {
                break;
            }
            start = start.max(vma.end);
        }
        user_range(start, len).map(|_| start)
    }

    /// Puts an area in place of whatever is there, or says why not: the list, the data limit, the
    /// account. As in Linux, what is there is gone if the account refuses when all of it is
    /// unmapped, because others were promised its frames meanwhile.
    fn replace(&mut self, vma: Vma, backing: &mut impl Backing) -> Result<(), Errno> {
        let Vma { start, end, .. } = vma;
        let areas = self.areas.within(start, end);
        let parts = self.areas.parts(&areas, start, end);
        let old_data = parts.clone().filter(Vma::is_data).map(|part| part.pages()).sum();
        if !self.data_may_change(old_data, if vma.is_data() { vma.pages() } else { 0 }) {
            return Err(Errno::ENOMEM);
        }
        let splits = self.areas.splits(&areas, start, end);
        let old = self.areas.charge_of(&areas, (start, end), parts);
        self.areas.reserve(1 + usize::from(splits))?;
        if !areas.is_empty() {
            let new = self.areas.charge_of(&areas, (start, end), iter::once(vma));
            let more = new.saturating_sub(old);
            backing.charge(more)?;
            backing.uncharge(more);
            self.take_out(start, end, backing)?;
        }
        self.enter_at(self.areas.after(start), vma, backing)
    }
}
