//! Programs under settings of the whole machine: memory is never overcommitted, or all of it may be
//! in huge pages.
//!
//! The tests change these settings for some seconds, and restore them. So they run only where
//! `BRKMALLOC_MACHINE=1` allows that, and the user may; else they are left out, with a word.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use brkmalloc_tests::workshop::{CHECKED, Workshop};

/// One test at a time changes settings.
static MACHINE: Mutex<()> = Mutex::new(());

/// A setting that is changed: its file, and the value before, which is restored when it is dropped.
struct Changed(&'static str, String);

impl Changed {
    /// Changes a setting. `None`: the user may not.
    fn to(file: &'static str, value: &str) -> Option<Self> {
        let before = fs::read_to_string(file).ok()?;
        // One of several words is in brackets.
        let word = before.split('[').nth(1).and_then(|rest| rest.split(']').next());
        let before = word.unwrap_or(&before).trim().to_owned();
        fs::write(file, value).ok()?;
        Some(Self(file, before))
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Err(reason) = fs::write(self.0, &self.1) {
            eprintln!("{} is not restored to {}: {reason}", self.0, self.1);
        }
    }
}

/// Runs programs with settings of the machine.
fn with(settings: &[(&'static str, &str)]) {
    if std::env::var_os("BRKMALLOC_MACHINE").is_none_or(|value| value != "1") {
        eprintln!("left out: BRKMALLOC_MACHINE=1 allows it to change settings of the machine");
        return;
    }
    let shop = Workshop::new();
    let programs = ["blocked", "decay", "fork_pages", "odd", "refused_break", "remote"];
    let programs = programs.map(|name| (name, shop.build(&format!("{name}.c"), &[])));
    let _alone = MACHINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut changed = Vec::new();
    for (file, value) in settings {
        match Changed::to(file, value) {
            Some(setting) => changed.push(setting),
            None => return eprintln!("left out: this user may not write to {file}"),
        }
    }
    for (name, program) in &programs {
        for mode in [&[][..], &CHECKED, &[("BRKALLOC_SAMPLE", "10")]] {
            let variables = [mode, &[("BRKALLOC_DECAY_MS", "10")]].concat();
            shop.assert_ok(program, &[], &variables);
            if *name == "blocked" {
                shop.assert_ok(program, &["lock"], &variables);
                let command = format!("ulimit -s unlimited && exec {} lock", program.display());
                shop.assert_ok(Path::new("/bin/sh"), &["-c", &command], &variables);
            }
        }
    }
}

#[test]
fn programs_run_where_memory_is_never_overcommitted() {
    with(&[("/proc/sys/vm/overcommit_ratio", "95"), ("/proc/sys/vm/overcommit_memory", "2")]);
}

#[test]
fn programs_run_where_all_memory_may_be_in_huge_pages() {
    with(&[("/sys/kernel/mm/transparent_hugepage/enabled", "always")]);
}
