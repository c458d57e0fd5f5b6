//! What the set-up says on a system whose packages it cannot install.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that the set-up itself runs before it looks for anything.
const TOOLS: [&str; 14] = [
    "sh", "sed", "awk", "cat", "mkdir", "flock", "dirname", "grep", "env", "id", "ls", "mv", "rm",
    "make",
];

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[test]
fn without_apt_the_missing_programs_and_their_packages_are_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let bin = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-apt");
    let _ = fs::remove_dir_all(&bin);
    fs::create_dir_all(&bin).unwrap();
    for tool in TOOLS {
        if let Some(file) = on_path(tool) {
            symlink(file, bin.join(tool)).unwrap();
        }
    }
    let mut command = Command::new(bin.join("sh"));
    command.arg(root.join("tools/setup.sh")).arg("run").env("PATH", &bin);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for line in [
        "setup: error: missing here: cc cargo rustup qemu-system-x86_64",
        "      Fedora:  dnf install gcc rustup qemu-system-x86-core",
        "      Arch:    pacman -S gcc rustup qemu-system-x86",
        "      macOS:   brew install rustup qemu; xcode-select --install",
        "      Nix:     nix-shell -p gcc rustup qemu",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in {text}");
    }
}
