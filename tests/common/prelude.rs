//! What std's prelude has and core's has not, for suites that also run in a kernel.

extern crate alloc;

pub use alloc::collections::{BTreeMap, BTreeSet};
pub use alloc::format;
pub use alloc::string::{String, ToString};
pub use alloc::vec;
pub use alloc::vec::Vec;
