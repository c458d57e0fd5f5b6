//! How many bytes of a program's code are the allocator's.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSymbol, SymbolKind};

/// Names of the functions by which a program reaches its global allocator.
const SHIMS: [&str; 4] =
    ["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rust_alloc_zeroed"];

/// Returns the bytes of all functions of the allocator in a linked program, and of those by which
/// the program reaches it, which contain what was inlined. `None` if the file has no symbols.
pub(super) fn allocator_bytes(program: &Path) -> Option<u64> {
    let file = fs::read(program).ok()?;
    let file = object::File::parse(&*file).ok()?;
    let text = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let mut functions: Vec<_> = text
        .map(|symbol| (symbol.address(), symbol.size(), symbol.name().unwrap_or_default()))
        .collect();
    // Two names for one place are one function.
    functions.sort_unstable_by_key(|&(address, size, _)| (address, Reverse(size)));
    functions.dedup_by_key(|&mut (address, ..)| address);
    // Where the file does not tell the length, a function ends where the next one begins.
    let ends = functions.iter().map(|&(address, ..)| address).skip(1);
    let bytes = functions
        .iter()
        .zip(ends.chain([u64::MAX]))
        .filter(|((_, _, name), _)| is_of_allocator(name))
        .map(|(&(address, size, _), end)| match (size, end) {
            (0, u64::MAX) => 0,
            (0, end) => end - address,
            (size, _) => size,
        })
        .sum();
    (bytes > 0).then_some(bytes)
}

/// Whether a function is the allocator's, or leads to it.
fn is_of_allocator(name: &str) -> bool {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    name.contains("brkalloc") || SHIMS.contains(&name.rsplit("::").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_allocator_are_known_by_their_names() {
        for name in [
            "_ZN8brkalloc6chunks8allocate4take17h0123456789abcdefE",
            "_RNvCs1_7___rustc12___rust_alloc",
            "__rust_realloc",
        ] {
            assert!(is_of_allocator(name), "{name}");
        }
        assert!(!is_of_allocator("_ZN5alloc7raw_vec11finish_grow17h0123456789abcdefE"));
    }

    #[test]
    fn a_file_without_symbols_has_no_number() {
        assert_eq!(allocator_bytes(Path::new(env!("CARGO_MANIFEST_DIR"))), None);
    }
}
