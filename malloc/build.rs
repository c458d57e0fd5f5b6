//! Links the library so that the loader runs its constructor first: `pthread_atfork` handlers of
//! other libraries then run outside ours.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,initfirst");
}
