//! Check bits of headers, for checked heaps. Arithmetic only.
//!
//! ```text
//!    63        48 47                          3  2  1  0
//!   ┌────────────┬─────────────────────────────┬──┬──┬──┐     check bits: a hash of the other bits
//!   │ check bits │ size of the cell            │ F│PU│ U│                 and the header's address
//!   └────────────┴─────────────────────────────┴──┴──┴──┘
//! ```
//!
//! A 32-bit header has no room for check bits: the heap only compares it with its neighbours. A
//! fencepost has no check bits either, because a hole may have any size.

use super::Header;

/// Mask of the check bits; 0 on 32-bit.
const SEAL: usize = (0xFFFF_u64 << 48) as usize;

/// Returns a hash of an address and a value: a change of either changes half of its bits on
/// average.
pub(crate) const fn mix(address: usize, value: usize) -> usize {
    let mut bits = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ value as u64;
    bits = (bits ^ (bits >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (bits ^ (bits >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32) as usize
}

impl Header {
    /// Returns the header with the check bits for `address`, as the heap stores it there.
    pub(crate) const fn sealed(self, address: usize) -> Self {
        let bare = self.unsealed();
        if self.is_fencepost() { bare } else { Self(bare.0 | mix(address, bare.0) & SEAL) }
    }

    /// Returns the header without its check bits.
    pub(crate) const fn unsealed(self) -> Self {
        if self.is_fencepost() { self } else { Self(self.0 & !SEAL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CELL_ALIGN, State};

    #[test]
    fn unsealing_restores_the_header() {
        let header = Header::new(100 * CELL_ALIGN, State::USED);
        assert_eq!(header.sealed(0x1008).unsealed(), header);
        let fencepost = Header::new(usize::MAX & !(CELL_ALIGN - 1), State::USED | State::FENCEPOST);
        assert_eq!((fencepost.sealed(0x1008), fencepost.unsealed()), (fencepost, fencepost));
    }

    #[test]
    fn check_bits_detect_nearly_every_change() {
        let sealed = |at, size| Header::new(size, State::USED).sealed(at).bits() & SEAL;
        let others = (1..1000)
            .filter(|more| sealed(0x1008, 64 + more * CELL_ALIGN) == sealed(0x1008, 64))
            .count();
        let elsewhere = (1..1000)
            .filter(|more| sealed(0x1008 + more * CELL_ALIGN, 64) == sealed(0x1008, 64))
            .count();
        assert!(
            SEAL == 0 || others + elsewhere <= 2,
            "{others} and {elsewhere} of 999 have the same bits"
        );
    }
}
