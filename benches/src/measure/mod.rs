//! Measuring: each job in a process of its own.
//!
//! ```text
//!   report ──Job as JSON──► child ──figures as JSON──► report
//!              (process.rs)   (job.rs)
//! ```

pub mod bounds;
pub mod counts;
mod job;
mod process;
mod stage;
pub mod tightness;
pub mod time;
pub mod traces;

pub use job::Job;
pub(crate) use process::run as run_in_child;
pub use process::{Failure, Outcome};

/// The middle one of some figures; the mean of the middle two if their number is even. `None` if
/// there are none.
#[must_use]
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[odd / 2]),
        even => Some(sorted[even / 2 - 1].midpoint(sorted[even / 2])),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }
}
