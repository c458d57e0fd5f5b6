//! `mremap`: makes a mapping shorter or longer where it is.

use bitflags::bitflags;

use super::munmap::user_range;
use super::{AddressSpace, Commit, Errno, PageTables, USER_END, Vma, round_up};

bitflags! {
    /// What `mremap` may do; Linux's numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RemapFlags: u32 {
        /// Move if there is no room. Accepted; this kernel answers `ENOMEM` instead.
        const MAYMOVE = 1;
    }
}

/// What `mremap` is asked for. Lengths are rounded up to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where the memory starts.
    pub old: u64,
    /// Bytes it has.
    pub old_len: u64,
    /// Bytes it shall have.
    pub new_len: u64,
}

impl AddressSpace {
    /// Changes the length of the memory at `old`, and returns where it is.
    ///
    /// New memory is like the area that it extends. A shared mapping cannot become longer, for the
    /// object cannot (Linux lets it, and kills a process that touches what is too much).
    ///
    /// # Errors
    ///
    /// * `EINVAL`: an address is not page-aligned; a length of 0 (Linux takes an old length of 0
    ///   for a second mapping of shared memory); a range that leaves user memory; a shared mapping
    ///   that would become longer.
    /// * `EFAULT`: nothing is mapped at `old`; or not all of it is one area, and it would have to
    ///   grow.
    /// * `ENOMEM`: no room where it is (Linux may move it then); the list is full; the data limit
    ///   or the account refuses.
    pub fn mremap(
        &mut self,
        request: RemapRequest,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<u64, Errno> {
        let RemapRequest { old, .. } = request;
        let old_end = user_range(old, request.old_len).ok_or(Errno::EINVAL)?;
        let new_len = round_up(request.new_len)
            .filter(|len| (1..=USER_END).contains(len))
            .ok_or(Errno::EINVAL)?;
        let vma = *self.vmas.find(old).ok_or(Errno::EFAULT)?;
        let new_end = old + new_len;
        if new_end <= old_end {
            if new_end < old_end {
                self.take_out(new_end, old_end, tables, commit)?;
            }
            return Ok(old);
        }
        if old_end > vma.end {
            return Err(Errno::EFAULT);
        }
        if vma.is_shared() {
            return Err(Errno::EINVAL);
        }
        if new_end > USER_END || !self.is_free(old_end, new_end) {
            return Err(Errno::ENOMEM);
        }
        let more = Vma { end: new_end, ..vma }.part(old_end, new_end);
        self.replace(more, tables, commit)?;
        Ok(old)
    }
}
