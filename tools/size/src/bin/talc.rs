//! What a WebAssembly module links of talc.

#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

#[global_allocator]
static HEAP: WasmDynamicTalc = new_wasm_dynamic_allocator();
