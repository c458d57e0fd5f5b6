//! Writes all mutants of a source into one text: each place asks at run time which mutant is tried.
//!
//! ```text
//!   a + b * c    ──►    (if among(4, 6) { if among(4, 5) { a - b * c } else { a * b * c } }
//!                        else { a + (if among(7, 8) { b / c } else { b * c }) })
//! ```
//!
//! So the crate is compiled once, and not once a mutant. Mutant schemata: R. Untch, J. Offutt, M. J.
//! Harrold, *Mutation analysis using mutant schemata*, ISSTA 1993.
//!
//! A change is written with the smallest expression around it. Changes inside that expression are
//! written with what is left of it, not with the changed copies: one mutant at a time is tried.

use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::{Genre, Mutant};

/// A source with all its mutants.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The source.
    pub text: String,
    /// The bytes that were written for mutants, each with their numbers: the inner ones first.
    written: Vec<(Range<usize>, Range<usize>)>,
}

impl Schema {
    /// Writes the mutants that have these numbers into their source. The numbers rise with the
    /// places.
    ///
    /// # Errors
    ///
    /// The source is no Rust.
    pub fn new(source: &str, mutants: &[(usize, &Mutant)]) -> syn::Result<Self> {
        let mut expressions = Expressions(Vec::new());
        expressions.visit_file(&syn::parse_file(source)?);
        let mut sites: Vec<Site> = Vec::new();
        for &(number, mutant) in mutants {
            let range = mutant.range(source);
            let (whole, is_body) = if mutant.genre == Genre::FnValue {
                (range.start..range.start, true)
            } else {
                let around = expressions.0.iter().filter(|expression| holds(expression, &range));
                let Some(smallest) = around.min_by_key(|expression| expression.len()) else {
                    continue;
                };
                (smallest.clone(), false)
            };
            let change = Change { number, range, replacement: &mutant.replacement };
            match sites.iter_mut().find(|site| site.whole == whole && site.is_body == is_body) {
                Some(site) => site.changes.push(change),
                None => sites.push(Site { whole, is_body, changes: vec![change] }),
            }
        }
        // The outer ones first.
        sites.sort_by_key(|site| (site.whole.start, !site.is_body, usize::MAX - site.whole.end));
        let mut schema = Self::default();
        let mut writer = Writer { source, schema: &mut schema, sites: sites.iter().peekable() };
        writer.write(0..source.len());
        Ok(schema)
    }

    /// The numbers of the mutants that an error in some bytes of the text comes from.
    pub fn mutants_at(&self, bytes: &Range<usize>) -> Option<Range<usize>> {
        let around = self.written.iter().filter(|(range, _)| holds(range, bytes));
        around.min_by_key(|(range, _)| range.len()).map(|(_, numbers)| numbers.clone())
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The bytes of all expressions.
struct Expressions(Vec<Range<usize>>);

impl<'ast> Visit<'ast> for Expressions {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        let span: Span = expression.span();
        self.0.push(span.byte_range());
        visit::visit_expr(self, expression);
    }
}

/// A change of a site.
#[derive(Clone, Debug)]
struct Change<'a> {
    number: usize,
    range: Range<usize>,
    replacement: &'a str,
}

/// Where a question is written: around an expression, or at the start of a function's body.
#[derive(Clone, Debug)]
struct Site<'a> {
    whole: Range<usize>,
    is_body: bool,
    changes: Vec<Change<'a>>,
}

impl Site<'_> {
    /// The numbers of the mutants, which follow one another unless some were left out.
    fn numbers(&self) -> Range<usize> {
        let numbers = self.changes.iter().map(|change| change.number);
        numbers.clone().min().unwrap_or(0)..numbers.max().map_or(0, |last| last + 1)
    }
}

struct Writer<'a> {
    source: &'a str,
    schema: &'a mut Schema,
    sites: std::iter::Peekable<std::slice::Iter<'a, Site<'a>>>,
}

impl Writer<'_> {
    /// Writes some bytes of the source, with the sites in them.
    fn write(&mut self, bytes: Range<usize>) {
        let mut at = bytes.start;
        while let Some(&site) = self.sites.peek()
            && holds(&bytes, &site.whole)
        {
            self.sites.next();
            self.copy(at..site.whole.start);
            at = site.whole.end;
            self.write_site(site);
        }
        self.copy(at..bytes.end);
    }

    fn write_site(&mut self, site: &Site) {
        let from = self.schema.text.len();
        let numbers = site.numbers();
        if site.is_body {
            for Change { number, replacement, .. } in &site.changes {
                self.written(*number..number + 1, |writer| {
                    writer.push(&format!(
                        "if {} {{ return {replacement}; }}\n",
                        asks(&(*number..number + 1))
                    ));
                });
            }
        } else {
            // Asked once where no mutant of the site is tried. Another operator may bind otherwise,
            // as if it were written there.
            // A match may be a statement, which ends without a semicolon.
            let is_match = self.source[site.whole.clone()].starts_with("match");
            let (open, close) = if is_match { ("", "") } else { ("(", ")") };
            self.push(&format!("{open}if {} {{", asks(&numbers)));
            for (index, Change { number, range, replacement }) in site.changes.iter().enumerate() {
                let is_last = index + 1 == site.changes.len();
                let this = asks(&(*number..number + 1));
                self.push(&if is_last { " ".to_owned() } else { format!(" if {this} {{ ") });
                let (head, tail) = (site.whole.start..range.start, range.end..site.whole.end);
                self.written(*number..number + 1, |writer| {
                    writer.copy(head);
                    writer.push(replacement);
                    writer.copy(tail);
                });
                self.push(if is_last { " " } else { " } else {" });
            }
            self.push(&"}".repeat(site.changes.len()));
            self.push(" else { ");
            self.write(site.whole.clone());
            self.push(&format!(" }}{close}"));
        }
        self.schema.written.push((from..self.schema.text.len(), numbers));
    }

    /// Writes what belongs to some mutants.
    fn written(&mut self, numbers: Range<usize>, write: impl FnOnce(&mut Self)) {
        let from = self.schema.text.len();
        write(self);
        self.schema.written.push((from..self.schema.text.len(), numbers));
    }

    fn copy(&mut self, bytes: Range<usize>) {
        self.schema.text.push_str(&self.source[bytes]);
    }

    fn push(&mut self, text: &str) {
        self.schema.text.push_str(text);
    }
}

/// The question whether the mutant that is tried is among these.
fn asks(numbers: &Range<usize>) -> String {
    format!("crate::mutants::among({}, {})", numbers.start, numbers.end)
}

/// The module that answers, for a crate without std whose programs have a C library. What the
/// compiler evaluates is not mutated.
pub const ASKED: &str = r#"
/// Which mutant is tried.
#[allow(missing_docs, internal_features, unsafe_code)]
pub(crate) mod mutants {
    use core::ffi::{CStr, c_char};
    use core::intrinsics::const_eval_select;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static TRIED: AtomicUsize = AtomicUsize::new(usize::MAX);

    unsafe extern "C" {
        fn getenv(name: *const c_char) -> *const c_char;
    }

    #[inline(always)]
    pub(crate) const fn among(from: usize, to: usize) -> bool {
        const_eval_select((from, to), never, is_tried)
    }

    const fn never(_: usize, _: usize) -> bool {
        false
    }

    #[inline(always)]
    fn is_tried(from: usize, to: usize) -> bool {
        let stored = TRIED.load(Relaxed);
        let tried = if stored == usize::MAX { read() } else { stored };
        from <= tried && tried < to
    }

    #[cold]
    fn read() -> usize {
        let value = unsafe { getenv(c"BRKALLOC_MUTANT".as_ptr()) };
        let number = if value.is_null() { 0 } else {
            unsafe { CStr::from_ptr(value) }.to_bytes().iter().fold(0, |n, digit| n * 10 + (digit - b'0') as usize)
        };
        TRIED.store(number, Relaxed);
        number
    }
}
"#;

/// What the crate's root begins with, so that it may ask in constant functions.
pub const FEATURES: &str = "#![feature(core_intrinsics, const_eval_select)]\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::tests::mutant;

    const SOURCE: &str = "fn f(a: u8, b: u8) -> u8 {\n    match a {\n        0 if b < 3 => a + b * 2,\n        _ => !b,\n    }\n}\n";

    fn schema(mutants: &[Mutant]) -> Schema {
        let numbered: Vec<_> =
            mutants.iter().enumerate().map(|(at, mutant)| (at + 1, mutant)).collect();
        Schema::new(SOURCE, &numbered).unwrap()
    }

    #[test]
    fn without_mutants_the_source_stays() {
        assert_eq!(schema(&[]).text, SOURCE);
    }

    #[test]
    fn inner_changes_are_in_what_is_left_of_the_outer_expression() {
        let plus = mutant(SOURCE, "=> a", "+", "-", Genre::BinaryOperator);
        let times = mutant(SOURCE, "=> a", "*", "/", Genre::BinaryOperator);
        let text = schema(&[plus, times]).text;
        let inner = "(if crate::mutants::among(2, 3) { b / 2 } else { b * 2 })";
        let whole =
            format!("=> (if crate::mutants::among(1, 2) {{ a - b * 2 }} else {{ a + {inner} }}),");
        assert!(text.contains(&whole), "{text}");
    }

    #[test]
    fn an_arm_is_left_out_of_a_copy_of_the_match() {
        let arm = mutant(SOURCE, "0 if", "0 if b < 3 => a + b * 2,", "", Genre::MatchArm);
        let text = schema(&[arm]).text;
        let without = "if crate::mutants::among(1, 2) { match a {\n        \n        _ => !b,\n    } } else { match a";
        assert!(text.contains(without) && text.ends_with("} }\n}\n"), "{text}");
    }

    #[test]
    fn a_guard_and_a_value_take_the_places_of_what_they_replace() {
        let guard = mutant(SOURCE, "0 if", "b < 3", "true", Genre::MatchArmGuard);
        let value = mutant(
            SOURCE,
            "match",
            "match a {\n        0 if b < 3 => a + b * 2,\n        _ => !b,\n    }",
            "7",
            Genre::FnValue,
        );
        let text = schema(&[value, guard]).text;
        assert!(
            text.contains("{\n    if crate::mutants::among(1, 2) { return 7; }\nmatch a"),
            "{text}"
        );
        assert!(
            text.contains("0 if (if crate::mutants::among(2, 3) { true } else { b < 3 }) =>"),
            "{text}"
        );
    }

    #[test]
    fn several_changes_of_a_place_are_asked_for_together() {
        let first = mutant(SOURCE, "0 if", "<", "==", Genre::BinaryOperator);
        let second = mutant(SOURCE, "0 if", "<", ">", Genre::BinaryOperator);
        let text = schema(&[first, second]).text;
        let asked = "(if crate::mutants::among(1, 3) { if crate::mutants::among(1, 2) { b == 3 } else { b > 3 }} else { b < 3 })";
        assert!(text.contains(asked), "{text}");
    }

    #[test]
    fn an_error_belongs_to_the_smallest_change_around_it() {
        let first = mutant(SOURCE, "0 if", "<", "==", Genre::BinaryOperator);
        let second = mutant(SOURCE, "0 if", "<", ">", Genre::BinaryOperator);
        let schema = schema(&[first, second]);
        let at = |text: &str| {
            let start = schema.text.find(text).unwrap();
            schema.mutants_at(&(start..start + text.len()))
        };
        assert_eq!(at("b == 3"), Some(1..2));
        assert_eq!(at("b > 3"), Some(2..3));
        assert_eq!(at("b < 3"), Some(1..3));
        assert_eq!(at("fn f"), None);
    }
}
