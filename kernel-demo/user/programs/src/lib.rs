//! What several programs share.
//!
//! ```text
//!   probe    touches any address, come what may         span     memory of this process as bytes to get and set
//!   machine  which kernel this is, how many frames it has left
//! ```

#![no_std]

pub mod machine;
pub mod probe;
pub mod span;

pub use span::Span;
