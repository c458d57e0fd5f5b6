//! Processes.

pub mod around;
pub mod image;
pub mod signature;
pub mod start;
pub mod status;
pub mod strace;
pub mod table;
pub mod usage;
