//! `Pages` over a machine made of a vector: single cases, a model that random programs are compared
//! with, and refused frames.

mod cases;
pub(crate) mod machine;
mod model;
mod properties;

use self::machine::{Machine, Process, RW, RX};
