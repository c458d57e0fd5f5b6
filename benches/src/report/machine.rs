//! Where it was measured, and which versions.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::process::Command;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The machine and the versions of the subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of its processors there are.
    #[serde(default)]
    pub processors: usize,
    /// The operating system, with its version.
    #[serde(default)]
    pub system: String,
    /// The day, as `2026-11-30`.
    #[serde(default)]
    pub date: String,
    /// The compiler, with its version.
    #[serde(default)]
    pub compiler: String,
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
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            processors: std::thread::available_parallelism().map_or(0, Into::into),
            system: format!("Linux {}", kernel.trim_end()),
            date: date(SystemTime::now()),
            compiler: compiler(),
            versions,
        }
    }

    /// Machine and day in one line, for each table and picture.
    #[must_use]
    pub fn caption(&self) -> String {
        let Self { processor, processors, system, date, compiler, .. } = self;
        let version = self.versions.get("brkalloc").map_or("", String::as_str);
        format!("brkalloc {version}, {date}; {processors} × {processor}, {system}; {compiler}")
    }
}

/// The compiler's version; the one on `PATH` has built this program.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let words = text.unwrap_or_default();
    words.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The day of a moment, in UTC, as `2026-11-30`.
fn date(moment: SystemTime) -> String {
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Days are counted from 1 March of year 0, so that a leap day ends its year (Howard Hinnant's
    // `civil_from_days`).
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
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
        write!(f, "{};", self.caption())?;
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
    fn days_are_those_of_the_calendar() {
        let day = |seconds| date(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(951_782_400), "2000-02-29");
        assert_eq!(day(1_796_083_199), "2026-11-30");
        assert_eq!(day(1_796_083_200), "2026-12-01");
    }

    #[test]
    fn every_package_has_a_version() {
        let machine = Machine::this();
        for package in PACKAGES.into_iter().chain(["glibc"]) {
            let version = machine.versions.get(package);
            assert!(version.is_some_and(|version| version.contains('.')), "{package}: {version:?}");
        }
    }
}
