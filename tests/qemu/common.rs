//! What the host suites share (`tests/common`). All of it is the same here but `platform`.

#![allow(dead_code, reason = "not all of it is for the kernel")]
#[path = "../common/driver.rs"]
pub mod driver;
#[path = "../common/misuse.rs"]
pub mod misuse;
#[path = "../common/ops.rs"]
pub mod ops;
#[path = "../common/oracle.rs"]
pub mod oracle;
#[path = "platform.rs"]
pub mod platform;
#[path = "../common/prelude.rs"]
pub mod prelude;
#[path = "../common/profile.rs"]
pub mod profile;
#[path = "../common/program.rs"]
pub mod program;
#[path = "../common/property.rs"]
pub mod property;
#[path = "../common/regions.rs"]
pub mod regions;
#[path = "../common/seeds.rs"]
pub mod seeds;
#[path = "../common/small.rs"]
pub mod small;
#[path = "../common/stepping.rs"]
pub mod stepping;
#[path = "../common/subject.rs"]
pub mod subject;
#[path = "../common/test_break.rs"]
pub mod test_break;
#[path = "../common/test_map.rs"]
pub mod test_map;

pub(crate) use ::case_finder::case;
