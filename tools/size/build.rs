//! Tells the linker the roots of the programs: the four functions of an allocator.

fn main() {
    for function in ["alloc", "alloc_zeroed", "dealloc", "realloc"] {
        println!("cargo::rustc-link-arg=--undefined={function}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
