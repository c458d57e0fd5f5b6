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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The packages that a part of the set-up installs with apt: the plain words behind `apt_install`.
fn packages(part: &str) -> Vec<String> {
    let script = read(&format!("tools/setup/{part}.sh"));
    let calls = script.split("apt_install ").skip(1);
    let words = calls.flat_map(|call| call.split([';', '|', '\n']).next().unwrap().split(' '));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_container_has_what_the_set_up_would_install() {
    // What the set-up takes for granted: a way to fetch, the tools that call it, and Rust.
    const GIVEN: [&str; 4] = ["ca-certificates", "git", "make", "rustup"];
    let container = read("Containerfile");
    let (_, list) = container.split_once("--no-install-recommends \\\n").unwrap();
    let listed: Vec<_> = list.split('\n').next().unwrap().split_whitespace().collect();
    let parts = ["host", "qemu"].map(packages);
    for part in &parts {
        assert!(!part.is_empty());
        for package in part {
            assert!(listed.contains(&package.as_str()), "{package} is not in the container");
        }
    }
    for package in &listed {
        let is_installed = parts.iter().flatten().any(|installed| installed == package);
        assert!(
            is_installed || GIVEN.contains(package),
            "no part of the set-up installs {package}"
        );
    }
    assert!(GIVEN.iter().all(|given| listed.contains(given)), "{listed:?}");
    assert!(listed.is_sorted(), "{listed:?}");
}

/// Which packages the set-up would install, in which order, without installing any: `apt_install`
/// prints them. Nothing where a part leaves the system alone.
fn wanted(parts: &str) -> String {
    let script = format!(
        "root=$PWD setup_dir=$(mktemp -d); trap 'rm -r \"$setup_dir\"' EXIT
        for part in common processors host32; do . tools/setup/$part.sh; done
        apt_usable() {{ :; }}
        say() {{ :; }}
        apt_install() {{ echo \"$@\"; }}
        {parts}"
    );
    let output = Command::new("sh").args(["-euc", &script]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_32_bit_c_library_and_compilers_for_other_processors_are_installed_beside_each_other() {
    let wanted = wanted("host32_install; processors_install");
    let packages: Vec<_> = wanted.split_whitespace().collect();
    assert!(packages.len() >= 4, "{packages:?}");
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--simulate", "--no-install-recommends"]).args(&packages);
    // Without apt, and without its lists, nothing would be installed.
    let Ok(output) = apt.output() else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Unable to locate package") {
        return;
    }
    assert!(output.status.success(), "{packages:?}: {said}");
    let plan = String::from_utf8_lossy(&output.stdout);
    let removed: Vec<_> = plan.lines().filter(|line| line.starts_with("Remv ")).collect();
    assert!(removed.is_empty(), "{removed:?}");
}

#[test]
fn the_container_gets_the_pinned_compiler_by_the_set_ups_own_command() {
    let container = read("Containerfile");
    let (copied, run) =
        ("COPY tools/setup/rustup.sh /tmp/rustup.sh", "RUN . /tmp/rustup.sh && $rustup_command");
    assert!(container.lines().any(|line| line == copied));
    assert!(container.lines().any(|line| line == run));
    // What a shell makes of that line.
    let mut shell = Command::new("sh");
    shell.args(["-euc", ". tools/setup/rustup.sh && echo $rustup_command"]).current_dir(root());
    let output = shell.output().unwrap();
    let command = String::from_utf8(output.stdout).unwrap();
    assert!(command.starts_with("rustup toolchain install nightly-"), "{command}");
    for component in ["rust-src", "llvm-tools-preview"] {
        assert!(command.contains(&format!("-c {component}")), "{command}");
    }
}

#[test]
fn without_apt_the_missing_programs_and_their_packages_are_named() {
    let root = root();
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
