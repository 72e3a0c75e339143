//! Workers that are none: shell scripts, with frames at hand that the protocol's own code wrote.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use surge_protocol::Digest;
use surge_protocol::frame::{self, FromWorker, Lockdown, Ready};

/// A folder of scripts and frames.
#[derive(Debug)]
pub(crate) struct Liar {
    folder: tempfile::TempDir,
}

impl Liar {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A worker that runs `script`.
    pub(crate) fn worker(&self, script: &str) -> PathBuf {
        let path = self.folder.path().join(Digest::of(script.as_bytes()).to_string());
        // Written by another process: a descriptor of ours would live on in every worker that another thread forks
        // meanwhile, and what is open for writing can't be executed.
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}").unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    /// A file of frames.
    pub(crate) fn frames(&self, frames: &[FromWorker]) -> String {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame::write(&mut bytes, frame).unwrap());
        self.bytes(&bytes)
    }

    /// A file of the frames by which every program begins, and these.
    pub(crate) fn started(&self, then: &[FromWorker]) -> String {
        let ready = Ready { runtime_class: "test/none/0".into(), lockdown: Lockdown::Full };
        self.frames(&[&[FromWorker::Ready(ready), FromWorker::Started], then].concat())
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let path = self.folder.path().join(Digest::of(bytes).to_string());
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}
