//! Builds that can be killed at any moment: the next one is good.
//!
//! ```text
//!   target/SORT.lock       held by the build's programs, all of them: a build that was killed from
//!                          above may have compilers that still write; the next one waits for them
//!   target/SORT.building   there while a build runs: if it is there at the beginning, a build was
//!                          killed, and what it left in target/SORT may be half-written
//! ```
//!
//! After a kernel build had been killed, later builds failed in the linker until the folder was
//! removed. The cause is not proven. One suspect is the incremental cache, whose files rustc links
//! to and may write to; kernels are built without it. Another is a machine that is switched off: it
//! may leave empty files whose times are new. So a build that fails after a killed one is no
//! verdict: the folder is removed, and it is built again from nothing.
//!
//! Host builds have cargo alone. `make kill-builds` kills them as well, and none of them has spoilt
//! the next one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::project::Project;
use crate::{Error, process};

/// Where builds of one sort leave their traces.
#[derive(Clone, Debug)]
struct Traces {
    folder: PathBuf,
    lock: PathBuf,
    building: PathBuf,
}

/// Returns the line that begins the build of `what`, in the form of cargo's own lines.
pub(crate) fn phase(what: &str) -> String {
    format!("    Building {what}")
}

/// Returns what a line of [`phase`] begins.
pub(crate) fn begun(line: &str) -> Option<&str> {
    line.strip_prefix("    Building ")
}

/// Whether a file is there and no older than what it is made of. A source that is not there is an
/// answer of `false`.
pub(crate) fn is_newer(made: &Path, sources: &[PathBuf]) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(made) = time(made) else { return false };
    sources.iter().all(|source| time(source).is_some_and(|source| source <= made))
}

/// Runs the build that `command` makes, with output in `target/<sort>`, to its end. `on_line` gets
/// what it has to say. Two builds of one sort wait for each other.
pub(crate) fn run(
    project: &Project,
    sort: &str,
    command: impl Fn() -> Command,
    on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    let folder = project.target(sort);
    let with = |extension: &str| project.target(&format!("{sort}.{extension}"));
    Traces { lock: with("lock"), building: with("building"), folder }.run(command, on_line)
}

impl Traces {
    fn run(
        &self,
        command: impl Fn() -> Command,
        mut on_line: impl FnMut(&str),
    ) -> Result<ExitStatus, Error> {
        let lock = self.take_lock(&mut on_line)?;
        let was_killed = self.building.exists();
        self.write(&self.building)?;
        let mut status = process::run_holding(command(), &lock, &mut on_line)?;
        if was_killed && !status.success() {
            on_line("   Discarding what a build that was killed has left; building from nothing");
            remove(&self.folder)?;
            status = process::run_holding(command(), &lock, &mut on_line)?;
        }
        remove(&self.building)?;
        Ok(status)
    }

    /// The lock, when all programs of the build before have ended.
    fn take_lock(&self, on_line: &mut impl FnMut(&str)) -> Result<File, Error> {
        let failed = |error| Error::Write(self.lock.clone(), error);
        if let Some(folder) = self.lock.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.lock)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on_line(
                    "    Blocking waiting for another build, or for what is left of a killed one",
                );
                lock.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(lock)
    }

    /// An empty file that is there even if the machine is switched off.
    fn write(&self, path: &Path) -> Result<(), Error> {
        File::create(path)
            .and_then(|file| file.sync_all())
            .map_err(|error| Error::Write(path.to_owned(), error))
    }
}

/// Removes a file, or a folder with all that is in it, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write(path.to_owned(), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};
    use std::{env, thread};

    use super::*;

    /// Traces in a folder that is gone after the test.
    struct Place(Traces);

    impl Place {
        fn new(name: &str) -> Self {
            let base =
                env::temp_dir().join(format!("brkalloc-build-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&base);
            let folder = base.join("out");
            fs::create_dir_all(&folder).unwrap();
            Self(Traces { lock: base.join("lock"), building: base.join("building"), folder })
        }

        /// Runs a script in the folder of output, which it can remove; says how it went, and
        /// whether anything was discarded.
        fn run(&self, script: &str) -> (bool, bool) {
            let mut discarded = false;
            let folder = &self.0.folder;
            let command = || {
                fs::create_dir_all(folder).unwrap();
                let mut command = Command::new("sh");
                command.args(["-c", script]).current_dir(folder);
                command
            };
            let status =
                self.0.run(command, |line| discarded |= line.contains("Discarding")).unwrap();
            assert!(!self.0.building.exists());
            (status.success(), discarded)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.lock.parent().unwrap());
        }
    }

    /// Fails as long as there is a file that is half-written.
    const SPOILT: &str = "test ! -e half";

    #[test]
    fn what_a_killed_build_left_is_discarded_if_the_next_one_fails() {
        let place = Place::new("killed");
        fs::write(place.0.folder.join("half"), "").unwrap();
        place.0.write(&place.0.building).unwrap();
        assert_eq!(place.run(SPOILT), (true, true));
    }

    #[test]
    fn nothing_is_discarded_without_need() {
        let place = Place::new("well");
        fs::write(place.0.folder.join("half"), "").unwrap();
        assert_eq!(place.run(SPOILT), (false, false), "it fails by itself, and nobody was killed");
        place.0.write(&place.0.building).unwrap();
        assert_eq!(place.run("test -e half"), (true, false), "a killed build need not spoil it");
    }

    #[test]
    fn a_build_that_cannot_succeed_fails_after_all() {
        let place = Place::new("fails");
        place.0.write(&place.0.building).unwrap();
        assert_eq!(place.run("exit 1"), (false, true));
        assert_eq!(place.run("exit 1"), (false, false));
    }

    #[test]
    fn what_is_made_of_a_later_source_is_out_of_date() {
        let place = Place::new("newer");
        let [made, source] = ["made", "source"].map(|name| place.0.folder.join(name));
        let at = |path: &Path, seconds: u64| {
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::create(path).unwrap().set_modified(time).unwrap();
        };
        assert!(!is_newer(&made, &[]), "it is not there");
        at(&made, 7);
        assert!(!is_newer(&made, std::slice::from_ref(&source)), "its source is not there");
        for (seconds, expected) in [(6, true), (7, true), (8, false)] {
            at(&source, seconds);
            assert_eq!(is_newer(&made, std::slice::from_ref(&source)), expected);
        }
    }

    #[test]
    fn what_is_left_of_a_killed_build_is_waited_for() {
        let place = Place::new("orphan");
        // The program that the harness sees ends; one that it has started does not.
        assert_eq!(place.run("sleep 1 >/dev/null 2>&1 &"), (true, false));
        let begun = Instant::now();
        assert_eq!(place.run(":"), (true, false));
        assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
        thread::yield_now();
    }
}
