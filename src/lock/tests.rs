//! Locks that are taken again by their holder stop the program with a message, and do not hang.

use std::env;
use std::process::Command;
use std::string::String;
#[cfg(feature = "critical-section")]
use std::thread;

use super::*;

/// Set in a child process, which runs one test and must not come to its end.
const CHILD: &str = "BRKALLOC_LOCKS_TWICE";

/// Runs `lock_twice` in a process of its own, with this test's name. It must abort with the
/// message.
fn stops(test: &str, lock_twice: fn()) {
    if env::var_os(CHILD).is_some() {
        lock_twice();
        return;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("used while it is locked"), "{output:?}");
}

fn lock_twice<L: RawLock + 'static>() {
    let lock = L::INIT;
    let _first = lock.lock();
    let _second = lock.lock();
}

#[test]
#[cfg(debug_assertions)]
fn a_spin_lock_of_a_caller_that_waits_for_itself_stops() {
    stops("lock::tests::a_spin_lock_of_a_caller_that_waits_for_itself_stops", lock_twice::<Spin>);
}

#[test]
#[cfg(feature = "critical-section")]
fn a_critical_section_that_is_locked_twice_stops() {
    let test = "lock::tests::a_critical_section_that_is_locked_twice_stops";
    stops(test, lock_twice::<CriticalSection>);
}

#[test]
#[cfg(feature = "critical-section")]
fn a_critical_section_excludes_other_threads() {
    static LOCK: CriticalSection = CriticalSection::INIT;
    static mut COUNT: u32 = 0;
    let count = || {
        for _ in 0..10_000 {
            let _held = LOCK.lock();
            // SAFETY: the lock is held.
            unsafe { COUNT += 1 };
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(count);
        }
    });
    let _held = LOCK.lock();
    // SAFETY: the lock is held.
    assert_eq!(unsafe { COUNT }, 40_000);
}

#[test]
#[cfg(feature = "critical-section")]
fn guards_of_two_critical_sections_nest() {
    let (outer, inner) = (CriticalSection::INIT, CriticalSection::INIT);
    for _ in 0..2 {
        let _outer = outer.lock();
        drop(inner.lock());
        drop(inner.lock());
    }
}
