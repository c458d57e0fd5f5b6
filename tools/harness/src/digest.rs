//! A digest of 128 bits, to tell whether something has changed since. Not against anybody who wants
//! two things to look the same.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// Digests what it is fed as a [`Hasher`].
#[derive(Clone, Debug)]
pub(crate) struct Digester([DefaultHasher; 2]);

/// A digest. Prints as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u128);

impl Default for Digester {
    fn default() -> Self {
        let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
        hashers[1].write_u8(1);
        Self(hashers)
    }
}

impl Digester {
    /// The digest of what it was fed.
    pub(crate) fn digest(&self) -> Digest {
        let [low, high] = self.0.each_ref().map(|hasher| u128::from(hasher.finish()));
        Digest(high << 64 | low)
    }
}

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|hasher| hasher.write(bytes));
    }

    fn finish(&self) -> u64 {
        self.0[0].finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use super::*;

    #[test]
    fn the_same_has_the_same_and_both_halves_differ() {
        let digest = |text: &str| {
            let mut digester = Digester::default();
            text.hash(&mut digester);
            digester.digest()
        };
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
        let text = digest("a").to_string();
        assert_eq!(text.len(), 32);
        assert_ne!(text[..16], text[16..]);
    }
}
