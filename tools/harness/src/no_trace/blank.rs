//! Takes a profile out of a source file. Pure.
//!
//! What is there for the feature alone becomes blanks, so that all else stays at its line and
//! column:
//!
//! ```text
//!   #[cfg(feature = "checked")]            the attribute and what it is about    blank
//!   #[cfg(not(feature = "checked"))]       the attribute                         blank
//!   cfg!(feature = "checked")              false
//! ```

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Expr, Field, FieldPat, FieldValue, ImplItem, Item, Macro, Stmt, TraitItem,
    Variant,
};

/// `source` without what is there for `feature` alone.
///
/// # Errors
///
/// What the parser says; or that a condition with this feature is none that this knows.
pub(super) fn without(feature: &str, source: &str) -> Result<String, String> {
    let file = syn::parse_file(source).map_err(|error| error.to_string())?;
    let mut finder = Finder { feature, edits: Vec::new(), unknown: None };
    finder.visit_file(&file);
    if let Some(condition) = finder.unknown {
        return Err(format!("cannot tell what `{condition}` is without {feature}"));
    }
    let mut text = source.as_bytes().to_vec();
    for Edit { range, with } in finder.edits {
        // The comma that ends a field or an arm belongs to it.
        let end = if with.is_empty() {
            range.end + comma_behind(&source[range.end..])
        } else {
            range.end
        };
        text[range.start..end]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        text[range.start..range.start + with.len()].copy_from_slice(with.as_bytes());
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Bytes up to the end of a comma, if that is what comes first.
fn comma_behind(rest: &str) -> usize {
    let trimmed = rest.trim_start();
    if trimmed.starts_with(',') { rest.len() - trimmed.len() + 1 } else { 0 }
}

/// A piece of the source, and what stands there instead.
struct Edit {
    range: Range<usize>,
    with: &'static str,
}

struct Finder<'a> {
    feature: &'a str,
    edits: Vec<Edit>,
    /// A condition about the feature that is not understood.
    unknown: Option<String>,
}

/// What a condition is once the feature is gone.
enum Without {
    False,
    True,
    /// It is about something else.
    Same,
}

impl Finder<'_> {
    /// Looks at the attributes of a piece of the source. True if it is blanked.
    fn blanks(&mut self, attributes: &[Attribute], piece: impl Spanned) -> bool {
        for attribute in attributes.iter().filter(|attribute| {
            attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
        }) {
            let condition =
                attribute.meta.require_list().map(|list| list.tokens.clone()).unwrap_or_default();
            match self.judge(&condition) {
                Without::False => {
                    self.blank(piece.span().byte_range(), "");
                    return true;
                }
                Without::True => self.blank(attribute.span().byte_range(), ""),
                Without::Same => {}
            }
        }
        false
    }

    fn blank(&mut self, range: Range<usize>, with: &'static str) {
        self.edits.push(Edit { range, with });
    }

    fn judge(&mut self, condition: &TokenStream) -> Without {
        let text: String = condition.to_string().split_whitespace().collect();
        let feature = format!("feature=\"{}\"", self.feature);
        if !text.contains(&feature) {
            return Without::Same;
        }
        match text.strip_prefix("all(") {
            _ if text == feature => Without::False,
            _ if text == format!("not({feature})") => Without::True,
            Some(all)
                if all.split([',', ')']).any(|part| part == feature)
                    && !text.contains("not(")
                    && !text.contains("any(") =>
            {
                Without::False
            }
            _ => {
                self.unknown = Some(text);
                Without::Same
            }
        }
    }
}

/// The attributes of a node that has some, by whichever of its kinds.
macro_rules! attributes {
    ($node:expr, $kind:ident: $($variant:ident),+) => {
        match $node {
            $($kind::$variant(node) => &node.attrs[..],)+
            _ => &[],
        }
    };
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = attributes!(item, Item: Const, Enum, ExternCrate, Fn, Impl, Macro, Mod, Static, Struct, Trait, Type, Union, Use);
        if !self.blanks(attributes, item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !self.blanks(attributes!(item, ImplItem: Const, Fn, Type, Macro), item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !self.blanks(attributes!(item, TraitItem: Const, Fn, Type, Macro), item) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes = match statement {
            Stmt::Local(local) => &local.attrs[..],
            Stmt::Macro(call) => &call.attrs[..],
            Stmt::Expr(expression, _) => attributes_of(expression),
            Stmt::Item(_) => &[],
        };
        if !self.blanks(attributes, statement) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !self.blanks(&field.attrs, field) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        if !self.blanks(&field.attrs, field) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_field_pat(&mut self, field: &'ast FieldPat) {
        if !self.blanks(&field.attrs, field) {
            visit::visit_field_pat(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !self.blanks(&variant.attrs, variant) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !self.blanks(&arm.attrs, arm) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("cfg") {
            match self.judge(&call.tokens) {
                Without::False => self.blank(call.span().byte_range(), "false"),
                Without::True => self.blank(call.span().byte_range(), "true"),
                Without::Same => {}
            }
        }
    }
}

/// The attributes of an expression that is a statement.
fn attributes_of(expression: &Expr) -> &[Attribute] {
    attributes!(
        expression,
        Expr: Assign, Binary, Block, Break, Call, Continue, ForLoop, If, Let, Loop, Macro, Match, MethodCall, Return, Try, Unsafe, While
    )
}

/// Whether a condition about the feature is left; comments are none.
pub(super) fn mentions(feature: &str, source: &str) -> Result<bool, String> {
    let tokens: TokenStream =
        source.parse().map_err(|error: proc_macro2::LexError| error.to_string())?;
    Ok(any_feature(tokens, feature))
}

/// Whether `feature = "…"` stands anywhere among the tokens.
fn any_feature(tokens: TokenStream, feature: &str) -> bool {
    let quoted = format!("\"{feature}\"");
    let mut before = [String::new(), String::new()];
    tokens.into_iter().any(|token| {
        let found = match &token {
            TokenTree::Group(group) => any_feature(group.stream(), feature),
            token => before == ["feature", "="] && token.to_string() == quoted,
        };
        before.rotate_left(1);
        before[1] = token.to_string();
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_feature_alone_becomes_blanks_and_all_else_stays_where_it_is() {
        let source = "#[cfg(feature = \"on\")]\nmod a;\nstruct S {\n    #[cfg(feature = \"on\")]\n    x: [u8; 2],\n    y: u8,\n}\n\
                      fn f() {\n    #[cfg(feature = \"on\")]\n    g!(1);\n    let s = S { #[cfg(feature = \"on\")] x: [0; 2], y: 1 };\n}\n";
        let left = without("on", source).unwrap();
        assert_eq!(left.len(), source.len());
        let lines: Vec<_> = left.lines().map(str::trim_end).collect();
        assert_eq!(lines[..8], ["", "", "struct S {", "", "", "    y: u8,", "}", "fn f() {"]);
        assert_eq!(lines[8..10], ["", ""]);
        assert_eq!(
            lines[10].split_whitespace().collect::<Vec<_>>().join(" "),
            "let s = S { y: 1 };"
        );
        assert_eq!(source.find("y: 1"), left.find("y: 1"));
    }

    #[test]
    fn what_is_for_its_absence_stays_without_the_condition() {
        let left = without(
            "on",
            "#[cfg(not(feature = \"on\"))]\nfn f() -> bool { !cfg!(feature = \"on\") && cfg!(feature = \"off\") }\n",
        );
        let words = left.unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words, "fn f() -> bool { !false && cfg!(feature = \"off\") }");
    }

    #[test]
    fn a_condition_that_is_not_understood_is_an_error() {
        assert!(without("on", "#[cfg(any(feature = \"on\", test))]\nmod a;\n").is_err());
        assert!(without("on", "fn f( {").is_err());
        let all =
            without("on", "#[cfg(all(feature = \"on\", feature = \"tiny\"))]\nmod a;\n").unwrap();
        assert_eq!(all.trim(), "");
    }

    #[test]
    fn what_is_left_is_found() {
        assert_eq!(mentions("on", "// feature = \"on\"\nfn f() {}"), Ok(false));
        assert_eq!(mentions("on", "fn f() { g!(feature = \"on\"); }"), Ok(true));
        assert_eq!(mentions("on", "fn f() { g!(feature = \"off\"); }"), Ok(false));
    }
}
