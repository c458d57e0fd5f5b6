//! The supertrait of the crate's sealed traits: callers can name those, and cannot implement them.

/// Implemented in this crate alone.
pub trait Sealed {}
