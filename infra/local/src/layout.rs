//! Where things lie: the repository, and what we write, all of it under `target/local/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// # Errors
    /// When `target/local` cannot be made.
    pub(crate) fn new() -> Result<Self, Failure> {
        // infra/local is two levels below the repository's root.
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.ancestors().nth(2).unwrap_or(package).to_path_buf();
        let layout = Self { root };
        make_directory(&layout.logs())?;
        Ok(layout)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// A file beside our own sources.
    pub(crate) fn infra(&self, name: &str) -> PathBuf {
        self.root.join("infra/local").join(name)
    }

    pub(crate) fn local(&self) -> PathBuf {
        self.root.join("target/local")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.local().join("logs")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    pub(crate) fn environment(&self) -> PathBuf {
        self.local().join("venv")
    }

    /// Where the binaries lie that the template names.
    pub(crate) fn lambda(&self) -> PathBuf {
        self.root.join("target/lambda")
    }

    /// The names of the tests that need the deployed stack.
    pub(crate) fn tests_on_the_stack(&self) -> Result<Vec<String>, Failure> {
        let directory = self.root.join("tests/stack/tests");
        let entries = fs::read_dir(&directory)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}.", directory.display())))?;
        let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".rs")?.to_owned());
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
        names.sort();
        Ok(names)
    }

    /// An empty directory of that name, for the emulator's files.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf, Failure> {
        let directory = self.local().join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .map_err(|error| Failure::new(format!("{} cannot be emptied: {error}.", directory.display())))?;
        }
        make_directory(&directory)?;
        Ok(directory)
    }
}

pub(crate) fn make_directory(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory)
        .map_err(|error| Failure::new(format!("{} cannot be made: {error}.", directory.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]
mod tests {
    use super::*;

    /// `cargo test` would run one that does not say so, and `cargo stack` another package's of the same name.
    #[test]
    fn the_tests_on_the_stack_are_run_by_cargo_stack_alone() {
        let layout = Layout::new().unwrap();
        let manifest = fs::read_to_string(layout.root().join("tests/stack/Cargo.toml")).unwrap();
        let names = layout.tests_on_the_stack().unwrap();
        assert!(!names.is_empty());
        for name in names {
            assert!(manifest.contains(&format!("[[test]]\nname = \"{name}\"\ntest = false\n")), "{name}");
            for other in ["tests/world", "tests/simulators", "infra/provision", "shared/domain", "shared/providers"] {
                let tests = layout.root().join(other).join("tests");
                assert!(!tests.join(&name).exists() && !tests.join(format!("{name}.rs")).exists(), "{name} in {other}");
            }
        }
    }
}
