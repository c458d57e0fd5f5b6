//! The host suites as one program, which is what `make test` builds for each profile and sanitizer:
//! what the suites share is compiled and linked once, not once for each of them. `cargo test`
//! builds each by itself, and leaves this one out.
//!
//! A suite brings its `common`, which here is this one's: of the suites' own nothing but its types
//! is used.

#![allow(clippy::duplicate_mod, reason = "each suite is a program by itself, too")]

mod common;

#[cfg(feature = "allocator-api2")]
#[path = "allocator_api.rs"]
mod allocator_api;
#[path = "arenas.rs"]
mod arenas;
#[path = "by_address.rs"]
mod by_address;
#[cfg(feature = "checked")]
#[path = "checked.rs"]
mod checked;
#[cfg(feature = "checked")]
#[path = "checked_links.rs"]
mod checked_links;
#[cfg(feature = "checked")]
#[path = "checked_overflow.rs"]
mod checked_overflow;
#[cfg(feature = "checked")]
#[path = "checked_panics.rs"]
mod checked_panics;
#[cfg(feature = "checked")]
#[path = "checked_programs.rs"]
mod checked_programs;
#[path = "claims.rs"]
mod claims;
#[path = "corruption.rs"]
mod corruption;
#[path = "edges.rs"]
mod edges;
#[path = "fit.rs"]
mod fit;
#[path = "front_cache.rs"]
mod front_cache;
#[path = "growth.rs"]
mod growth;
#[cfg(feature = "lock_api")]
#[path = "locks.rs"]
mod locks;
#[path = "mapping.rs"]
mod mapping;
#[path = "picture.rs"]
mod picture;
#[path = "properties.rs"]
mod properties;
#[path = "regions.rs"]
mod regions;
#[path = "regions_and_break.rs"]
mod regions_and_break;
#[path = "resize.rs"]
mod resize;
#[path = "seeds.rs"]
mod seeds;
#[path = "simple.rs"]
mod simple;
#[path = "single_step.rs"]
mod single_step;
#[path = "small.rs"]
mod small;
#[path = "threads.rs"]
mod threads;
#[path = "unused.rs"]
mod unused;
#[path = "where_runs_lie.rs"]
mod where_runs_lie;
#[path = "zeroed.rs"]
mod zeroed;
