//! Tells the linker what the program is made of: the four functions of an allocator, and what they
//! call.

fn main() {
    for function in ["alloc", "alloc_zeroed", "dealloc", "realloc"] {
        println!("cargo::rustc-link-arg=--undefined={function}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
