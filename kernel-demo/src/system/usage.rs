//! What a process has used, and `struct rusage`, in which `getrusage` and `wait4` say so.

use core::ops::AddAssign;

use crate::strace::{MAXRSS, MINFLT};

/// Words of `struct rusage`.
const RUSAGE_WORDS: usize = 18;

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
    /// The words of `struct rusage`, as they lie in memory. What is not counted is zero.
    pub fn to_words(self) -> [[u8; 8]; RUSAGE_WORDS] {
        const NVCSW: usize = 16;
        const NIVCSW: usize = 17;
        let mut words = [0; RUSAGE_WORDS];
        (words[MAXRSS], words[MINFLT]) = (self.max_resident * 4, self.minor_faults);
        (words[NVCSW], words[NIVCSW]) = (self.voluntary_switches, self.involuntary_switches);
        words.map(u64::to_le_bytes)
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
        let words = usage.to_words().map(u64::from_le_bytes);
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
