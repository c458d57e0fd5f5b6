//! What may be done with memory.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// What may be done with memory. The bits are those of Linux's `PROT_READ`, `PROT_WRITE` and
    /// `PROT_EXEC`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Permissions: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

impl Permissions {
    /// What the flags of an ELF segment (`PF_R`, `PF_W`, `PF_X`) say.
    pub const fn of_segment(flags: u32) -> Self {
        let (execute, write, read) = (flags & 1, flags >> 1 & 1, flags >> 2 & 1);
        Self::from_bits_truncate((read | write << 1 | execute << 2) as u8)
    }

    /// Whether they allow to write what is executed.
    pub const fn write_code(self) -> bool {
        self.contains(Self::WRITE.union(Self::EXECUTE))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::EXECUTE, "x")] {
            f.write_str(if self.contains(flag) { letter } else { "-" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_in_proc_maps() {
        assert_eq!(Permissions::all().to_string(), "rwx");
        assert_eq!((Permissions::READ | Permissions::EXECUTE).to_string(), "r-x");
        assert_eq!(Permissions::empty().to_string(), "---");
    }
}
