//! `mprotect`: other permissions for a range of pages; areas are split at its ends, and what is
//! alike afterwards becomes one.

use super::{AddressSpace, Backing, Charge, Errno, Vma};
use crate::words::Permissions;
use crate::words::layout::{PAGE_SIZE, checked_page_ceil};

impl AddressSpace {
    /// Gives all pages of `[start, start + len)` these permissions.
    ///
    /// Memory that becomes writable is charged, and stays so when it is not writable any more: what
    /// was written is still there.
    ///
    /// # Errors
    ///
    /// Other than in Linux, where the part before a hole is changed, nothing has changed.
    ///
    /// * `EINVAL`: `start` is not page-aligned.
    /// * `EACCES`: writable and executable at once (Linux leaves this to security modules).
    /// * `ENOMEM`: there is a hole; the list has no room for a split; the data limit or the account
    ///   refuses.
    pub fn mprotect(
        &mut self,
        start: u64,
        len: u64,
        permissions: Permissions,
        backing: &mut impl Backing,
    ) -> Result<(), Errno> {
        if !start.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end =
            checked_page_ceil(len).and_then(|len| start.checked_add(len)).ok_or(Errno::ENOMEM)?;
        if permissions.write_code() {
            return Err(Errno::EACCES);
        }
        let areas = self.areas.within(start, end);
        let parts = self.areas.parts(&areas, start, end);
        if parts.clone().map(|vma| vma.len()).sum::<u64>() != end - start {
            return Err(Errno::ENOMEM);
        }
        let after = parts.clone().map(|vma| with(vma, permissions));
        let old_data = parts.clone().filter(Vma::is_data).map(|vma| vma.pages()).sum();
        let new_data = after.clone().filter(Vma::is_data).map(|vma| vma.pages()).sum();
        if !self.data_may_change(old_data, new_data) {
            return Err(Errno::ENOMEM);
        }
        let more = self.areas.charge_of(&areas, (start, end), after)
            - self.areas.charge_of(&areas, (start, end), parts);
        self.areas.reserve(self.areas.cuts(start, end))?;
        backing.charge(more)?;
        self.charged += more;
        self.areas.rewrite(start, end, |vma| *vma = with(*vma, permissions));
        if backing.protect(start, end, permissions) { Ok(()) } else { Err(Errno::ERESTART) }
    }
}

/// The area with other permissions.
fn with(vma: Vma, permissions: Permissions) -> Vma {
    let charge = vma.charge.max(Charge::of(permissions, vma.kind, vma.sharing));
    Vma { permissions, charge, ..vma }
}
