//! Kinds of failures of what runs beside kernels.

use kerntest::Kind;

/// A test of `cargo test` failed.
pub const HOST_TEST: Kind = Kind::Other("test failed");
/// A test program ended before it had summed up its tests.
pub const DIED: Kind = Kind::Other("died without a summary");
/// A test program summed up its tests, without a failure, and then ended with an error.
pub const BAD_END: Kind = Kind::Other("failed after its summary");
/// A check without tests of its own failed: formatting, a lint, a build.
pub const CHECK: Kind = Kind::Other("check failed");
