//! Makes stubs: a module of the project whose functions for the student have lost their bodies.
//!
//! A stub is made when it is handed out, so it has the interface that the module has now.

use std::ops::Range;
use std::path::{Path, PathBuf};

use syn::{FnArg, ImplItem, ImplItemFn, Item, ItemFn, Pat, Signature, Type};

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
    let parsed = syn::parse_file(module).map_err(|error| at(error.to_string()))?;
    let mut edits = Vec::new();
    for cut in lab.cuts.iter().filter(|cut| cut.file == file) {
        let found = find(&parsed.items, &cut.function)
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
fn find(items: &[Item], name: &str) -> Option<Found> {
    let (owner, function) = name.rsplit_once("::").unwrap_or(("", name));
    items.iter().find_map(|item| match item {
        Item::Fn(ItemFn { sig, block, .. }) if owner.is_empty() && sig.ident == function => {
            Some(found(sig, block))
        }
        Item::Impl(block) => {
            let last = |path: &syn::Path| path.segments.last().map(|last| last.ident.to_string());
            let of = match (&block.trait_, &*block.self_ty) {
                (Some((.., path, _)), _) => last(path),
                (None, Type::Path(path)) => last(&path.path),
                _ => None,
            };
            let is_owner = of.is_some_and(|of| of == owner);
            block.items.iter().filter(|_| is_owner).find_map(|item| match item {
                ImplItem::Fn(ImplItemFn { sig, block, .. }) if sig.ident == function => {
                    Some(found(sig, block))
                }
                _ => None,
            })
        }
        _ => None,
    })
}

fn found(sig: &Signature, block: &syn::Block) -> Found {
    let parameters = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) => Some(name.ident.to_string()),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    let body = block.brace_token.span.join().byte_range();
    Found { body, parameters: parameters.collect() }
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
    fn a_method_of_a_trait_is_found_by_the_trait() {
        let stub = stub(&lab("Raw::grow"), Path::new("a.rs"), MODULE).unwrap();
        assert!(stub.contains("if by > 0") && stub.contains("lab 3: Raw::grow"), "{stub}");
    }

    #[test]
    fn a_function_that_is_not_there_is_an_error() {
        assert!(stub(&lab("Heap::shrink"), Path::new("a.rs"), MODULE).is_err());
    }
}
