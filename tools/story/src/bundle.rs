//! Joins modules of JavaScript to one script: a page on a disk cannot import others.
//!
//! The modules keep to a form that needs no parser: `import { a, b } from './x.js';` at the
//! beginning, `export` in front of a declaration at the beginning of a line, no default exports and
//! no renaming. So joining is to leave both words out; what remains to be checked is that no two
//! modules declare one name, and that each import comes from a module before.

use std::collections::HashMap;

use crate::Error;

/// A module: its name, and its text.
pub type Module<'a> = (&'a str, &'a str);

/// Joins modules, each of which imports only from those before it.
///
/// # Errors
///
/// They are not in that form.
pub fn join(modules: &[Module<'_>]) -> Result<String, Error> {
    let mut script = String::from("'use strict';\n");
    let mut exported: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut declared: HashMap<&str, &str> = HashMap::new();
    for &(name, text) in modules {
        let failed = |what: String| Err(Error::Bundle(format!("{name}: {what}")));
        let (imports, body) = split(text);
        for import in imports {
            let Some((names, from)) = parse_import(&import) else {
                return failed(format!("not an import of names: {import}"));
            };
            let Some(there) = exported.get(from.as_str()) else {
                return failed(format!("{from} does not come before"));
            };
            if let Some(missing) = names.iter().find(|name| !there.contains(&name.as_str())) {
                return failed(format!("{from} exports no {missing}"));
            }
        }
        let mut exports = Vec::new();
        script.push_str(&format!("\n// ---- {name}\n"));
        for line in body.lines() {
            let own = line.strip_prefix("export ").unwrap_or(line);
            if let Some(name_of_it) = declaration(own) {
                if let Some(other) = declared.insert(name_of_it, name) {
                    return failed(format!("{name_of_it} is declared in {other} as well"));
                }
                if own.len() < line.len() {
                    exports.push(name_of_it);
                }
            } else if own.len() < line.len() {
                return failed(format!("not an export of a declaration: {line}"));
            }
            script.push_str(own);
            script.push('\n');
        }
        exported.insert(name, exports);
    }
    Ok(script)
}

/// The imports at the beginning of a module, each as one line, and the rest.
fn split(text: &str) -> (Vec<String>, &str) {
    let mut imports = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(['\n', ' ']);
        if trimmed.starts_with("//") {
            rest = trimmed.split_once('\n').map_or("", |(_, rest)| rest);
        } else if trimmed.starts_with("import ")
            && let Some((import, after)) = trimmed.split_once(';')
        {
            imports.push(import.split_whitespace().collect::<Vec<_>>().join(" "));
            rest = after;
        } else {
            return (imports, trimmed);
        }
    }
}

fn parse_import(import: &str) -> Option<(Vec<String>, String)> {
    let (names, from) = import.strip_prefix("import {")?.split_once("} from '")?;
    let from = from.strip_suffix('\'')?.rsplit('/').next()?;
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    names.iter().all(|name| !name.contains(' ')).then(|| (names, from.to_owned()))
}

/// The name that a line at the beginning of a statement declares.
fn declaration(line: &str) -> Option<&str> {
    let rest = ["function ", "class ", "const ", "let "]
        .iter()
        .find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Module<'_> =
        ("a.js", "// About.\nexport const A = 1;\nfunction own() {\n  const A = 2;\n}\n");

    #[test]
    fn modules_become_one_script() {
        let b =
            ("b.js", "import {\n  A,\n} from './a.js';\n\nexport function b() {\n  return A;\n}\n");
        let script = join(&[A, b]).unwrap();
        assert!(script.contains("const A = 1;\nfunction own"));
        assert!(script.contains("function b() {\n  return A;\n}\n"));
        assert!(!script.contains("import") && !script.contains("export"));
    }

    #[test]
    fn what_would_not_run_is_refused() {
        for (text, reason) in [
            ("import { B } from './a.js';\n", "exports no B"),
            ("import { A } from './c.js';\n", "does not come before"),
            ("import A from './a.js';\n", "not an import"),
            ("import { A as B } from './a.js';\n", "not an import"),
            ("const own = 1;\n", "declared in a.js as well"),
            ("export default 1;\n", "not an export"),
        ] {
            let error = join(&[A, ("b.js", text)]).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
