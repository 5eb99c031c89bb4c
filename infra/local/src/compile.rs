//! One release build of every function, by `cargo lambda`, into `target/lambda/<function>/bootstrap`.
//!
//! - `--compiler cargo`: the host's own linker, because the emulator runs the binaries on this very machine; a build for AWS
//!   takes the default (zig), which links against glibc 2.34 however new the host's is. Both write to the same place.
//! - `--disable-optimizations`: cargo-lambda would otherwise add thin LTO, one codegen unit and panic=abort to our release
//!   profile: minutes of build for 2 % of size, and a panic in a handler would end the process instead of answering 500.
//! - Only the packages under `functions/` that have binaries: this program and the simulators are no functions.
//!
//! Whether anything has to be built is for cargo to say; where nothing changed this takes a second.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{console::Console, failure::Failure, layout::Layout, process::Tool, tools::Tools};

pub(crate) async fn build(console: &Console, layout: &Layout, tools: &Tools) -> Result<(), Failure> {
    let mut step = console.step("build");
    let packages = packages(&layout.root().join("functions"))?;
    let mut cargo = Tool::new("cargo", layout.root());
    cargo.arguments(["lambda", "build", "--release", "--locked", "--disable-optimizations", "--compiler", "cargo"]);
    cargo.argument("--lambda-dir").argument(layout.lambda());
    for package in &packages {
        cargo.arguments(["--package", package]);
    }
    cargo.environment("PATH", &tools.path);
    if !packages.is_empty() {
        cargo.run(layout, &tools.python, "build", &mut step, "The functions do not build.").await?;
    }
    let template = fs::read_to_string(layout.template())
        .map_err(|error| Failure::new(format!("template.yaml cannot be read: {error}.")))?;
    let functions = functions(&template);
    let missing: Vec<_> = functions
        .iter()
        .filter(|function| !layout.lambda().join(function).join("bootstrap").is_file())
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!(
            "The template names functions that no package under functions/ builds: {}.",
            missing.join(", ")
        )));
    }
    step.done(&format!("{} functions", functions.len()));
    Ok(())
}

/// Names of the packages that have binaries.
fn packages(directory: &Path) -> Result<Vec<String>, Failure> {
    let entries =
        fs::read_dir(directory).map_err(|error| Failure::new(format!("functions/ cannot be read: {error}.")))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("src/bin").is_dir())
        .filter_map(|entry| {
            let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).ok()?;
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = \""))?;
            Some(name.trim_end_matches('"').to_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}

/// The functions that a template takes binaries of.
fn functions(template: &str) -> BTreeSet<String> {
    template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("CodeUri: target/lambda/"))
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_names_functions_of_this_repository() {
        let layout = Layout::new().unwrap();
        let functions = functions(&fs::read_to_string(layout.template()).unwrap());
        assert!(functions.contains("place-call"));
        assert!(functions.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }
}
