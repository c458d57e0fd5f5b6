//! The oracle of this room: programs of calls and touches, run on address spaces over a machine of
//! plain maps, beside a naive model.
//!
//! ```text
//!   bytes ─► program ─► driver ──┬─► AddressSpace ─► machine     tables and frames as maps, and a processor that faults
//!                                └─► naive                       a map from page to what may be done with it and what is in it
//! ```
//!
//! After each step the areas are what the naive model has page by page, results and errors are the
//! same, the account is the sum of what is promised, and every byte that is read is the one that
//! was written last.
//!
//! The property tests and the fuzzer share it.

mod account;
mod calls;
mod driver;
mod machine;
mod naive;
mod program;

pub use account::Account;
pub use program::Program;
