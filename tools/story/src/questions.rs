//! What is asked: before something happens, about a figure that the run prints afterwards.
//!
//! `questions.toml` has questions in words, each about a line of its claim. A claim without one is
//! asked about its first figure, by the words of the line. So a new claim has its question by
//! itself.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::telling::{Class, Line};

/// A question as `questions.toml` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Number of the claim.
    pub claim: String,
    /// How the line begins that has the answer.
    pub figure: String,
    /// Which of the lines that begin like that, from 1 on.
    #[serde(default = "first")]
    pub nth: usize,
    /// What is asked.
    pub ask: String,
}

const fn first() -> usize {
    1
}

#[derive(Deserialize)]
struct File {
    question: Vec<Written>,
}

/// Reads `questions.toml`.
///
/// # Errors
///
/// It is none.
pub fn read(text: &str) -> Result<Vec<Written>, Error> {
    let file: File = toml::from_str(text).map_err(|error| Error::Questions(error.to_string()))?;
    Ok(file.question)
}

/// A question at its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Number of the claim.
    pub claim: String,
    /// The event before which it is asked.
    pub at: usize,
    /// The event that answers it.
    pub reveal: usize,
    /// What is asked.
    pub ask: String,
    /// The answer: a number, or `yes` or `no`.
    pub answer: String,
    /// The line that has it.
    pub line: String,
}

/// Where a claim is shown: from its line up to the line of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Number of the claim.
    pub claim: String,
    /// Its first event.
    pub from: usize,
    /// The event after its last.
    pub to: usize,
}

/// Finds where claims are shown, in order.
pub fn shown(lines: &[Line], events: usize) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for line in lines {
        let ends = line.class == Class::Claim
            || line.text.starts_with("=== ")
            || line.class == Class::Other;
        if ends && let Some(last) = shown.last_mut().filter(|last| last.to == events) {
            last.to = line.event;
        }
        if line.class == Class::Claim
            && let Some((claim, _)) = line.text[1..].split_once(']')
        {
            shown.push(Shown { claim: claim.to_owned(), from: line.event, to: events });
        }
    }
    shown
}

/// Puts the questions to their places, in the order of these.
///
/// # Errors
///
/// A question is about a line that its claim, which is shown, does not print, nor another part of
/// the claim.
pub fn place(written: &[Written], lines: &[Line], shown: &[Shown]) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    let mut asked = Vec::new();
    for claim in shown {
        let lines: Vec<&Line> =
            lines.iter().filter(|line| (claim.from..claim.to).contains(&line.event)).collect();
        let mut placed = Vec::new();
        for question in written.iter().filter(|question| question.claim == claim.claim) {
            let found = lines
                .iter()
                .filter_map(|line| Some((*line, figure(line)?)))
                .filter(|(line, _)| own_text(line).starts_with(&question.figure))
                .nth(question.nth - 1);
            if let Some((line, answer)) = found {
                asked.push((&question.claim, &question.ask));
                placed.push(at_its_place(claim, &lines, line, question.ask.clone(), answer));
            }
        }
        if placed.is_empty() {
            placed.extend(by_itself(claim, &lines));
        }
        placed.sort_by_key(|question| question.reveal);
        questions.append(&mut placed);
    }
    let is_shown = |question: &&Written| shown.iter().any(|one| one.claim == question.claim);
    let is_asked = |question: &Written| asked.contains(&(&question.claim, &question.ask));
    match written.iter().filter(is_shown).find(|question| !is_asked(question)) {
        Some(Written { claim, figure, .. }) => {
            Err(Error::NoSuchLine(claim.clone(), figure.clone()))
        }
        None => Ok(questions),
    }
}

/// The question about a claim for which none is written: its first number, else its first
/// statement.
fn by_itself(claim: &Shown, lines: &[&Line]) -> Option<Question> {
    let checks = || lines.iter().filter(|line| line.class == Class::Holds);
    let numbers = checks().filter_map(|line| Some((*line, figure(line)?)));
    let (line, answer) =
        numbers.clone().find(|(_, answer)| answer != "yes").or_else(|| numbers.clone().next())?;
    let words = line.text.rsplit_once(": ").map_or(line.text.as_str(), |(words, _)| words);
    let ask = if answer == "yes" {
        format!("Is it so? {words}.")
    } else {
        format!("What comes of it? {words}:")
    };
    Some(at_its_place(claim, lines, line, ask, answer))
}

/// A question is asked before all that happens between the text before and the text with the
/// answer.
fn at_its_place(
    claim: &Shown,
    lines: &[&Line],
    line: &Line,
    ask: String,
    answer: String,
) -> Question {
    let mut group = line.event;
    let mut at = claim.from + 1;
    for before in lines.iter().rev().filter(|before| before.event < line.event) {
        if before.event + 1 < group {
            at = before.event + 1;
            break;
        }
        group = before.event;
    }
    Question {
        claim: claim.claim.clone(),
        at,
        reveal: line.event,
        ask,
        answer,
        line: line.text.clone(),
    }
}

/// The text of a line, without the mark of what a program printed.
fn own_text(line: &Line) -> &str {
    line.text.strip_prefix("| ").unwrap_or(&line.text)
}

/// The figure of a line: the number behind its last colon; `yes` for a statement that holds.
/// Addresses are taken by their low 32 bits, which is what is printed of them.
fn figure(line: &Line) -> Option<String> {
    let text = own_text(line);
    let value = text.rsplit_once(": ").and_then(|(_, value)| number(value));
    match value {
        Some(value) => Some(value.to_string()),
        None if line.class == Class::Holds && !text.contains(": ") => Some("yes".to_owned()),
        None => None,
    }
}

fn number(value: &str) -> Option<u64> {
    let word = value.split_whitespace().next()?;
    match word.strip_prefix("0x") {
        Some(digits) => {
            let address = u64::from_str_radix(digits.trim_start_matches('…'), 16).ok()?;
            Some(address & 0xffff_ffff)
        }
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[(usize, &str)]) -> Vec<Line> {
        let line = |&(event, text): &(usize, &str)| {
            let (class, text) = Class::of(text);
            Line { event, class, text: text.to_owned() }
        };
        texts.iter().map(line).collect()
    }

    const TEXTS: [(usize, &str); 7] = [
        (0, "[C4] malloc searches"),
        (5, "  The break stays."),
        (6, "    ok      movements of the break: 0"),
        (9, "  The break moves."),
        (10, "    ok      movements of the break: 1"),
        (11, "    ok      it moved"),
        (12, "[C5] free"),
    ];

    fn written(figure: &str, nth: usize) -> Written {
        Written { claim: "C4".into(), figure: figure.into(), nth, ask: "How often?".into() }
    }

    #[test]
    fn a_question_is_asked_before_what_happens() {
        let lines = lines(&TEXTS);
        let shown = shown(&lines, 20);
        assert_eq!((shown[0].from, shown[0].to, shown[1].to), (0, 12, 20));
        let written = [written("movements", 2), written("movements", 1), written("it moved", 1)];
        let questions = place(&written, &lines, &shown[..1]).unwrap();
        let places: Vec<_> = questions
            .iter()
            .map(|question| (question.at, question.reveal, question.answer.as_str()))
            .collect();
        assert_eq!(places, [(1, 6, "0"), (7, 10, "1"), (7, 11, "yes")]);
    }

    #[test]
    fn a_claim_without_a_question_is_asked_about_its_first_number() {
        let lines = lines(&TEXTS);
        let shown = shown(&lines, 20);
        let questions = place(&[], &lines, &shown[..1]).unwrap();
        assert_eq!(questions.len(), 1);
        assert_eq!((questions[0].at, questions[0].answer.as_str()), (1, "0"));
        assert!(questions[0].ask.contains("movements of the break"));
    }

    #[test]
    fn a_question_about_a_line_that_is_not_there_is_an_error() {
        let lines = lines(&TEXTS);
        let shown = shown(&lines, 20);
        assert!(place(&[written("movements", 3)], &lines, &shown[..1]).is_err());
        assert!(place(&[written("holes", 1)], &lines, &shown[..1]).is_err());
        assert!(place(&[written("holes", 1)], &lines, &shown[1..]).is_ok(), "it is not shown");
    }

    #[test]
    fn figures_are_numbers_statements_or_low_parts_of_addresses() {
        let figure = |text: &str| figure(&lines(&[(0, text)])[0]);
        assert_eq!(figure("    ok      frames: 256 (at least 256)").as_deref(), Some("256"));
        assert_eq!(figure("    ok      sbrk(0): 0x…00000046").as_deref(), Some("70"));
        assert_eq!(figure("    ok      sbrk(0): 0xffff908000000046").as_deref(), Some("70"));
        assert_eq!(figure("    ok      it moved").as_deref(), Some("yes"));
        assert_eq!(figure("    ok      what lies there: nothing"), None);
        assert_eq!(figure("    | break moved up: 4096 bytes").as_deref(), Some("4096"));
        assert_eq!(figure("    | process 1"), None);
    }
}
