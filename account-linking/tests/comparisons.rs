//! No secret is compared by what stops at the first byte that differs (OAUTH-R028): the types have no such comparison, cannot be
//! keys of a map, and no source takes a secret out of its type to compare it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs
)]

use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use account_linking::server::device::UserCode;
use account_linking::{
    AccessToken, AuthorizationCode, ClientSecret, Password, PkceChallenge, PkceVerifier,
    RefreshToken, SecretBytes,
};

/// Implemented once for every type, and a second time for what can be a key: then nobody knows which `key` is meant.
trait NoKey<Which> {
    fn key() -> &'static str {
        "no key"
    }
}

struct Ordered;
struct Hashed;

impl<T: ?Sized> NoKey<()> for T {}
impl<T: ?Sized + PartialOrd> NoKey<Ordered> for T {}
impl<T: ?Sized + Hash> NoKey<Hashed> for T {}

macro_rules! no_key {
    ($($secret:ty),+) => {
        [$(<$secret as NoKey<_>>::key()),+]
    };
}

/// A map finds its key byte by byte. It does not compile for a type with an order or a hash.
#[test]
fn no_secret_can_be_the_key_of_a_map() {
    let told = no_key!(
        AccessToken,
        AuthorizationCode,
        ClientSecret,
        Password,
        PkceChallenge,
        PkceVerifier,
        RefreshToken,
        SecretBytes,
        UserCode
    );
    assert_eq!(told, ["no key"; 9]);
}

/// What is wrong in a source, by line.
fn faults(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .take_while(|line| line.trim() != "mod tests {")
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let mut found = Vec::new();
    let mut derived = "";
    for (index, line) in code.iter().enumerate() {
        let text = line.trim();
        if text.starts_with("#[derive(") {
            derived = text;
        }
        if text.contains("struct ") {
            let ends = |line: &&str| line.trim() == "}" || line.trim().ends_with(';');
            let length = code[index..].iter().position(ends).unwrap_or_default();
            let mut body = code[index..=index + length].iter();
            let holds = body.any(|line| line.contains("Zeroizing<"));
            let compares = ["PartialEq", "PartialOrd", "Hash"];
            if holds && compares.iter().any(|name| derived.contains(name)) {
                found.push(format!("{}: {text} derives a comparison", index + 1));
            }
            derived = "";
        }
        let compared = ["==", "!=", ".cmp(", ".eq(", "starts_with", "contains_key("]
            .iter()
            .any(|how| text.contains(how));
        if compared && text.contains("expose()") {
            found.push(format!("{}: {text}", index + 1));
        }
    }
    found
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all.push(path);
        }
    }
}

#[test]
fn no_source_compares_a_secret_byte_by_byte() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 50, "these are the sources");
    for path in all {
        let found = faults(&fs::read_to_string(&path).unwrap());
        assert_eq!(found, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for bad in [
        "#[derive(Clone, PartialEq)]\npub struct Token(Zeroizing<String>);\n",
        "#[derive(Clone, Hash)]\nstruct Token {\n    text: Zeroizing<String>,\n}\n",
        "    if held.expose() == shown {\n",
        "    if self.tokens.contains_key(shown.expose()) {\n",
    ] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
    for good in [
        "#[derive(Clone)]\npub struct Token(Zeroizing<String>);\n",
        "#[derive(PartialEq)]\nstruct Id(String);\nstruct Token(Zeroizing<String>);\n",
        "    if same(held.expose(), shown) {\n",
    ] {
        assert_eq!(faults(good), Vec::<String>::new(), "{good}");
    }
}
