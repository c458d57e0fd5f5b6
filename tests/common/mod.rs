//! What the host suites share.
//!
//! ```text
//!   a case  ──►  Driver  ──►  heap under test  ──►  TestBreak      a break with every bad habit, on request
//!                  │
//!                Oracle      knows every live block and what it must contain
//! ```

#![allow(dead_code, reason = "each suite uses its own part")]

pub mod driver;
pub mod oracle;
pub mod program;
pub mod subject;
pub mod test_break;
pub mod test_map;
