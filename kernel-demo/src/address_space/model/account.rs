//! An account without frames.

use crate::words::OutOfFrames;

/// An account that knows its limit.
///
/// # Invariants
///
/// `promised ≤ limit`, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    promised: u64,
    limit: Option<u64>,
}

impl Account {
    /// Strict: no more pages than this are promised, so each promise can be kept.
    pub const fn strict(pages: u64) -> Self {
        Self { promised: 0, limit: Some(pages) }
    }

    /// Overcommit: everything is promised, and counted.
    pub const fn overcommit() -> Self {
        Self { promised: 0, limit: None }
    }

    /// Pages promised.
    pub const fn promised(&self) -> u64 {
        self.promised
    }

    /// The most that will be promised.
    pub const fn limit(&self) -> Option<u64> {
        self.limit
    }
}

impl Account {
    /// Promises more.
    pub fn charge(&mut self, pages: u64) -> Result<(), OutOfFrames> {
        let (asked, available) = (pages as usize, 0);
        let out = OutOfFrames { asked, available, injected: false };
        let promised = self.promised.checked_add(pages).ok_or(out)?;
        if self.limit.is_some_and(|limit| promised > limit) {
            return Err(out);
        }
        self.promised = promised;
        Ok(())
    }

    /// Takes back a promise.
    pub fn uncharge(&mut self, pages: u64) {
        debug_assert!(pages <= self.promised);
        self.promised -= pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_promises_up_to_its_limit_and_overcommit_anything() {
        let mut strict = Account::strict(10);
        assert_eq!(
            (strict.charge(10).is_ok(), strict.charge(1).is_ok(), strict.promised()),
            (true, false, 10)
        );
        strict.uncharge(4);
        assert_eq!(
            (strict.charge(5).is_ok(), strict.charge(4).is_ok(), strict.promised()),
            (false, true, 10)
        );
        let mut overcommit = Account::overcommit();
        assert_eq!(
            (overcommit.charge(u64::MAX).is_ok(), overcommit.charge(1).is_ok()),
            (true, false)
        );
        assert_eq!(overcommit.promised(), u64::MAX);
    }
}
