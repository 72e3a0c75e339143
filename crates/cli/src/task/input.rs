//! From options and files to a task.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use surge_contributor::files::{FileProblem, read_bounded};
use surge_protocol::task::valid_data_name;
use surge_supervisor::Task;

use super::{RunArgs, limits, meter, usage};
use crate::failure::Failure;

/// Nothing larger is read into memory: the worker refuses far smaller inputs.
const LARGEST: u64 = 1 << 30;

/// Parses `NAME=FILE`.
pub(super) fn data(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) =
        text.split_once('=').ok_or("expected NAME=FILE, for example proteins.fasta=./swissprot.fasta")?;
    if !valid_data_name(name) {
        return Err(format!("{name:?} can't name a data set: use letters, digits, '.', '_' and '-', at most 100"));
    }
    if path.is_empty() {
        return Err(format!("no file given for {name}"));
    }
    Ok((name.to_owned(), path.into()))
}

/// Reads everything that the task needs.
pub(super) fn task(args: &RunArgs) -> Result<Task, Failure> {
    let module = read(&args.module, "module_unreadable", "the module")?;
    let stdin = match &args.stdin {
        None => Vec::new(),
        Some(path) if path.as_os_str() == "-" => read_own_stdin()?,
        Some(path) => read(path, "stdin_unreadable", "the standard input")?,
    };
    let mut data: Vec<(String, Arc<File>)> = Vec::new();
    for (name, path) in &args.data {
        if data.iter().any(|(other, _)| other == name) {
            return Err(usage("data_twice", format!("two data sets are named {name}: give each its own name")));
        }
        data.push((name.clone(), Arc::new(data_set(path)?)));
    }
    Ok(Task {
        args: args.args.clone(),
        module: module.into(),
        stdin: stdin.into(),
        data,
        limits: limits(args),
        meter: meter(args)?,
        seed: args.seed,
        checkpoints: None,
    })
}

fn read(path: &Path, code: &'static str, what: &str) -> Result<Vec<u8>, Failure> {
    read_bounded(path, LARGEST).map_err(|error| match error.problem {
        FileProblem::TooLarge { .. } => too_large(code, &format!("{what} {}", path.display())),
        _ => usage(code, format!("{what} {error}")),
    })
}

fn read_own_stdin() -> Result<Vec<u8>, Failure> {
    take(std::io::stdin().lock(), "stdin_unreadable", "this command's standard input")
}

fn take(from: impl Read, code: &'static str, shown: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| usage(code, format!("{shown} can't be read: {error}. Check the file and try again")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(code, shown));
    }
    Ok(bytes)
}

fn too_large(code: &'static str, shown: &str) -> Failure {
    usage(code, format!("{shown} is larger than 1 GiB: pass large input as --data"))
}

/// A worker reads a data set anywhere in it, and is told its size before.
fn data_set(path: &Path) -> Result<File, Failure> {
    const CODE: &str = "data_unreadable";
    // A pipe is opened at once, also where nobody writes to it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| {
        usage(CODE, format!("the data set {} can't be opened: {error}. Check the path", path.display()))
    })?;
    let shown = path.display();
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(usage(CODE, format!("the data set {shown} is not a regular file: save it as one"))),
        Err(error) => Err(usage(CODE, format!("the data set {shown} can't be read: {error}"))),
    }
}
