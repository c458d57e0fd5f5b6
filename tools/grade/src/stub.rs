//! Makes stubs: a module of the project whose functions for the student have lost their bodies.
//!
//! A stub is made when it is handed out, so it has the interface that the module has now.

use std::ops::Range;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, LexError, TokenStream, TokenTree};

use crate::error::Error;
use crate::table::{Cut, Lab};

/// Returns the modules that a lab's student writes, without repetition.
pub fn modules(lab: &Lab) -> impl Iterator<Item = &Path> {
    let is_first =
        |&(at, cut): &(usize, &Cut)| lab.cuts[..at].iter().all(|other| other.file != cut.file);
    lab.cuts.iter().enumerate().filter(is_first).map(|(_, cut)| cut.file.as_path())
}

/// Returns the text of a module without the bodies of a lab's functions.
///
/// # Errors
///
/// The module is no Rust, or lacks a function.
pub fn stub(lab: &Lab, file: &Path, module: &str) -> Result<String, Error> {
    let at = |what: String| Error::Stub(PathBuf::from(file), what);
    let parsed: TokenStream = module.parse().map_err(|error: LexError| at(error.to_string()))?;
    let parsed: Vec<_> = parsed.into_iter().collect();
    let mut edits = Vec::new();
    for cut in lab.cuts.iter().filter(|cut| cut.file == file) {
        let found = find(&parsed, &cut.function)
            .ok_or_else(|| at(format!("there is no function {}", cut.function)))?;
        let line = module[..found.body.start].lines().last().unwrap_or_default();
        let margin = &line[..line.len() - line.trim_start().len()];
        edits.push((found.body.clone(), body(lab.number, cut, &found.parameters, margin)));
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut text = module.to_owned();
    for (range, body) in edits.into_iter().rev() {
        text.replace_range(range, &body);
    }
    Ok(text)
}

/// A function in a module.
struct Found {
    /// Bytes of the body, braces included.
    body: Range<usize>,
    /// Names of the parameters.
    parameters: Vec<String>,
}

/// Finds a function by its name, with the type or trait of its `impl` block in front.
fn find(module: &[TokenTree], name: &str) -> Option<Found> {
    let Some((owner, function)) = name.rsplit_once("::") else { return function_of(module, name) };
    let mut rest = module;
    while let Some(at) = rest.iter().position(|token| is_word(token, "impl")) {
        let head = &rest[at + 1..];
        let end = head.iter().position(|token| group(token, Delimiter::Brace).is_some())?;
        if owner_of(&head[..end]).as_deref() == Some(owner) {
            let block: Vec<_> = group(&head[end], Delimiter::Brace)?.stream().into_iter().collect();
            let found = function_of(&block, function);
            if found.is_some() {
                return found;
            }
        }
        rest = &head[end + 1..];
    }
    None
}

/// The trait, or else the type, that the head of an `impl` block names: the last word of its path.
fn owner_of(head: &[TokenTree]) -> Option<String> {
    let mut owner = None;
    for token in outside_angles(head) {
        match token {
            TokenTree::Ident(word) if word == "for" || word == "where" => break,
            TokenTree::Ident(word) => owner = Some(word.to_string()),
            _ => {}
        }
    }
    owner
}

/// Finds a function among tokens that are not inside a group.
fn function_of(tokens: &[TokenTree], name: &str) -> Option<Found> {
    let is_it = |pair: &[TokenTree]| is_word(&pair[0], "fn") && is_word(&pair[1], name);
    let at = tokens.windows(2).position(is_it)?;
    let mut rest = outside_angles(&tokens[at + 2..]);
    let parameters = rest.find_map(|token| group(token, Delimiter::Parenthesis))?;
    let body = rest.find_map(|token| group(token, Delimiter::Brace))?;
    let parameters: Vec<_> = parameters.stream().into_iter().collect();
    let names = parameters.split(|token| is_mark(token, ',')).filter_map(parameter);
    Some(Found { body: body.span().byte_range(), parameters: names.collect() })
}

/// The name that begins a parameter, as in `mut size: usize`. A receiver has none.
fn parameter(tokens: &[TokenTree]) -> Option<String> {
    let is_mut = tokens.first().is_some_and(|first| is_word(first, "mut"));
    match &tokens[usize::from(is_mut)..] {
        [TokenTree::Ident(name), colon, ..] if is_mark(colon, ':') && name != "self" => {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// The tokens that are not between `<` and `>`.
fn outside_angles(tokens: &[TokenTree]) -> impl Iterator<Item = &TokenTree> {
    let (mut depth, mut is_after_minus) = (0_usize, false);
    tokens.iter().filter(move |token| {
        let (opens, closes) = (is_mark(token, '<'), is_mark(token, '>') && !is_after_minus);
        is_after_minus = is_mark(token, '-');
        depth += usize::from(opens);
        let is_outside = depth == 0;
        depth = depth.saturating_sub(usize::from(closes));
        is_outside
    })
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(found) if found == word)
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == mark)
}

fn group(token: &TokenTree, delimiter: Delimiter) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// Longest line of a stub, in columns.
const COLUMNS: usize = 100;

/// The body of a stub: the hint, and a panic.
fn body(lab: u32, cut: &Cut, parameters: &[String], margin: &str) -> String {
    let margin = format!("{margin}    ");
    let mut lines = vec![format!("{margin}//")];
    for word in cut.hint.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.len() + 1 + word.len() > COLUMNS {
            lines.push(format!("{margin}// {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    match parameters {
        [] => {}
        [one] => lines.push(format!("{margin}let _ = {one};")),
        more => lines.push(format!("{margin}let _ = ({});", more.join(", "))),
    }
    lines.push(format!("{margin}todo!(\"lab {lab}: {}\")", cut.function));
    format!("{{\n{}\n{}}}", lines.join("\n"), &margin[4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "\
/// A heap { of braces.
impl<B> Heap<B> {
    /// Grows.
    unsafe fn grow(&mut self, by: usize) -> usize {
        if by > 0 { \"}\".len() } else { 0 }
    }
}

impl<B> Raw for Heap<B> {
    fn grow(&self) {}
}
";

    fn lab(function: &str) -> Lab {
        let cut = Cut { file: "a.rs".into(), function: function.into(), hint: "First.".into() };
        Lab { number: 3, title: String::new(), cuts: vec![cut], tests: Vec::new() }
    }

    #[test]
    fn a_body_is_replaced_and_nothing_else() {
        let stub = stub(&lab("Heap::grow"), Path::new("a.rs"), MODULE).unwrap();
        let body = "{
        // First.
        let _ = by;
        todo!(\"lab 3: Heap::grow\")
    }
}
";
        assert!(stub.contains(&format!("-> usize {body}")), "{stub}");
        assert!(stub.ends_with("    fn grow(&self) {}\n}\n"), "{stub}");
    }

    #[test]
    fn parameters_are_named_and_receivers_and_patterns_are_not() {
        let module = "fn f<F: Fn(u8) -> u8>(&mut self, mut a: Map<u8, F>, (b, c): X, d: &[u8]) \
            -> impl Fn() where F: Copy { 0 } fn g(self) {}";
        let tokens: Vec<_> = module.parse::<TokenStream>().unwrap().into_iter().collect();
        let found = find(&tokens, "f").unwrap();
        assert_eq!(found.parameters, ["a", "d"]);
        assert_eq!(&module[found.body], "{ 0 }");
        assert_eq!(find(&tokens, "g").unwrap().parameters, [""; 0]);
    }

    #[test]
    fn the_owner_of_a_block_is_its_trait_or_its_type() {
        let owner = |head: &str| {
            let tokens: Vec<_> = head.parse::<TokenStream>().unwrap().into_iter().collect();
            owner_of(&tokens).unwrap()
        };
        assert_eq!(owner("<B: Break<Map>> brk::Heap<B>"), "Heap");
        assert_eq!(owner("<F: Fn() -> u8> raw::Raw for Heap<F>"), "Raw");
        assert_eq!(owner("Heap<u8> where u8: Copy"), "Heap");
    }

    #[test]
    fn a_method_of_a_trait_is_found_by_the_trait() {
        let stub = stub(&lab("Raw::grow"), Path::new("a.rs"), MODULE).unwrap();
        assert!(stub.contains("if by > 0") && stub.contains("lab 3: Raw::grow"), "{stub}");
    }

    #[test]
    fn a_function_that_is_not_there_is_an_error() {
        assert!(stub(&lab("Heap::shrink"), Path::new("a.rs"), MODULE).is_err());
    }
}
