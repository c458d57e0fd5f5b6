//! Sums over the areas of an address space: what `status` shows, and what the limits are held
//! against.

use super::vma::{Charge, Kind, Vma};
use crate::memory::Permissions;

/// Sums over all areas, in pages, as `status` and the limits want them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All pages.
    pub pages: u64,
    /// Private, writable, not stack.
    pub data: u64,
    /// Stack.
    pub stack: u64,
    /// Executable.
    pub executable: u64,
    /// Charged page by page.
    pub accounted: u64,
}

impl Totals {
    /// Of no areas.
    pub const NONE: Self = Self { pages: 0, data: 0, stack: 0, executable: 0, accounted: 0 };

    /// Counts so many pages of an area.
    #[inline(always)]
    pub fn add(&mut self, vma: &Vma, pages: u64) {
        let Self { pages: all, data, stack, executable, accounted } = self;
        *all += pages;
        for (sum, applies) in [data, stack, executable, accounted].into_iter().zip(counts_as(vma)) {
            *sum += if applies { pages } else { 0 };
        }
    }

    /// Does not count them any more.
    pub fn subtract(&mut self, vma: &Vma, pages: u64) {
        let Self { pages: all, data, stack, executable, accounted } = self;
        *all -= pages;
        for (sum, applies) in [data, stack, executable, accounted].into_iter().zip(counts_as(vma)) {
            *sum -= if applies { pages } else { 0 };
        }
    }
}

/// Whether the area's pages are data, stack, executable, charged.
fn counts_as(vma: &Vma) -> [bool; 4] {
    [
        vma.is_data(),
        vma.kind == Kind::Stack,
        vma.permissions.contains(Permissions::EXECUTE),
        vma.charge == Charge::Pages,
    ]
}
