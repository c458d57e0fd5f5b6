//! The host suites (`tests/*.rs`), each case over a break whose pages appear when they are touched.
//!
//! The source is the same; `common::platform` makes the difference. A harness test compares this
//! list with the host's: what is missing here stands in docs/TESTING.md, with the reason.

#[path = "../allocator_api.rs"]
pub mod allocator_api;
#[path = "../by_address.rs"]
pub mod by_address;
#[cfg(feature = "checked")]
#[path = "../checked.rs"]
pub mod checked;
#[cfg(feature = "checked")]
#[path = "../checked_links.rs"]
pub mod checked_links;
#[cfg(feature = "checked")]
#[path = "../checked_overflow.rs"]
pub mod checked_overflow;
#[cfg(feature = "checked")]
#[path = "../checked_programs.rs"]
pub mod checked_programs;
#[path = "../claims.rs"]
pub mod claims;
#[path = "../corruption.rs"]
pub mod corruption;
#[path = "../edges.rs"]
pub mod edges;
#[path = "../fit.rs"]
pub mod fit;
#[path = "../front_cache.rs"]
pub mod front_cache;
#[path = "../growth.rs"]
pub mod growth;
#[path = "../mapping.rs"]
pub mod mapping;
#[path = "../picture.rs"]
pub mod picture;
#[path = "../properties.rs"]
pub mod properties;
#[path = "../regions.rs"]
pub mod regions;
#[path = "../regions_and_break.rs"]
pub mod regions_and_break;
#[path = "../resize.rs"]
pub mod resize;
#[path = "../seeds.rs"]
pub mod seeds;
#[path = "../simple.rs"]
pub mod simple;
#[path = "../small.rs"]
pub mod small;
#[path = "../unused.rs"]
pub mod unused;
#[path = "../where_runs_lie.rs"]
pub mod where_runs_lie;
#[path = "../zeroed.rs"]
pub mod zeroed;
