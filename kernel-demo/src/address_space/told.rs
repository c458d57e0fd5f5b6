//! Areas and break of an address space, as a story tells them.

use core::fmt::Write;
use core::hash::{Hash, Hasher};

use super::{AddressSpace, Table, Vma};
use crate::story::{self, Kind, Numbers, Text};

impl<T: Table, const N: usize> AddressSpace<T, N> {
    /// Tells all areas, and where the break stands, if that is not what `told` says. Returns what
    /// is told.
    pub fn tell(&self, space: u64, told: u64) -> u64 {
        let digest = self.digest();
        if digest != told {
            let mut part = self.part_of(space, 0);
            for (index, area) in self.vmas().iter().enumerate() {
                if !part.0.has_room(4) {
                    story::record(Kind::Areas, part.0.as_slice(), part.1.as_str());
                    part = self.part_of(space, index as u64);
                }
                let permissions = area.permissions.bits().into();
                part.0.push(&[area.start, area.end, permissions, area.is_shared().into()]);
                // The text takes all that there is room for.
                let _ = writeln!(part.1, "{}", area.label());
            }
            story::record(Kind::Areas, part.0.as_slice(), part.1.as_str());
        }
        digest
    }

    fn part_of(&self, space: u64, first: u64) -> (Numbers, Text) {
        (Numbers::new(&[space, self.breaks_end(), first]), Text::new())
    }

    fn breaks_end(&self) -> u64 {
        self.breaks[0].map_or(0, |brk| brk.end)
    }

    /// A number that changes with the areas and the break.
    fn digest(&self) -> u64 {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        self.breaks_end().hash(&mut digest);
        for Vma { start, end, permissions, .. } in self.vmas() {
            (start, end, permissions.bits()).hash(&mut digest);
        }
        digest.finish()
    }
}

/// FNV-1a.
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
