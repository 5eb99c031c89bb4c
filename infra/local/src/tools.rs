//! Python and the tools that come as Python packages: the emulator, the SAM CLI, cargo-lambda.
//!
//! They live in a virtual environment under `target/local/venv`, which is filled again whenever `requirements.txt` or the
//! Python changes and left alone otherwise. Nothing is installed anywhere else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    console::Console,
    failure::Failure,
    layout::{Layout, make_directory},
    process::Tool,
};

/// Oldest Python that the packages run on.
const OLDEST: (u32, u32) = (3, 10);

#[derive(Debug)]
pub(crate) struct Tools {
    /// The environment's interpreter.
    pub(crate) python: PathBuf,
    /// PATH with the environment's programs first.
    pub(crate) path: OsString,
}

impl Tools {
    pub(crate) fn program(layout: &Layout, name: &str) -> PathBuf {
        layout.environment().join("bin").join(name)
    }
}

pub(crate) async fn prepare(console: &Console, layout: &Layout) -> Result<Tools, Failure> {
    let mut step = console.step("tools");
    let (system_python, version) = find_python()?;
    let environment = layout.environment();
    let python = Tools::program(layout, "python");
    let requirements = layout.infra("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}.", requirements.display())))?;
    let wanted = format!("# Python {version}\n{wanted}");
    let marker = environment.join("installed.txt");
    let installed = fs::read_to_string(&marker).is_ok_and(|text| text == wanted) && python.exists();
    if !installed {
        step.progress("a new environment for the tools");
        if environment.exists() {
            fs::remove_dir_all(&environment)
                .map_err(|error| Failure::new(format!("{} cannot be removed: {error}.", environment.display())))?;
        }
        make_directory(&layout.local())?;
        let mut venv = Tool::new(&system_python, layout.root());
        venv.arguments(["-m", "venv"]).argument(&environment);
        venv.run(
            layout,
            &system_python,
            "venv",
            &mut step,
            "Python made no virtual environment; on Debian and Ubuntu the package python3-venv is missing.",
        )
        .await?;
        let mut pip = Tool::new(&python, layout.root());
        pip.arguments(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement"]);
        pip.argument(&requirements);
        pip.run(layout, &system_python, "pip", &mut step, "The tools could not be installed from PyPI.").await?;
        fs::write(&marker, &wanted)
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}.", marker.display())))?;
    }
    let mut path = OsString::from(environment.join("bin"));
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    step.done(&format!("Python {version}, {}", if installed { "as installed" } else { "installed" }));
    Ok(Tools { python, path })
}

/// The first Python on PATH that is new enough.
fn find_python() -> Result<(PathBuf, String), Failure> {
    let names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
    let mut seen = None;
    for name in names {
        let Some((path, version)) = ask_version(Path::new(name)) else { continue };
        if version >= OLDEST {
            return Ok((path, format!("{}.{}", version.0, version.1)));
        }
        seen = Some(version);
    }
    let (major, minor) = OLDEST;
    Err(Failure::new(match seen {
        Some((a, b)) => format!("Ivy's local stack needs Python {major}.{minor} or newer, and only {a}.{b} was found."),
        None => format!("Ivy's local stack needs Python {major}.{minor} or newer, and none was found on the PATH."),
    }))
}

fn ask_version(name: &Path) -> Option<(PathBuf, (u32, u32))> {
    let output = Command::new(name)
        .args(["-c", "import sys; print(*sys.version_info[:2], sys.executable)"])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.trim().splitn(3, ' ');
    let version = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((PathBuf::from(words.next()?), version))
}
