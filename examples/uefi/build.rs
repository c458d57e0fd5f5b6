//! Keeps the names of functions in the program: the table of `make examples` counts their bytes.

fn main() {
    println!("cargo:rustc-link-arg=/debug:symtab");
}
