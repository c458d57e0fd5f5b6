//! The kernel reads and writes a process's memory: through the tables and the map of all physical
//! memory, never through the process's own addresses. A pointer from ring 3 is a number that is
//! looked up here, as the processor would.

use x86_64::structures::paging::PageTableFlags;

use super::{Budget, Leaf, Mmu, OBJECT, PageState, Pages, Payer, Pool, state};
use crate::address_space::Resident;
use crate::words::layout::{LOWER_HALF_END, PAGE_SIZE, page_floor};

impl<M: Mmu> Pages<M> {
    /// Counts what is behind the pages in `[start, end)` (page-aligned), and adds it to what was
    /// found before. Returns where it got to.
    pub fn count_resident(
        &mut self,
        payer: &mut Payer<'_>,
        range: (u64, u64),
        found: &mut Resident,
        work: &mut Budget,
    ) -> u64 {
        let count = &mut |payer: &mut Payer<'_>, _, leaf: Leaf| {
            // The object itself owns a share of each of its frames, and has none mapped.
            let owners = payer.pool.frames.owners(leaf.frame);
            match (state(payer.pool, leaf), owners - u32::from(leaf.flags.contains(OBJECT))) {
                (PageState::ZeroPage, _) => {}
                (_, 1) => found.private += 1,
                _ => found.shared += 1,
            }
            leaf
        };
        // SAFETY: nothing is changed.
        unsafe { self.tables.visit(payer, range, work, count) }
    }

    /// Copies from the process's memory at the address. Returns how many bytes there were up to the
    /// first page that is not mapped, or not to be read: the address behind them is the one
    /// that faults.
    pub fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let may = |leaf: Leaf| leaf.flags.contains(PageTableFlags::USER_ACCESSIBLE);
        self.pieces(address, buffer.len(), may, |done, piece, len| {
            // SAFETY: so many bytes of the frame are there, which no reference leads to.
            unsafe { piece.copy_to(buffer[done..][..len].as_mut_ptr(), len) };
        })
    }

    /// Copies to the process's memory at the address. Returns how many bytes were written up to the
    /// first page that is not mapped, or not to be written as it is: the address behind them is
    /// the one that faults.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> usize {
        let writable = PageTableFlags::USER_ACCESSIBLE | PageTableFlags::WRITABLE;
        self.pieces(address, bytes.len(), |leaf| leaf.flags.contains(writable), copied(bytes))
    }

    /// As [`write`](Self::write), for who loads a program: to pages with a frame of their own,
    /// whatever their permissions.
    pub fn load(&mut self, pool: &Pool, address: u64, bytes: &[u8]) -> usize {
        let own = |leaf| state(pool, leaf) == PageState::Own;
        self.pieces(address, bytes.len(), own, copied(bytes))
    }

    /// Shows the memory in `[address, address + len)` of the lower half, page by page, as far as it
    /// is mapped and allowed. `action` is told how many bytes came before, where the next ones are,
    /// and how many. Returns how many there were.
    ///
    /// Another thread of the process may write to them meanwhile, on another CPU: what is read then
    /// is what either of the two wrote, as between programs.
    fn pieces(
        &mut self,
        address: u64,
        len: usize,
        allowed: impl Fn(Leaf) -> bool,
        mut action: impl FnMut(usize, *mut u8, usize),
    ) -> usize {
        let mut done = 0;
        while done < len {
            let at = address.wrapping_add(done as u64);
            if at < address || at >= LOWER_HALF_END {
                break;
            }
            let Some(leaf) = self.tables.leaf(page_floor(at)).filter(|leaf| allowed(*leaf)) else {
                break;
            };
            let offset = (at % PAGE_SIZE) as usize;
            let piece = (PAGE_SIZE as usize - offset).min(len - done);
            action(done, self.tables.bytes(leaf.frame).wrapping_add(offset), piece);
            done += piece;
        }
        done
    }
}

/// Copies the bytes, piece by piece.
fn copied(bytes: &[u8]) -> impl FnMut(usize, *mut u8, usize) {
    |done, piece, len| {
        // SAFETY: so many bytes of the frame are there, which no reference leads to.
        unsafe { piece.copy_from(bytes[done..][..len].as_ptr(), len) };
    }
}
