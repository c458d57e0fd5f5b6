//! Values of the command line's options and of the Makefile's variables.

use std::convert::Infallible;

use clap::error::{ContextKind, ContextValue};

use crate::Error;
use crate::tour::CLAIMS;

/// Finds the numbers of claims that there are not, before anything is built.
pub fn check_claims(chosen: &str) -> Result<(), Error> {
    let mut parts = chosen.split(',').map(str::trim).filter(|part| !part.is_empty()).peekable();
    let is_known = |part: &str| {
        let number = part.strip_prefix('C').and_then(|number| number.parse().ok());
        number.is_some_and(|number| CLAIMS.contains(&number))
    };
    let unknown =
        if parts.peek().is_none() { Some(chosen) } else { parts.find(|it| !is_known(it)) };
    unknown.map_or(Ok(()), |unknown| {
        let (first, last) = (CLAIMS.start(), CLAIMS.end());
        Err(Error::Usage(format!(
            "CLAIM: there is no claim {unknown:?}; they are C{first} to C{last} (docs/CLAIMS.md), \
             and several are separated by commas"
        )))
    })
}

/// The claims that were chosen, each with its `C`, which a reader may leave out: `c1, 12` is
/// `C1,C12`.
pub fn claims(text: &str) -> Result<String, Infallible> {
    let claim = |part: &str| {
        let part = part.trim();
        match part.strip_prefix(['C', 'c']).unwrap_or(part) {
            number if number.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("C{number}")
            }
            _ => part.to_owned(),
        }
    };
    Ok(text.split(',').map(claim).collect::<Vec<_>>().join(","))
}

/// Whether a flag is on: `STEP=1`. Other values are for other commands, as `STEP=clippy`.
pub fn is_on(value: &str) -> Result<bool, Infallible> {
    Ok(matches!(value, "1" | "true"))
}

/// How many CPUs the kernel has room for.
const MOST_CPUS: u32 = 8;

/// Parses a number of CPUs.
pub fn cpus(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_CPUS).contains(number));
    number.ok_or_else(|| format!("expected a number of CPUs, 1 to {MOST_CPUS}"))
}

/// Least memory that the kernel boots with, in MiB.
const LEAST_MEMORY: u64 = 16;

/// Parses a size as QEMU takes it: MiB, unless a suffix says otherwise.
pub fn memory(text: &str) -> Result<String, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "m" => Some(20),
        "k" => Some(10),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    match (digits.parse::<u64>(), shift) {
        (Ok(count), Some(shift)) if count >= (LEAST_MEMORY << 20).div_ceil(1 << shift) => {
            Ok(text.to_owned())
        }
        (Ok(_), Some(_)) => Err(format!("the kernel boots with {LEAST_MEMORY}M or more")),
        _ => Err("expected a size, as 128M or 1G".to_owned()),
    }
}

/// What is wrong with the value of a variable, by the name that `make` takes. `None` if the error
/// is another one. `variable` returns the value of a variable of the environment.
pub fn wrong_variable(
    error: &clap::Error,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (option, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let option = option.strip_prefix("--")?.split_whitespace().next()?;
    let name = option.to_ascii_uppercase().replace('-', "_");
    let reason = std::error::Error::source(error)?;
    (variable(&name)? == value).then(|| format!("{name}={value}: {reason}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_flag_is_on_if_its_variable_is_1() {
        assert_eq!(["1", "true"].map(is_on), [Ok(true); 2]);
        assert_eq!(["", "0", "the judge", "clippy"].map(is_on), [Ok(false); 4]);
    }

    #[test]
    fn a_wrong_value_is_told_by_the_name_that_make_takes() {
        for (option, value, told) in [
            ("--smp", "0", "SMP=0: expected a number of CPUs, 1 to 8"),
            ("--smp", "many", "SMP=many: expected a number of CPUs, 1 to 8"),
            ("--mem", "1M", "MEM=1M: the kernel boots with 16M or more"),
            ("--accel", "fast", "ACCEL=fast: expected tcg, kvm or counting"),
        ] {
            let error = Cli::try_parse_from(["harness", "tour", option, value]).unwrap_err();
            let set = |name: &str| told.starts_with(&format!("{name}=")).then(|| value.to_owned());
            assert_eq!(wrong_variable(&error, set).as_deref(), Some(told));
            assert_eq!(wrong_variable(&error, |_| None), None, "an option");
        }
        let unknown = Cli::try_parse_from(["harness", "tour", "--nonsense"]).unwrap_err();
        assert_eq!(wrong_variable(&unknown, |_| Some(String::new())), None);
    }

    #[test]
    fn memory_is_a_size_that_the_kernel_boots_with() {
        for taken in ["16M", "16", "16384k", "1G", "1t"] {
            assert_eq!(memory(taken).as_deref(), Ok(taken));
        }
        for (refused, why) in
            [("1M", "16M or more"), ("15", "16M or more"), ("100k", "16M or more"), ("0G", "16M")]
        {
            assert!(memory(refused).unwrap_err().contains(why), "{refused}");
        }
        for refused in ["x", "", "M", "12Q", "-5M", "1.5G", "64MB"] {
            assert!(memory(refused).unwrap_err().contains("expected a size"), "{refused}");
        }
    }
}
