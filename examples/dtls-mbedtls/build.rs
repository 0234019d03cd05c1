//! Compiles Mbed TLS, from the sources that a crate of the registry carries, and the few functions of `c/peer.c` on top of it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate with the sources, as Cargo.toml and Cargo.lock pin it.
const CARRIER: &str = "mbedtls-rs-sys-";

fn main() -> Result<(), Box<dyn Error>> {
    let sources = sources()?;
    let library = sources.join("library");
    let mut build = cc::Build::new();
    for entry in library.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            build.file(path);
        }
    }
    build
        .file("c/peer.c")
        .define("MBEDTLS_CONFIG_FILE", "\"config.h\"")
        .includes([
            Path::new("c"),
            sources.join("include").as_path(),
            library.as_path(),
        ])
        .opt_level(2)
        .warnings(false)
        .try_compile("mbedtls_peer")?;
    for input in ["build.rs", "Cargo.lock", "c"] {
        println!("cargo::rerun-if-changed={input}");
    }
    Ok(())
}

/// Where the sources are: Cargo has downloaded and verified them, or does so now.
fn sources() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").ok_or("cargo runs this")?;
    let manifest =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo runs this")?).join("Cargo.toml");
    let done = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    let metadata = String::from_utf8(done.stdout)?;
    let carrier = metadata
        .split('"')
        .map(Path::new)
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter_map(Path::parent)
        .find(|folder| {
            let name = folder.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(CARRIER))
        })
        .ok_or("the crate with the sources of Mbed TLS is not among the dependencies")?;
    Ok(carrier.join("mbedtls"))
}
