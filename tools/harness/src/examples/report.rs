//! The table of examples.

use std::fmt;

use kerntest::tally::Tally;

use super::Example;

/// How an example went.
#[derive(Clone, Debug)]
pub struct Row {
    platform: &'static str,
    ram: &'static str,
    text: Option<u64>,
    peak: Option<u64>,
    /// What ran; `None` if it was left out.
    pub tally: Option<Tally>,
    /// Why it was left out.
    pub left_out: Option<String>,
}

impl Row {
    pub(super) fn left_out(example: &Example, reason: String) -> Self {
        let left_out = Some(reason);
        Self { left_out, tally: None, ..Self::ran(example, None, None, Tally::default()) }
    }

    pub(super) fn ran(
        example: &Example,
        text: Option<u64>,
        peak: Option<u64>,
        tally: Tally,
    ) -> Self {
        let Example { platform, ram, .. } = example;
        Self { platform, ram, text, peak, tally: Some(tally), left_out: None }
    }

    /// The table's first line.
    pub fn heading() -> String {
        line("platform", "RAM", ".text added", "peak live bytes", "result")
    }
}

fn line(platform: &str, ram: &str, text: &str, peak: &str, result: &str) -> String {
    format!("{platform:24} {ram:>10} {text:>12} {peak:>16}   {result}")
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or("-".into(), |number| number.to_string());
        let result = match (&self.tally, &self.left_out) {
            (_, Some(reason)) => format!("left out: {reason}"),
            (Some(tally), None) if tally.is_clean() => format!("ok ({} cases)", tally.passed),
            _ => "FAILED".into(),
        };
        let columns = (number(self.text), number(self.peak));
        f.write_str(&line(self.platform, self.ram, &columns.0, &columns.1, &result))
    }
}
