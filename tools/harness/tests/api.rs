//! The public items of brkalloc are those that `docs/api.txt` lists. A change of the list is a
//! change of the crate's interface: `BLESS=1 cargo test -p harness --test api` writes it anew.
//!
//! rustdoc tells which items are public; the signatures are those of the source.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Kinds of items, as rustdoc names them.
const KINDS: [&str; 13] = [
    "assoc_const",
    "assoc_type",
    "constant",
    "enum",
    "function",
    "macro",
    "module",
    "static",
    "struct",
    "struct_field",
    "trait",
    "type_alias",
    "variant",
];

/// Types that a program calls for memory.
const HEAPS: [&str; 11] = [
    "ArenaHeap",
    "Exclusive",
    "Failing",
    "Heap",
    "Ledger",
    "Locked",
    "ReserveHeap",
    "Sampled",
    "SimpleHeap",
    "TaggedHeap",
    "Trace",
];

/// The traits of what a heap asks for memory: its bounds count their calls.
const PROVIDERS: [&str; 5] = ["Break", "Cpu", "GuardPages", "Map", "Segments"];

/// What rustdoc says of the crate, and the folder of the source.
struct Crate {
    root: PathBuf,
    doc: Value,
    lines: BTreeSet<String>,
    public: Vec<Value>,
}

impl Crate {
    /// Asks rustdoc. Its list for programs is unstable, so it needs leave to use it.
    fn documented() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api");
        let output = Command::new(env!("CARGO"))
            .args(["rustdoc", "--quiet", "--offline", "--all-features", "--lib"])
            .args(["--package", "brkalloc", "--", "-Zunstable-options", "--output-format=json"])
            .current_dir(&root)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(target.join("doc/brkalloc.json")).unwrap();
        Self {
            root,
            doc: serde_json::from_str(&text).unwrap(),
            lines: BTreeSet::new(),
            public: Vec::new(),
        }
    }

    fn item(&self, id: &Value) -> Option<Value> {
        self.doc["index"].get(id.to_string()).cloned()
    }

    /// The crate with all of its public items.
    fn complete() -> Self {
        let mut documented = Self::documented();
        let root = documented.doc["root"].clone();
        let items = documented.item(&root).unwrap()["inner"]["module"]["items"].clone();
        documented.add_all("brkalloc", &items);
        documented
    }

    /// Adds an item and what is in it.
    fn add(&mut self, path: &str, id: &Value) {
        let Some(item) = self.item(id) else { return };
        if let Some(import) = item["inner"].get("use") {
            let name = import["name"].as_str().unwrap();
            return self.add_as(path, name, &import["id"]);
        }
        let name = item["name"].as_str().unwrap_or_default().to_owned();
        self.add_as(path, &name, id);
    }

    fn add_as(&mut self, path: &str, name: &str, id: &Value) {
        let Some(item) = self.item(id) else { return };
        let Some(kind) = KINDS.into_iter().find(|kind| item["inner"].get(kind).is_some()) else {
            return;
        };
        let is_public = item["visibility"] == "public" || item["visibility"] == "default";
        if !is_public {
            return;
        }
        let path = format!("{path}::{name}");
        let signature = self.signature(&item, kind, name);
        self.lines.insert(format!("{path}: {signature}"));
        self.public.push(item.clone());
        let inner = &item["inner"][kind];
        for list in ["items", "variants"] {
            self.add_all(&path, &inner[list]);
        }
        self.add_all(&path, &inner["kind"]["plain"]["fields"]);
        for id in inner["impls"].as_array().into_iter().flatten() {
            self.add_impl(&path, id);
        }
    }

    fn add_all(&mut self, path: &str, ids: &Value) {
        for id in ids.as_array().into_iter().flatten() {
            self.add(path, id);
        }
    }

    /// Adds the methods of a type, or the trait that it implements.
    fn add_impl(&mut self, path: &str, id: &Value) {
        let Some(item) = self.item(id) else { return };
        let block = &item["inner"]["impl"];
        if block["is_synthetic"] == true || !block["blanket_impl"].is_null() {
            return;
        }
        match block["trait"]["path"].as_str() {
            None => self.add_all(path, &block["items"]),
            // The compiler's own mark.
            Some("StructuralPartialEq") => {}
            Some(name) => {
                let header = self.signature(&item, "impl", name);
                let is_derived = !header.contains("impl");
                let derived = if is_derived { "derived " } else { "" };
                self.lines.insert(format!("{path}: {derived}{header}"));
            }
        }
    }

    /// Returns the public methods of a type that run at run time: name, documentation, and result.
    fn methods(&self, of: &str) -> Vec<(String, String, String)> {
        let index = self.doc["index"].as_object().unwrap().values();
        let types = index.filter(|item| item["name"] == of && item["inner"]["struct"].is_object());
        let impls = types.flat_map(|item| item["inner"]["struct"]["impls"].as_array().unwrap());
        let blocks = impls.filter_map(|id| self.item(id)).map(|item| item["inner"]["impl"].clone());
        let inherent = blocks.filter(|block| block["trait"].is_null());
        let ids = inherent.flat_map(|block| block["items"].as_array().unwrap().clone());
        let public = ids.filter_map(|id| self.item(&id)).filter(|item| {
            item["visibility"] == "public"
                && item["inner"]["function"]["header"]["is_const"] == false
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = public.map(|item| {
            let output = &item["inner"]["function"]["sig"]["output"]["resolved_path"]["path"];
            (format!("{of}::{}", text(&item["name"])), text(&item["docs"]), text(output))
        });
        all.collect()
    }

    /// Returns the source of an item up to its body, on one line; its kind and name if that is
    /// written by a macro.
    fn signature(&self, item: &Value, kind: &str, name: &str) -> String {
        let text = self.source(&item["span"]).unwrap_or_default();
        let ends: &[char] = match kind {
            "struct" => &['{', ';', '('],
            "constant" | "assoc_const" | "static" | "variant" => &['{', ';', '=', ','],
            "type_alias" => &[';'],
            "struct_field" => &[],
            _ => &['{', ';'],
        };
        let end = text.find(ends).unwrap_or(text.len());
        let words: Vec<_> = text[..end].split_whitespace().collect();
        let line = words.join(" ").replace("( ", "(").replace(", )", ")").replace(",)", ")");
        let is_written = name.is_empty() || line.contains(name.rsplit("::").next().unwrap());
        if is_written && !line.starts_with('#') && !line.contains("$") {
            line
        } else {
            format!("{kind} {name}")
        }
    }

    /// Returns the text of a span.
    fn source(&self, span: &Value) -> Option<String> {
        let file = fs::read_to_string(self.root.join(span["filename"].as_str()?)).ok()?;
        let place = |end: &str| {
            let number = |index: usize| Some(span[end][index].as_u64()? as usize);
            Some((number(0)?, number(1)?))
        };
        let ((first, from), (last, to)) = (place("begin")?, place("end")?);
        let lines = file.lines().enumerate().map(|(index, line)| (index + 1, line));
        let inside = lines.filter(|(number, _)| (first..=last).contains(number));
        let cut = inside.map(|(number, line)| {
            let end = if number == last { (to - 1).min(line.len()) } else { line.len() };
            let start = if number == first { (from - 1).min(end) } else { 0 };
            &line[start..end]
        });
        Some(cut.collect::<Vec<_>>().join("\n"))
    }
}

#[test]
fn the_public_items_are_those_of_the_list() {
    let documented = Crate::complete();
    assert!(documented.lines.len() > 200, "{:#?}", documented.lines);

    let list = documented.root.join("docs/api.txt");
    if env::var_os("BLESS").is_some_and(|value| !value.is_empty()) {
        let text: String = documented.lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&list, text).unwrap();
    }
    let listed = fs::read_to_string(&list).unwrap_or_default();
    let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    let added: Vec<_> = documented.lines.difference(&listed).collect();
    let removed: Vec<_> = listed.difference(&documented.lines).collect();
    assert!(
        added.is_empty() && removed.is_empty(),
        "docs/api.txt lacks {added:#?} and has {removed:#?}; if that is meant: \
         BLESS=1 cargo test -p harness --test api"
    );
}

#[test]
fn methods_of_heaps_state_purpose_time_and_errors() {
    let documented = Crate::documented();
    let methods: Vec<_> = HEAPS.iter().flat_map(|heap| documented.methods(heap)).collect();
    assert!(methods.len() > 80, "{methods:#?}");
    let lacks = |(name, docs, output): &(String, String, String)| {
        let words = docs.split_whitespace().collect::<Vec<_>>().join(" ");
        let states_time = ["# Time", "O(", "he time of"].iter().any(|word| words.contains(word));
        let states_errors = match output.as_str() {
            "Option" => docs.contains("# Errors") || docs.contains("`None`"),
            "Result" => docs.contains("# Errors"),
            _ => true,
        };
        let lacks = [
            (!docs.starts_with("See "), "a purpose of its own"),
            (states_time, "its time"),
            (states_errors, "its errors"),
        ];
        let lacks = lacks.iter().filter(|(is_there, _)| !is_there).map(|(_, what)| *what);
        let lacks: Vec<_> = lacks.collect();
        (!lacks.is_empty()).then(|| format!("{name} lacks {}", lacks.join(", ")))
    };
    let lacking: Vec<_> = methods.iter().filter_map(lacks).collect();
    assert!(lacking.is_empty(), "{lacking:#?}");
    for name in PROVIDERS {
        let index = documented.doc["index"].as_object().unwrap().values();
        let is_it = |item: &&Value| item["name"] == name && item["inner"]["trait"].is_object();
        let docs = index.filter(is_it).map(|item| item["docs"].as_str().unwrap_or_default());
        let states_time: Vec<_> = docs.map(|docs| docs.contains("# Time")).collect();
        assert_eq!(states_time, [true], "the time of {name}");
    }
}

#[test]
fn documentation_links_lead_to_public_items() {
    let documented = Crate::complete();
    let index = documented.doc["index"].as_object().unwrap();
    let is_known = |id: &Value| {
        let id = id.to_string();
        index.contains_key(&id) || documented.doc["paths"].get(&id).is_some()
    };
    let (mut links, mut hidden) = (0, Vec::new());
    for item in &documented.public {
        for (name, id) in item["links"].as_object().into_iter().flatten() {
            links += 1;
            if !is_known(id) {
                hidden.push(format!("{}: {name}", item["name"]));
            }
        }
    }
    assert!(hidden.is_empty(), "links to items that are hidden: {hidden:#?}");
    assert!(links > 200, "{links} links");
}
