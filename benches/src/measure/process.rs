//! A job in a process of its own.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::workload::OutOfMemory;

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The subject ran out of the memory that is enough for others.
    OutOfMemory,
    /// It did not end in time.
    TooSlow,
    /// The subject cannot do this.
    Unsupported,
    /// The process ended otherwise.
    Crashed(String),
}

/// A figure, or the reason why there is none.
pub type Outcome<T> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OutOfMemory => "no memory",
            Self::TooSlow => "too slow",
            Self::Unsupported => "-",
            Self::Crashed(_) => "crashed",
        })
    }
}

impl Failure {
    /// The subject is not to blame.
    pub(super) fn because(error: impl fmt::Display) -> Self {
        Self::Crashed(error.to_string())
    }
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Does the job in a child that is killed after `seconds`.
pub(crate) fn run<T: DeserializeOwned>(job: &Job, seconds: u32) -> Outcome<T> {
    run_under(&[], job, seconds).map(|(figures, _)| figures)
}

/// The same under another program, given with its arguments. Returns also what that program wrote
/// to its error output.
pub(super) fn run_under<T: DeserializeOwned>(
    under: &[&str],
    job: &Job,
    seconds: u32,
) -> Outcome<(T, String)> {
    let this = std::env::current_exe().map_err(Failure::because)?;
    let mut command = match under {
        [] => Command::new(this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
    };
    let json = serde_json::to_string(job).map_err(Failure::because)?;
    command.args(["child", "--seconds", &seconds.to_string(), &json]);
    let output = command.stdin(Stdio::null()).output().map_err(Failure::because)?;
    figures(&output).map(|figures| (figures, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// What a child's output says.
fn figures<T: DeserializeOwned>(output: &Output) -> Outcome<T> {
    if output.status.signal() == Some(libc::SIGALRM) {
        return Err(Failure::TooSlow);
    }
    let last_words = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(Failure::Crashed(format!("{}: {}", output.status, last_words())));
    }
    serde_json::from_slice::<Outcome<T>>(&output.stdout).unwrap_or_else(|error| {
        Err(Failure::Crashed(format!("unreadable answer: {error}: {}", last_words())))
    })
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn output(status: i32, stdout: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(status),
            stdout: stdout.into(),
            stderr: b"oh no".into(),
        }
    }

    #[test]
    fn a_childs_end_is_told_apart() {
        assert_eq!(figures(&output(0, r#"{"Ok":1.5}"#)), Ok(1.5));
        assert_eq!(
            figures::<f64>(&output(0, r#"{"Err":"out-of-memory"}"#)),
            Err(Failure::OutOfMemory)
        );
        assert_eq!(figures::<f64>(&output(libc::SIGALRM, "")), Err(Failure::TooSlow));
        for ended in [output(libc::SIGSEGV, ""), output(0, "nonsense"), output(101 << 8, "")] {
            assert!(
                matches!(figures::<f64>(&ended), Err(Failure::Crashed(why)) if why.contains("oh no"))
            );
        }
    }
}
