//! Finds the test cases: a new case is one function in one file, a new suite is one file.
//!
//! ```text
//!   tests/fit.rs      #[case] fn …  ──►  common::platform::case!  ─┬─ on the host:   #[test]
//!   tests/qemu/boot.rs                                            └─ in the kernel: an entry of a section
//!   the folders       build.rs      ──►  suites!, kernel_suites!  ──► mod fit; mod …
//! ```
//!
//! | written | means |
//! |---|---|
//! | `#[case] fn a()` | a case, on the host and in the kernel |
//! | `#[case(host_only = "reason")] fn a()` | a case on the host alone |
//! | `#[case(Usual, Checked<Small>)] fn a<P: Profile>()` | a case of each profile: `a::usual`, `a::checked_small` |
//! | `host_only!("reason");` in a file | all its cases are on the host alone |
//!
//! The features of this package choose among suites and profiles.
//!
//! What a case becomes is said by `crate::common::platform::case!`, which the host and the kernel
//! define each for itself. The profiles are types of `brkalloc`. A `#[cfg]` stands
//! above `#[case]`.

use proc_macro::{Delimiter, Ident, TokenStream, TokenTree};

include!(concat!(env!("OUT_DIR"), "/suites.rs"));

/// Suites of arenas, which threads share.
const ARENAS: [&str; 1] = ["arenas"];

/// Suites that labs of the simple heap are graded with.
const SIMPLE: [&str; 4] = ["labs", "properties", "seeds", "simple"];

/// Suites that touch memory most: random programs, the fuzzer's seeds, and blocks of each kind.
const MEMORY: [&str; 8] =
    ["arenas", "by_address", "mapping", "properties", "resize", "seeds", "segments", "zeroed"];

/// Makes a function a case; see the top of this file.
#[proc_macro_attribute]
pub fn case(arguments: TokenStream, function: TokenStream) -> TokenStream {
    match Arguments::parse(arguments).and_then(|arguments| expand(&arguments, function)) {
        Ok(tokens) => tokens,
        Err(message) => source(&format!("::core::compile_error!({message:?});")),
    }
}

/// The suites of `tests/`, as modules. In the kernel, with `kernel`: those that are for it, and
/// `HOST_ONLY`, the others with their reasons.
#[proc_macro]
pub fn suites(arguments: TokenStream) -> TokenStream {
    let for_kernel = match arguments.to_string().as_str() {
        "" => false,
        "kernel" => true,
        _ => return source("::core::compile_error!(\"expected `kernel` or nothing\");"),
    };
    let is_for_here = |&(name, host_only): &&(&str, Option<&str>)| {
        (!for_kernel || host_only.is_none()) && is_chosen(name)
    };
    let chosen = SUITES.iter().filter(is_for_here);
    // The kernel's list stands in `tests/qemu/host.rs`.
    let path =
        |name| if for_kernel { format!("#[path = \"../{name}.rs\"] ") } else { String::new() };
    let mut code: String =
        chosen.map(|(name, _)| format!("{}pub mod {name};\n", path(name))).collect();
    if for_kernel {
        let excused = SUITES.iter().filter_map(|(name, reason)| Some((name, (*reason)?)));
        let pairs: String =
            excused.map(|(name, reason)| format!("({name:?}, {reason:?}),")).collect();
        code += &format!("pub const HOST_ONLY: &[(&str, &str)] = &[{pairs}];");
    }
    source(&code)
}

/// Whether this build compiles a suite.
fn is_chosen(suite: &str) -> bool {
    if cfg!(feature = "simple") {
        SIMPLE.contains(&suite)
    } else if cfg!(feature = "arenas") {
        ARENAS.contains(&suite)
    } else if cfg!(feature = "memory") {
        MEMORY.contains(&suite)
    } else {
        true
    }
}

/// The suites of `tests/qemu/`, as modules.
#[proc_macro]
pub fn kernel_suites(_: TokenStream) -> TokenStream {
    source(&KERNEL_SUITES.iter().map(|name| format!("mod {name};\n")).collect::<String>())
}

/// What stands in parentheses behind `case`.
struct Arguments {
    /// The names in each: `Plain`; `Checked` and `Plain`.
    profiles: Vec<Vec<String>>,
    /// A string literal.
    host_only: Option<TokenTree>,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> Result<Self, String> {
        let mut arguments = Self { profiles: Vec::new(), host_only: None };
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ',' => {}
                TokenTree::Ident(name) if name.to_string() == "host_only" => {
                    let reason = tokens.nth(1);
                    match reason {
                        Some(TokenTree::Literal(_)) => arguments.host_only = reason,
                        _ => return Err("expected `host_only = \"reason\"`".into()),
                    }
                }
                TokenTree::Ident(name) => {
                    let mut profile = vec![name.to_string()];
                    let is_open = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '<');
                    if tokens.next_if(is_open).is_some() {
                        match (tokens.next(), tokens.next()) {
                            (Some(TokenTree::Ident(inner)), Some(TokenTree::Punct(close)))
                                if close.as_char() == '>' =>
                            {
                                profile.push(inner.to_string());
                            }
                            _ => return Err(format!("expected `{name}<Profile>`")),
                        }
                    }
                    arguments.profiles.push(profile);
                }
                other => return Err(format!("`{other}` is neither a profile nor `host_only`")),
            }
        }
        Ok(arguments)
    }
}

/// The case, or a case of each profile.
fn expand(arguments: &Arguments, function: TokenStream) -> Result<TokenStream, String> {
    let (name, returns) = signature(&function)?;
    if arguments.profiles.is_empty() {
        return Ok(one(function, &name.to_string(), returns, arguments.host_only.as_ref()));
    }
    let mut cases = TokenStream::new();
    for profile in chosen(&arguments.profiles) {
        let case = profile.iter().map(|name| snake(name)).collect::<Vec<_>>().join("_");
        let names: Vec<_> =
            profile.iter().map(|name| format!("::brkalloc::{}{name}", module_of(name))).collect();
        let profile = names.join("<") + &">".repeat(names.len() - 1);
        let arrow = if returns { "-> crate::common::platform::CaseResult" } else { "" };
        let call = format!("fn {case}() {arrow} {{ super::{name}::<{profile}>() }}");
        cases.extend(one(source(&call), &case, returns, arguments.host_only.as_ref()));
    }
    // A module and a function can have one name.
    Ok([function, source(&format!("mod {name}")), braces(cases)].into_iter().collect())
}

/// Returns the path of the module of a profile, in `brkalloc`.
fn module_of(profile: &str) -> &'static str {
    if profile == "Miniature" { "inner::" } else { "" }
}

/// Returns the profiles that this build compiles; see the features in `Cargo.toml`. No case is left
/// out of a build for its profiles.
fn chosen(profiles: &[Vec<String>]) -> impl Iterator<Item = &Vec<String>> {
    let first = profiles.first();
    let checked = profiles.iter().find(|profile| profile[0] == "Checked");
    profiles.iter().filter(move |profile| {
        if cfg!(feature = "one-profile") {
            Some(*profile) == first
        } else if cfg!(feature = "two-profiles") {
            Some(*profile) == first || Some(*profile) == checked
        } else {
            true
        }
    })
}

/// Hands a function to the platform.
fn one(
    function: TokenStream,
    name: &str,
    returns: bool,
    host_only: Option<&TokenTree>,
) -> TokenStream {
    let kind = if returns { "returns" } else { "asserts" };
    let mut call: TokenStream = braces(function);
    call.extend(source(&format!("{kind} {name}")));
    if let Some(reason) = host_only {
        call.extend(source("host_only"));
        call.extend([reason.clone()]);
    }
    [source("crate::common::platform::case!"), braces(call)].into_iter().collect()
}

/// The function's name, and whether it returns something.
fn signature(function: &TokenStream) -> Result<(Ident, bool), String> {
    let mut tokens = function.clone().into_iter();
    let is_fn =
        |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn");
    tokens.find(is_fn).ok_or("`case` is for functions")?;
    let Some(TokenTree::Ident(name)) = tokens.next() else {
        return Err("the function has no name".into());
    };
    let rest: Vec<TokenTree> = tokens.collect();
    let is = |token: &TokenTree, char| matches!(token, TokenTree::Punct(punct) if punct.as_char() == char);
    // Between `fn` and the body `->` is a return type; in bounds such as `F: Fn() -> T`, too, which
    // no case has.
    let returns = rest.windows(2).any(|pair| is(&pair[0], '-') && is(&pair[1], '>'));
    Ok((name, returns))
}

/// `AtLength` becomes `at_length`.
fn snake(name: &str) -> String {
    let mut result = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !result.is_empty() {
            result.push('_');
        }
        result.extend(char.to_lowercase());
    }
    result
}

fn braces(tokens: TokenStream) -> TokenStream {
    TokenTree::Group(proc_macro::Group::new(Delimiter::Brace, tokens)).into()
}

fn source(code: &str) -> TokenStream {
    code.parse().expect("it is Rust")
}
