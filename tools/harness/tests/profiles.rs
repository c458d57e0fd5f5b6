//! Profiles are types whose code does not mix: by symbol, a program of plain profiles has nothing
//! of what finds a caller's mistakes, and is not changed by a checked heap beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};

/// A program of heaps.
const MAIN: &str = "
use brkalloc::*;
use std::alloc::Layout;

fn brk() -> FixedBreak {
    FixedBreak::from_array(Box::leak(Box::new([0; 1 << 16])))
}

/// All that a program does with its heap.
fn exercise<P: Profile>() {
    let mut heap = Heap::<_, _, P>::with_profile(brk(), NoMap);
    let layout = Layout::new::<[u64; 5]>();
    unsafe {
        heap.reserve(1000).unwrap();
        let block = heap.allocate(layout).unwrap();
        let block = heap.reallocate(block, layout, 3000).unwrap();
        heap.deallocate_by_ptr(block);
        let block = heap.allocate_zeroed(layout).unwrap();
        let block = heap.reallocate_by_ptr(block, layout).unwrap();
        assert!(heap.usable_size(block) >= layout.size());
        heap.deallocate(block, layout);
        assert!(heap.try_allocate(layout).is_some());
    }
    heap.flush();
    heap.trim(0);
    heap.check().unwrap();
}

/// The same with arenas.
fn exercise_arenas<P: Profile>() {
    let heap = ArenaHeap::<_, _, _, P>::with_profile(brk(), unsafe { SingleCpu::new() }, NoMap);
    let layout = Layout::new::<[u64; 5]>();
    unsafe {
        let block = heap.allocate(layout).unwrap();
        let block = heap.reallocate(block, layout, 3000).unwrap();
        heap.deallocate_by_ptr(block);
    }
    heap.check().unwrap();
}
";

const PLAIN: &str = "exercise::<Usual>(); exercise_arenas::<Usual>(); \
                     exercise::<Plain>(); exercise::<Small>();";
const CHECKED: &str = "exercise::<Checked<Usual>>(); exercise_arenas::<Checked<Usual>>();";

/// Parts of names that only a checked heap's code has. (A symbol leaves out an argument that is the
/// default: `Checked<Usual>` is `Checked`.)
const OF_CHECKED: [&str; 3] =
    ["brkalloc::checked::", "brkalloc::profile::Checked", "brkalloc::checks::CheckState"];

/// Builds a program that does `what`, unoptimised, so that every function has a symbol, and returns
/// the names of the allocator's functions in it.
fn symbols(name: &str, what: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profiles");
    let package = folder.join(name);
    fs::create_dir_all(package.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nbrkalloc = {{ path = {root:?} }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    fs::write(package.join("src/main.rs"), format!("{MAIN}\nfn main() {{ {what} }}")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--color", "never"])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("RUSTFLAGS", "-Csymbol-mangling-version=v0 -Awarnings")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = folder.join("target/debug").join(name);
    // A program whose symbols are right can still be wrong.
    assert!(Command::new(&program).status().unwrap().success(), "{program:?}");
    let file = fs::read(program).unwrap();
    let file = object::File::parse(&*file).unwrap();
    let names = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(&name)));
    let own = format!("{name}::");
    names.filter(|name| name.contains("brkalloc::") && !name.starts_with(&own)).collect()
}

/// The functions whose profile is the default one, not a checked one over it.
fn of_usual(names: &BTreeSet<String>) -> BTreeSet<&str> {
    let is_of_usual = |name: &&str| {
        name.replace("brkalloc::profile::Checked<brkalloc::profile::Usual>", "")
            .contains("brkalloc::profile::Usual")
    };
    names.iter().map(String::as_str).filter(is_of_usual).collect()
}

#[test]
fn code_of_usual_and_of_checked_heaps_does_not_mix() {
    let plain = symbols("plain", PLAIN);
    let checked = symbols("checked", CHECKED);
    let both = symbols("both", &format!("{PLAIN}{CHECKED}"));
    for part in OF_CHECKED {
        assert!(checked.iter().any(|name| name.contains(part)), "no {part} in a checked program");
        let found = plain.iter().find(|name| name.contains(part));
        assert_eq!(found, None, "in a program without checked heaps");
    }
    assert!(of_usual(&plain).len() > 50, "{plain:#?}");
    assert_eq!(of_usual(&checked).into_iter().next(), None, "in a program of checked heaps");
    let changed: Vec<_> =
        of_usual(&both).symmetric_difference(&of_usual(&plain)).copied().collect();
    assert_eq!(changed, [""; 0], "a checked heap beside it changes a usual one");
}
