//! Settings and statistics that C has names for.

use core::ptr::NonNull;

use brkalloc::{MapThreshold, Stats, Trim};

use crate::request::PAGE;

/// A setting of the heap that C can change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting {
    MapThreshold(MapThreshold),
    Trim(Trim),
}

impl Setting {
    /// Blocks of `bytes` bytes and more have mappings of their own; the threshold does not adapt.
    pub(crate) const fn map_threshold(bytes: usize) -> Self {
        Self::MapThreshold(MapThreshold::fixed(bytes))
    }

    /// From `threshold` free bytes at the break on, half of them stay.
    pub(crate) const fn trim(threshold: usize) -> Self {
        Self::Trim(Trim::new(threshold, threshold / 2))
    }
}

/// Memory in use, without mappings of large blocks: in bytes, or numbers of cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Bytes granted by the system.
    pub(crate) granted: usize,
    pub(crate) live: usize,
    pub(crate) free_cells: usize,
    /// Free bytes at the break.
    pub(crate) top: usize,
}

impl Usage {
    /// Usage of a heap without arenas.
    pub(super) fn of(stats: &Stats) -> Self {
        Self {
            granted: stats.granted_bytes,
            live: stats.live_bytes,
            free_cells: stats.free_cells,
            top: 0,
        }
    }

    /// Notes a free piece of memory; its end tells whether it is at the break.
    pub(super) fn note(&mut self, piece: NonNull<[u8]>, brk: usize) {
        if piece.cast::<u8>().addr().get() + piece.len() + PAGE > brk {
            self.top = piece.len();
        }
    }
}
