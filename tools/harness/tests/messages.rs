//! The compiler's messages for common mistakes with brkalloc's public types, and programs that must
//! compile: each is a small package outside of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel's own interrupts and a mutex that implements no trait.
const PRELUDE: &str = "
#![allow(dead_code)]
use brkalloc::*;
struct Flags;
unsafe impl Interrupts for Flags {
    type Before = bool;
    fn mask() -> bool { false }
    fn restore(_: bool) {}
}
struct Foreign;
fn main() {}
";

/// Packages of one set of features share one folder of build output.
struct Bench {
    folder: PathBuf,
    features: &'static str,
}

impl Bench {
    fn new(name: &str, features: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        Self { folder, features }
    }

    /// Checks the prelude and `program`. Returns the compiler's messages if it does not compile.
    fn check(&self, program: &str) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let manifest = format!(
            "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
             [dependencies]\nbrkalloc = {{ path = {root:?}, features = [{}] }}\n",
            self.features
        );
        fs::write(self.folder.join("Cargo.toml"), manifest).unwrap();
        fs::copy(root.join("Cargo.lock"), self.folder.join("Cargo.lock")).unwrap();
        fs::write(self.folder.join("src/main.rs"), format!("{PRELUDE}{program}")).unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline", "--color", "never"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(messages) }
    }

    /// Asserts that `program` does not compile, and that the messages contain each of `parts`.
    fn refuses(&self, program: &str, parts: &[&str]) {
        let messages = self.check(program).expect_err(program);
        for part in parts {
            assert!(messages.contains(part), "{part:?} is not in:\n{messages}");
        }
    }
}

#[test]
fn messages_without_features() {
    let bench = Bench::new("messages", "");
    // The constructor is unambiguous for every lock, and late initialisation takes one line.
    let compiles = "
        static A: Locked<Heap<Option<FixedBreak>>, MaskInterrupts<Spin, Flags>> = Locked::new(None);
        static B: Locked<SimpleHeap<Option<FixedBreak>>, MaskInterrupts<Spin, Flags>> =
            Locked::from_heap(SimpleHeap::new(None));
        static C: LockedHeap<FixedBreak> = LockedHeap::empty();
        unsafe fn found_memory(base: *mut u8, len: usize) { unsafe { C.init(base, len) }.unwrap() }
    ";
    bench.check(compiles).unwrap();
    bench.refuses(
        "static A: Locked<Heap<Option<FixedBreak>>, Foreign> =
             Locked::<Heap<Option<FixedBreak>>, Foreign>::new(None);",
        &["`Foreign` is not a lock for a heap", "the feature `lock_api` of `brkalloc`"],
    );
    bench.refuses(
        "static A: LockedHeap<Foreign> = LockedHeap::new(Foreign);
         static B: LockedHeap<Option<FixedBreak>, Foreign> = LockedHeap::with_map(None, Foreign);
         static C: LockedHeap<Foreign> = LockedHeap::empty();
         static D: Locked<Heap<FixedBreak>, MaskInterrupts<Spin, Foreign>> = Locked::empty();
         fn guard(heap: &Locked<Heap<FixedBreak>, MaskInterrupts<Spin, Flags>>) { heap.lock(); }",
        &[
            "`Foreign` does not provide memory for a heap",
            "`Foreign` does not provide mappings",
            "the break `Foreign` cannot be set late",
            "`Foreign` cannot mask interrupts",
            "must be dropped in the reverse order of locking",
        ],
    );
    bench.refuses("impl LateBreak for Foreign {}", &["Sealed"]);
    bench.refuses("unsafe impl RawHeap for Foreign {}", &["Sealed"]);
}

#[test]
fn messages_with_lock_api() {
    let bench = Bench::new("messages-lock-api", "\"lock_api\"");
    bench.refuses(
        "static A: Locked<Heap<Option<FixedBreak>>, Foreign> =
             Locked::<Heap<Option<FixedBreak>>, Foreign>::new(None);",
        &["`Foreign` is not a lock for a heap", "`lock_api::RawMutex`"],
    );
}
