//! The lock-free parts of the arenas, tried in every order of their steps.
//!
//! ```text
//!   src/arena/remote.rs, packets.rs,   the very files
//!             mailbox.rs, slot.rs
//!   src/provider/word.rs, src/address_range.rs
//!        └─ sync.rs, atomic.rs        here: loom's atomics and cells, in the place of core's
//!   tests/                            models: who does what with them at the same time
//! ```
//!
//! loom runs a model once for each order of steps that the memory model allows, and notices an
//! access that is not ordered before or after another of the same cell. A handler that interrupts
//! is no thread, for it ends before the interrupted one goes on: its model (`busy.rs`) runs it at
//! each step in turn. Where the thread that began a model goes on beside the others, it yields
//! first: without that, loom lets it do the next thing that it does before the others do anything,
//! always.

#![cfg(test)]

#[allow(dead_code, reason = "the pool of sampled blocks uses the rest")]
#[path = "../../../src/address_range.rs"]
mod address_range;
#[path = "../../../src/arena/mailbox.rs"]
mod mailbox;
#[path = "../../../src/arena/packets.rs"]
mod packets;
#[path = "../../../src/arena/remote.rs"]
mod remote;
#[allow(dead_code, reason = "no model borrows an abandoned slot")]
#[path = "../../../src/arena/slot.rs"]
mod slot;
#[allow(dead_code, reason = "a fork has a model of its own: `busy.rs`")]
#[path = "../../../src/provider/word.rs"]
mod word;

mod atomic;
mod sync;

mod adoption;
mod borrow;
mod busy;
#[path = "../../../labs/9/tests.rs"]
mod lab9;
mod list;
mod mail;
mod range;
