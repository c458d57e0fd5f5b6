//! The text screen: 25 rows of 80 characters with colours, in the memory of the VGA.

use core::ptr;

use crate::memory::PhysicalMap;
use crate::words::screen::{COLUMNS, ROWS};

/// Physical address of the screen: two bytes for each character, the second one its colour.
const SCREEN: u64 = 0xB_8000;

/// Shows a row.
///
/// # Panics
///
/// When there is no such row.
pub fn show(row: usize, text: &[u8; COLUMNS], colour: u8) {
    assert!(row < ROWS, "the screen has {ROWS} rows");
    let start = ptr::with_exposed_provenance_mut::<u16>(PhysicalMap::address(SCREEN) as usize);
    for (column, character) in text.iter().enumerate() {
        let cell = u16::from_le_bytes([*character, colour]);
        // SAFETY: the VGA's memory is mapped with all physical memory, and the place is inside the
        // screen. Nobody else in this kernel uses it.
        unsafe { start.add(row * COLUMNS + column).write_volatile(cell) };
    }
}
