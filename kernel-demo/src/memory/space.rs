//! The address space as a list of regions, and what lies at an address.
//!
//! ```text
//!   ── gap ──┤ region ├──── gap ────┤ region ├┤ region ├─────── gap ──
//!            start    end           (below)     (above)
//! ```
//!
//! Pure bookkeeping: nothing here touches a page table. What is *mapped* inside a region is another
//! question.

use core::fmt;

use super::breaks::BreakId;
pub use super::permissions::Permissions;

/// Regions the list holds.
pub const MAX_REGIONS: usize = 64;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Part of the kernel's image, or what the bootloader handed over: mapped as long as the kernel
    /// runs.
    Fixed,
    /// A kernel stack.
    Stack,
    /// The unmapped page below the stack of the same name.
    Guard,
    /// Memory between the base of a break and its end; mapped on first touch.
    Break(BreakId),
}

/// A range of addresses with one purpose and one set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What people call it.
    pub name: &'static str,
    /// First address.
    pub start: u64,
    /// First address after it. Equal to `start` for a break that was not moved yet.
    pub end: u64,
    /// What may be done with it.
    pub permissions: Permissions,
    /// What it is for.
    pub kind: RegionKind,
}

impl Region {
    /// Whether the address lies in the region.
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}..{:#018x} {} {}", self.start, self.end, self.permissions, self.name)
    }
}

/// What lies at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A region.
    Region(Region),
    /// Nothing: a gap between two regions.
    Gap {
        /// The nearest region that ends at or below the address.
        below: Option<Region>,
        /// The nearest region that starts above the address.
        above: Option<Region>,
    },
}

/// Why a region was not entered into the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// It overlaps this one.
    Overlaps(Region),
    /// The list is full.
    Full,
}

/// The list of all regions.
///
/// # Invariants
///
/// The first `len` entries are used; they are sorted by address and do not overlap.
pub struct Space {
    regions: [Region; MAX_REGIONS],
    len: usize,
}

impl Space {
    /// An address space with nothing in it.
    pub const fn new() -> Self {
        let nothing = Region {
            name: "",
            start: 0,
            end: 0,
            permissions: Permissions::empty(),
            kind: RegionKind::Fixed,
        };
        Self { regions: [nothing; MAX_REGIONS], len: 0 }
    }

    /// All regions, from low to high.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.len]
    }

    /// Enters a region. Linear in the number of regions.
    ///
    /// # Errors
    ///
    /// It overlaps another, or there is no room for it. Nothing has changed.
    pub fn insert(&mut self, region: Region) -> Result<(), InsertError> {
        if let Some(other) = self.overlapping(region.start, region.end) {
            return Err(InsertError::Overlaps(other));
        }
        if self.len == MAX_REGIONS {
            return Err(InsertError::Full);
        }
        let at = self.regions().partition_point(|other| other.start < region.start);
        self.regions.copy_within(at..self.len, at + 1);
        self.regions[at] = region;
        self.len += 1;
        Ok(())
    }

    /// Takes out the region that starts at the address.
    pub fn remove(&mut self, start: u64) -> Option<Region> {
        let at = self.regions().iter().position(|region| region.start == start)?;
        let region = self.regions[at];
        self.regions.copy_within(at + 1..self.len, at);
        self.len -= 1;
        Some(region)
    }

    /// Moves the end of the region that starts at the address; the caller has checked that the new
    /// one is free.
    pub fn set_end(&mut self, start: u64, end: u64) {
        let used = &mut self.regions[..self.len];
        if let Some(region) = used.iter_mut().find(|region| region.start == start) {
            region.end = end;
        }
    }

    /// A region that has an address in `[start, end)`.
    pub fn overlapping(&self, start: u64, end: u64) -> Option<Region> {
        self.regions().iter().find(|region| region.start < end && start < region.end).copied()
    }

    /// What lies at the address.
    pub fn lookup(&self, address: u64) -> Place {
        let regions = self.regions();
        let after = regions.partition_point(|region| region.start <= address);
        let below = after.checked_sub(1).map(|at| regions[at]);
        match below {
            Some(region) if region.contains(address) => Place::Region(region),
            _ => Place::Gap { below, above: regions.get(after).copied() },
        }
    }
}

impl Default for Space {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &'static str, start: u64, end: u64) -> Region {
        Region {
            name,
            start,
            end,
            permissions: Permissions::READ | Permissions::WRITE,
            kind: RegionKind::Fixed,
        }
    }

    #[test]
    fn an_address_is_in_a_region_or_between_two() {
        let (low, empty, high) =
            (region("low", 10, 20), region("empty", 30, 30), region("high", 40, 50));
        let mut space = Space::new();
        assert_eq!(space.lookup(7), Place::Gap { below: None, above: None });
        for region in [high, low, empty] {
            space.insert(region).unwrap();
        }
        assert_eq!(space.regions(), [low, empty, high]);
        assert_eq!(space.lookup(9), Place::Gap { below: None, above: Some(low) });
        assert_eq!(space.lookup(10), Place::Region(low));
        assert_eq!(space.lookup(19), Place::Region(low));
        assert_eq!(space.lookup(20), Place::Gap { below: Some(low), above: Some(empty) });
        assert_eq!(space.lookup(30), Place::Gap { below: Some(empty), above: Some(high) });
        assert_eq!(space.lookup(u64::MAX), Place::Gap { below: Some(high), above: None });
    }

    #[test]
    fn regions_do_not_overlap() {
        let mut space = Space::new();
        space.insert(region("a", 10, 20)).unwrap();
        assert_eq!(
            space.insert(region("b", 19, 30)),
            Err(InsertError::Overlaps(region("a", 10, 20)))
        );
        assert_eq!(
            space.insert(region("b", 0, 11)),
            Err(InsertError::Overlaps(region("a", 10, 20)))
        );
        space.insert(region("b", 20, 30)).unwrap();
        space.set_end(20, 40);
        assert_eq!(
            space.insert(region("c", 35, 36)),
            Err(InsertError::Overlaps(region("b", 20, 40)))
        );
        assert_eq!(space.remove(10), Some(region("a", 10, 20)));
        assert_eq!(space.remove(10), None);
        space.insert(region("c", 0, 20)).unwrap();
        assert_eq!(space.regions(), [region("c", 0, 20), region("b", 20, 40)]);
    }

    #[test]
    fn a_full_list_says_so() {
        let mut space = Space::new();
        for at in 0..MAX_REGIONS as u64 {
            space.insert(region("r", at * 2, at * 2 + 1)).unwrap();
        }
        assert_eq!(space.insert(region("last", 1001, 1002)), Err(InsertError::Full));
        assert_eq!(space.regions().len(), MAX_REGIONS);
    }

    #[test]
    fn a_region_reads_as_in_proc_maps() {
        assert_eq!(
            region("data", 0x1000, 0x2000).to_string(),
            "0x0000000000001000..0x0000000000002000 rw- data"
        );
    }
}
