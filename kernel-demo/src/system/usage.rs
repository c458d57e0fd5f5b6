//! What a process has used, and `struct rusage`, in which `getrusage` and `wait4` say so.

use core::ops::AddAssign;

/// Bytes of `struct rusage`: eighteen words of 64 bits.
pub const RUSAGE_SIZE: usize = 144;

/// Where in it the largest resident set stands, in KiB.
pub const MAXRSS_OFFSET: u64 = 32;

/// Where in it the page faults stand that needed no disk.
pub const MINFLT_OFFSET: u64 = 64;

/// What a process has used, or all its children that it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Most pages that were resident at once. Of several processes: the largest one's.
    pub max_resident: u64,
    /// Page faults that were served.
    pub minor_faults: u64,
    /// Turns that the process gave up: it waited, or yielded.
    pub voluntary_switches: u64,
    /// Turns that the timer ended.
    pub involuntary_switches: u64,
}

impl Usage {
    /// The bytes of `struct rusage`. What this kernel does not count is zero.
    pub fn to_bytes(self) -> [u8; RUSAGE_SIZE] {
        const NVCSW_OFFSET: u64 = 128;
        const NIVCSW_OFFSET: u64 = 136;
        let mut bytes = [0; RUSAGE_SIZE];
        for (offset, value) in [
            (MAXRSS_OFFSET, self.max_resident * 4),
            (MINFLT_OFFSET, self.minor_faults),
            (NVCSW_OFFSET, self.voluntary_switches),
            (NIVCSW_OFFSET, self.involuntary_switches),
        ] {
            bytes[offset as usize..][..8].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.max_resident = self.max_resident.max(other.max_resident);
        self.minor_faults += other.minor_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_lie_where_linux_has_them() {
        let usage = Usage {
            max_resident: 3,
            minor_faults: 5,
            voluntary_switches: 7,
            involuntary_switches: 9,
        };
        let bytes = usage.to_bytes();
        let words: Vec<u64> =
            bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let mut expected = [0; 18];
        (expected[4], expected[8], expected[16], expected[17]) = (12, 5, 7, 9);
        assert_eq!(words, expected);
    }

    #[test]
    fn of_several_processes_the_largest_counts_and_the_rest_adds_up() {
        let mut sum = Usage { max_resident: 3, minor_faults: 5, ..Usage::default() };
        sum += Usage {
            max_resident: 2,
            minor_faults: 10,
            voluntary_switches: 1,
            involuntary_switches: 4,
        };
        let expected = Usage {
            max_resident: 3,
            minor_faults: 15,
            voluntary_switches: 1,
            involuntary_switches: 4,
        };
        assert_eq!(sum, expected);
    }
}
