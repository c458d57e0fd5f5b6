//! Tells the linker the roots of the programs: the four functions of an allocator, and the one that
//! gives some of them their memory.

use std::env;

fn main() {
    let is_wasm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    if is_wasm {
        println!("cargo::rustc-link-arg=--no-entry");
    }
    for function in ["init", "alloc", "alloc_zeroed", "dealloc", "realloc"] {
        let root = if is_wasm { "export-if-defined" } else { "undefined" };
        println!("cargo::rustc-link-arg=--{root}={function}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
