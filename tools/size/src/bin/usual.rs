//! What a small target links of a heap of the profile `Usual`.

#![no_std]
#![no_main]

#[path = "../heap.rs"]
mod heap;
#[path = "../program.rs"]
mod program;

use brkalloc::Usual as Profile;
use heap::HEAP;
