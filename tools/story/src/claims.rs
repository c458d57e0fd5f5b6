//! The claims, as `docs/CLAIMS.md` has them.

use serde::Serialize;

/// A claim of the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Its number, such as `C12`.
    pub number: String,
    /// What it says.
    pub text: String,
    /// Where its code is.
    pub code: String,
    /// What shows it.
    pub see: String,
    /// What it asks.
    pub question: String,
}

/// Reads the claims from the document.
pub fn read(document: &str) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for part in document.split("\n- <a id=\"").skip(1) {
        let part = part.split("\n## ").next().unwrap_or(part);
        let Some((number, rest)) = part.split_once('"') else { continue };
        let mut parts = rest.split("\n  - ");
        let text = parts.next().unwrap_or("");
        let text = text.split_once("**").and_then(|(_, text)| text.split_once("**"));
        let mut claim = Claim {
            number: number.to_owned(),
            text: joined(text.map_or("", |(_, text)| text)),
            ..Claim::default()
        };
        for part in parts {
            let (name, value) = part.split_once(':').unwrap_or(("", part));
            match name {
                "Code" => claim.code = joined(value),
                "See it" => claim.see = joined(value),
                "Question" => claim.question = joined(value),
                _ => {}
            }
        }
        claims.push(claim);
    }
    claims
}

/// Text of several lines, as one, without the stars of emphasis; code keeps its stars.
fn joined(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = line.split('`').enumerate();
    let plain =
        parts.map(|(at, part)| if at % 2 == 0 { part.replace('*', "") } else { part.into() });
    plain.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_its_text_its_code_and_its_question() {
        let document = "# Claims\n\n## The heap\n\n- <a id=\"C1\"></a>**C1** A cell\n  *is*.\n  - Code: \
            `a*.rs`,\n    `b.rs`.\n  - See it: `make run`.\n  - Question: How\n    many: one?\n\n## More\n\nText.\n";
        let claim = Claim {
            number: "C1".into(),
            text: "A cell is.".into(),
            code: "`a*.rs`, `b.rs`.".into(),
            see: "`make run`.".into(),
            question: "How many: one?".into(),
        };
        assert_eq!(read(document), [claim]);
    }

    #[test]
    fn each_claim_of_the_document_is_whole() {
        let claims = read(include_str!("../../../docs/CLAIMS.md"));
        assert_eq!(claims.len(), 29);
        for (number, claim) in (1..).zip(&claims) {
            assert_eq!(claim.number, format!("C{number}"));
            for text in [&claim.text, &claim.code, &claim.see, &claim.question] {
                assert!(!text.is_empty(), "{claim:?}");
            }
        }
    }
}
