//! The host suites (`tests/*.rs`), each case over a break whose pages appear when they are touched.
//!
//! The source is the same; `common::platform` makes the difference.

case_finder::suites!(kernel);
