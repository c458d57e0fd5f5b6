//! The kernel reads and writes a process's memory: through the tables and the map of all physical
//! memory, never through the process's own addresses. A pointer from ring 3 is a number that is
//! looked up here, as the processor would.

use x86_64::structures::paging::PageTableFlags;

use super::{Pages, state};
use crate::address_space::PageState;
use crate::memory::layout::{LOWER_HALF_END, PAGE_SIZE, page_floor};
use crate::memory::manager::Reach;
use crate::memory::tables::{Leaf, Mmu, Tables};

impl<R: Reach> Pages<R> {
    /// Copies from the process's memory at the address. Returns how many bytes there were up to the
    /// first page that is not mapped, or not to be read: the address behind them is the one
    /// that faults.
    pub fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let may = |leaf: Leaf| leaf.flags.contains(PageTableFlags::USER_ACCESSIBLE);
        pieces(&mut self.tables, address, buffer.len(), may, |done, piece| {
            buffer[done..][..piece.len()].copy_from_slice(piece);
        })
    }

    /// Copies to the process's memory at the address. Returns how many bytes were written up to the
    /// first page that is not mapped, or not to be written as it is: the address behind them is
    /// the one that faults.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> usize {
        let may = |leaf: Leaf| {
            leaf.flags.contains(PageTableFlags::USER_ACCESSIBLE | PageTableFlags::WRITABLE)
        };
        pieces(&mut self.tables, address, bytes.len(), may, |done, piece| {
            piece.copy_from_slice(&bytes[done..][..piece.len()])
        })
    }

    /// As [`write`](Self::write), for who loads a program: to pages with a frame of their own,
    /// whatever their permissions.
    pub fn load(&mut self, address: u64, bytes: &[u8]) -> usize {
        let Self { tables, reach, .. } = self;
        let own = |leaf| reach.with(|memory| state(memory, leaf)) == PageState::Own;
        pieces(tables, address, bytes.len(), own, |done, piece| {
            piece.copy_from_slice(&bytes[done..][..piece.len()])
        })
    }
}

/// Shows the memory in `[address, address + len)` of the lower half, page by page, as far as it is
/// mapped and allowed. `action` is told how many bytes came before. Returns how many there were.
fn pieces<M: Mmu>(
    tables: &mut Tables<M>,
    address: u64,
    len: usize,
    allowed: impl Fn(Leaf) -> bool,
    mut action: impl FnMut(usize, &mut [u8]),
) -> usize {
    let mut done = 0;
    while done < len {
        let at = address.checked_add(done as u64).filter(|at| *at < LOWER_HALF_END);
        let Some((at, leaf)) = at
            .and_then(|at| Some((at, tables.leaf(page_floor(at)).filter(|leaf| allowed(*leaf))?)))
        else {
            break;
        };
        let offset = (at % PAGE_SIZE) as usize;
        let piece = (PAGE_SIZE as usize - offset).min(len - done);
        // SAFETY: the process does not run, and its entry holds a share of the frame, so that it
        // stays.
        let bytes = unsafe { tables.contents(leaf.frame) };
        action(done, &mut bytes[offset..][..piece]);
        done += piece;
    }
    done
}
