//! `brk`: moves the end of the heap. A few fields change, and that is all; pages appear when they
//! are touched.

use super::{AddressSpace, Commit, Errno, Kind, PageTables, USER_END, Vma};
use crate::memory::Permissions;
use crate::memory::layout::{PAGE_SIZE, page_ceil};

impl AddressSpace {
    /// Moves the break to the address, and returns where it stands afterwards: `to`, or the old
    /// break when that cannot be.
    ///
    /// In this order, as in Linux: the lower limit; the data limit, on the exact address; both ends
    /// rounded up to pages; if these are equal, only the field changes; down is always
    /// possible, unless that would split an area and there is no room for the two; up, only if no
    /// area lies in what comes or within a page of it (within the guard gap, if it is a stack),
    /// and the limits, the list and the account allow it.
    ///
    /// Logarithmic in the number of areas, but for the pages that are unmapped.
    ///
    /// # Errors
    ///
    /// `ERESTART` only.
    pub fn brk(
        &mut self,
        to: u64,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<u64, Errno> {
        match self.move_brk(to, tables, commit) {
            Ok(()) => {
                self.brk = to;
                self.highest_brk = self.highest_brk.max(to);
            }
            Err(Errno::ERESTART) => return Err(Errno::ERESTART),
            Err(_) => {}
        }
        Ok(self.brk)
    }

    fn move_brk(
        &mut self,
        to: u64,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<(), Errno> {
        let heap = to.checked_sub(self.layout.start_brk).ok_or(Errno::EINVAL)?;
        let data = heap.checked_add(self.image_data).ok_or(Errno::ENOMEM)?;
        if data > self.limits.data || to > USER_END {
            return Err(Errno::ENOMEM);
        }
        let (old_end, new_end) = (page_ceil(self.brk), page_ceil(to));
        if new_end == old_end {
            return Ok(());
        }
        if new_end < old_end {
            return self.take_out(new_end, old_end, tables, commit);
        }
        let vma =
            Vma::private(old_end, new_end, Permissions::READ | Permissions::WRITE, Kind::Heap);
        let at = self.vmas.gap(old_end, new_end + PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        if !self.data_may_change(0, vma.pages()) {
            return Err(Errno::ENOMEM);
        }
        self.enter_at(at, vma, commit)
    }
}
