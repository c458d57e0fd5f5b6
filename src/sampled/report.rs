//! Report of a misuse of a sampled block.

use core::fmt;

use crate::trace::Trace;

/// Kind of a misuse of a sampled block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampledMisuse {
    /// An access behind the end of a block.
    Overflow,
    /// An access in front of a block.
    Underflow,
    /// An access to a block after it was freed, or around it.
    UseAfterFree,
    /// A second free of a block.
    DoubleFree,
    /// A free of an address of the pool at which no block begins.
    InvalidFree,
}

/// Report of a misuse of a sampled block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleReport {
    /// Kind of the misuse.
    pub kind: SampledMisuse,
    /// Address of the access, of the first byte that was overwritten, or that was freed.
    pub at: usize,
    /// Address of the nearest block; 0 if there was none yet.
    pub block: usize,
    /// Requested size of the block, in bytes.
    pub size: usize,
    /// Call that allocated the block.
    pub allocated_by: Trace,
    /// Call that freed the block; `None` if it is live.
    pub freed_by: Option<Trace>,
    /// `false` if an access faulted; `true` if `free` found what was overwritten before.
    pub found_by_free: bool,
}

impl fmt::Display for SampleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, at, block, size, allocated_by, freed_by, found_by_free } = self;
        let end = block + size;
        match kind {
            SampledMisuse::Overflow => {
                let distance = at - end + 1;
                write!(f, "overflow: byte {distance} behind the block at {block:#x}")?;
            }
            SampledMisuse::Underflow => {
                let distance = block - at;
                write!(f, "overflow: byte {distance} in front of the block at {block:#x}")?;
            }
            SampledMisuse::UseAfterFree => {
                write!(f, "use after free: of the free block at {block:#x}")?;
            }
            SampledMisuse::DoubleFree => {
                write!(f, "double free of the block at {block:#x}: it is free already")?;
            }
            SampledMisuse::InvalidFree if *block == 0 => {
                return write!(f, "free of {at:#x}, which was never allocated");
            }
            SampledMisuse::InvalidFree => {
                write!(f, "free of {at:#x}, which was never allocated: it lies ")?;
                let place = if (*block..end).contains(at) { "inside" } else { "beside" };
                write!(f, "{place} the block at {block:#x}")?;
            }
        }
        write!(f, ", of {size} bytes (at {at:#x}")?;
        f.write_str(if *found_by_free { ", found when it is freed)" } else { ")" })?;
        write!(f, "; allocated by {allocated_by}")?;
        match freed_by {
            Some(freed_by) => write!(f, "; freed by {freed_by}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for SampleReport {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_report_says_what_was_done_to_which_block() {
        let report = SampleReport {
            kind: SampledMisuse::Overflow,
            at: 0x1018,
            block: 0x1000,
            size: 24,
            allocated_by: Trace::of([0x10]),
            freed_by: None,
            found_by_free: false,
        };
        assert_eq!(
            report.to_string(),
            "overflow: byte 1 behind the block at 0x1000, of 24 bytes (at 0x1018); allocated by \
             0x10"
        );
        let freed = Some(Trace::of([0x20]));
        let report = SampleReport {
            kind: SampledMisuse::UseAfterFree,
            at: 0x1002,
            freed_by: freed,
            ..report
        };
        assert_eq!(
            report.to_string(),
            "use after free: of the free block at 0x1000, of 24 bytes (at 0x1002); allocated by \
             0x10; freed by 0x20"
        );
        let report = SampleReport {
            kind: SampledMisuse::Underflow,
            at: 0xFFF,
            freed_by: None,
            found_by_free: true,
            ..report
        };
        assert_eq!(
            report.to_string(),
            "overflow: byte 1 in front of the block at 0x1000, of 24 bytes (at 0xfff, found when \
             it is freed); allocated by 0x10"
        );
    }
}
