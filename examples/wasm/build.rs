//! Limits the module's memory, so that running out of it can be tried.

fn main() {
    println!("cargo:rustc-link-arg=--max-memory=67108864");
}
