//! Where it was measured, and which versions.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The machine and the versions of the subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Package and version of each subject.
    pub versions: BTreeMap<String, String>,
}

/// The packages of the subjects.
const PACKAGES: [&str; 10] = [
    "brkalloc",
    "talc",
    "rlsf",
    "dlmalloc",
    "linked_list_allocator",
    "buddy_system_allocator",
    "buddy-slab-allocator",
    "rusty_alloc",
    "libmimalloc-sys",
    "tikv-jemalloc-sys",
];

impl Machine {
    /// This machine, and what this program was built from.
    #[must_use]
    pub fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let mut versions = versions(include_str!("../../../Cargo.lock"));
        // SAFETY: returns a string that lives as long as the process and ends with a zero.
        let glibc = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
        versions.insert("glibc".to_owned(), glibc.to_string_lossy().into_owned());
        Self { processor: processor.map_or("unknown", |(_, name)| name).to_owned(), versions }
    }
}

/// The versions of [`PACKAGES`] in a lock file.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let mut lines = lock.lines();
    let mut found = BTreeMap::new();
    while let Some(line) = lines.next() {
        if let Some(name) = value(line, "name = ").filter(|name| PACKAGES.contains(&name.as_str()))
        {
            let version = lines.next().and_then(|line| value(line, "version = "));
            found.insert(name, version.unwrap_or_default());
        }
    }
    found
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};", self.processor)?;
        for (index, (package, version)) in self.versions.iter().enumerate() {
            write!(f, "{} {package} {version}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_a_version() {
        let machine = Machine::this();
        for package in PACKAGES.into_iter().chain(["glibc"]) {
            let version = machine.versions.get(package);
            assert!(version.is_some_and(|version| version.contains('.')), "{package}: {version:?}");
        }
    }
}
