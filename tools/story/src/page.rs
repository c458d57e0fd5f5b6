//! The page: one file that needs no other.

use serde::Serialize;

use crate::Error;
use crate::bundle::{self, Module};
use crate::claims::Claim;
use crate::questions::{Question, Shown};
use crate::telling::Told;

/// The viewer's modules, each of which imports only from those before it.
pub const MODULES: [Module<'_>; 16] = [
    ("words.js", include_str!("../viewer/words.js")),
    ("reduce.js", include_str!("../viewer/reduce.js")),
    ("timeline.js", include_str!("../viewer/timeline.js")),
    ("explain.js", include_str!("../viewer/explain.js")),
    ("follow.js", include_str!("../viewer/follow.js")),
    ("dom.js", include_str!("../viewer/dom.js")),
    ("changes.js", include_str!("../viewer/changes.js")),
    ("drawing.js", include_str!("../viewer/drawing.js")),
    ("program_layer.js", include_str!("../viewer/program_layer.js")),
    ("heap_layer.js", include_str!("../viewer/heap_layer.js")),
    ("areas_layer.js", include_str!("../viewer/areas_layer.js")),
    ("pages_layer.js", include_str!("../viewer/pages_layer.js")),
    ("kept.js", include_str!("../viewer/kept.js")),
    ("quiz.js", include_str!("../viewer/quiz.js")),
    ("panels.js", include_str!("../viewer/panels.js")),
    ("viewer.js", include_str!("../viewer/viewer.js")),
];

const FRAME: &str = include_str!("../viewer/page.html");
const STYLE: &str = include_str!("../viewer/style.css");

/// All that the viewer shows.
#[derive(Debug, Serialize)]
pub struct Data<'a> {
    /// What is replayed.
    #[serde(flatten)]
    pub told: &'a Told,
    /// The claims of the documents.
    pub claims: &'a [Claim],
    /// Where they are shown.
    pub shown: &'a [Shown],
    /// What is asked.
    pub questions: &'a [Question],
}

/// Makes the page, with further modules behind the viewer's.
///
/// # Errors
///
/// The modules cannot be joined.
pub fn make(data: &Data<'_>, further: &[Module<'_>]) -> Result<String, Error> {
    let modules: Vec<Module<'_>> = MODULES.iter().chain(further).copied().collect();
    let script = bundle::join(&modules)?;
    let data = serde_json::to_string(data).expect("numbers and texts have a form in JSON");
    Ok(filled(FRAME, &[("STYLE", STYLE), ("DATA", &inert(&data)), ("SCRIPT", &script)]))
}

/// Puts texts into the places `<!--NAME-->` of a frame.
fn filled(frame: &str, texts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = frame;
    for (name, text) in texts {
        let (before, after) = rest.split_once(&format!("<!--{name}-->")).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(text);
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Data without what could end the element that it is in.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let mut told = Told::default();
        told.string("</script><b>");
        let data = Data { told: &told, claims: &[], shown: &[], questions: &[] };
        let page = make(&data, &[]).unwrap();
        assert!(!page.contains("</script><b>"));
        assert!(page.contains(r"\u003c/script>\u003cb>"));
        let json = page.split_once(r#"type="application/json">"#).unwrap().1;
        let json = json.split_once("</script>").unwrap().0;
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["strings"][0], "</script><b>");
    }

    #[test]
    fn the_viewers_files_fit_on_a_screen() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/viewer");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let long = text.lines().position(|line| line.chars().count() > 100);
            assert_eq!(long, None, "the first line of {} that is too long", path.display());
            assert!(text.lines().count() <= 500, "{} is long", path.display());
        }
    }

    #[test]
    fn the_page_asks_for_nothing_else() {
        let data = Data { told: &Told::default(), claims: &[], shown: &[], questions: &[] };
        let page = make(&data, &[]).unwrap();
        for outside in ["http://", "https://", " src=", "@import", "url("] {
            let found = page.matches(outside).count();
            let names = page.matches("http://www.w3.org/").count();
            let expected = if outside == "http://" { names } else { 0 };
            assert_eq!(found, expected, "{outside}");
        }
    }
}
