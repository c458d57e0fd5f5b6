//! The host suites, each a file of this folder: one program, so that what they share is compiled
//! and linked once. One suite: `cargo test fit::`.

#![cfg_attr(brkalloc_nightly, feature(allocator_api))]
#![allow(
    clippy::incompatible_msrv,
    reason = "the allocator is for older compilers, its tests are not"
)]

mod common;

case_finder::suites!();
