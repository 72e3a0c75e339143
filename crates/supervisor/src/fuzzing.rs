//! What fuzzers do with the foreign bytes that this crate reads. Each function panics where a promise is broken.
//!
//! Deliberately absent from what ships: it is compiled for tests and under the feature `fuzzing`, which only `fuzz/`
//! asks for, so that the parsers themselves can stay private.

use std::time::{Duration, Instant};

use surge_platform::process::Exit;
use surge_protocol::frame::{self, FrameError, FromWorker, MAX_COMPILED, Ready, ToWorker};
use surge_protocol::outcome::result_digest;
use surge_protocol::task::{Limits, Meter};
use surge_protocol::{Digest, Outcome};

use crate::checkpoint;
use crate::protocol::{self, Audience, Broken, Heard, Terms};
use crate::task::IMAGE_MARGIN;
use crate::verdict::{self, Cause, Evidence};

const LIMITS: Limits =
    Limits { memory_bytes: 1 << 20, cpu_ms: 1_000, output_bytes: 500, log_bytes: 300, files_bytes: 1_000 };
/// What the worker is said to have used.
const CPU: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(1);

/// A worker says these bytes. The first chooses what was agreed and whether the rest are frames already, or the
/// contents of frames, each after its length.
pub fn said(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let stream = if choice & 1 == 0 { rest.to_vec() } else { framed(rest) };
    survives_the_trip(&stream, |from| frame::read::<FromWorker>(from), frame::write);
    survives_the_trip(&stream, |from| frame::read::<ToWorker>(from), frame::write);
    let terms = Terms { code: choice & 2 != 0, checkpoint_every: (choice & 4 != 0).then_some(EVERY) };
    let meter = if choice & 8 == 0 { Meter::None } else { Meter::Fuel { budget: 1_000 } };
    let mut listener = Listener { terms, ready: 0, log: 0, reported: 0, synced: 0 };
    let mut heard = Heard::default();
    let listened = protocol::listen(&mut stream.as_slice(), &LIMITS, Instant::now(), &mut heard, &mut listener);

    assert!(heard.output.len() as u64 <= LIMITS.output_bytes, "more output than allowed");
    assert_eq!(heard.log.len() as u64, listener.log, "what is logged is heard once");
    assert!(listener.log <= LIMITS.log_bytes, "more log than allowed");
    assert_eq!(listener.ready, u32::from(heard.ready.is_some() || listened == Err(Broken::Lockdown)));
    assert_eq!(listener.reported, u32::from(heard.report.is_some()));
    assert!(terms.checkpoint_every.map_or(0, |every| CPU.as_secs() / every.as_secs()) >= listener.synced.into());

    let exit = [Exit::Status(0), Exit::Status(1), Exit::Signal(9), Exit::Signal(11)][usize::from(choice >> 4 & 3)];
    let cause = [None, Some(Cause::Asked), Some(Cause::Cpu), Some(Cause::Done)][usize::from(choice >> 6)];
    let (ready, broken) = (heard.ready.is_some(), listened.is_err());
    let evidence = Evidence {
        heard,
        broken: listened.err(),
        cause,
        exit,
        last_words: String::from_utf8_lossy(rest).into_owned(),
        cpu: CPU,
        wall: CPU,
        resumed: false,
    };
    let finished = verdict::judge(evidence, &LIMITS, meter);
    assert_eq!(finished.digest, result_digest(finished.outcome, &finished.code, &finished.output));
    assert!(finished.detail.len() <= 8_000 && !finished.detail.contains(char::is_control), "unfit to be shown");
    assert!(!broken || finished.outcome == Outcome::Host, "a worker that broke the rules is believed");
    assert!(finished.outcome == Outcome::Host || ready || cause == Some(Cause::Cpu), "a result from nobody");
    assert!(meter != Meter::None || finished.fuel == 0, "a bill that nobody ordered");
}

/// Frames of the parts of `bytes`, each of which follows its length.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [low, high, rest @ ..] = bytes {
        let (part, left) = rest.split_at(rest.len().min(u16::from_le_bytes([*low, *high]).into()));
        stream.extend_from_slice(&(part.len() as u32 + 1).to_le_bytes());
        stream.push(frame::VERSION);
        stream.extend_from_slice(part);
        bytes = left;
    }
    stream
}

/// What can be read can be written, and reads the same again.
fn survives_the_trip<T: PartialEq + std::fmt::Debug>(
    mut stream: &[u8],
    read: fn(&mut &[u8]) -> Result<T, FrameError>,
    write: fn(&mut Vec<u8>, &T) -> Result<(), FrameError>,
) {
    while let Ok(said) = read(&mut stream) {
        let mut again = Vec::new();
        write(&mut again, &said).expect("what fitted into a frame fits again");
        assert_eq!(read(&mut again.as_slice()).expect("it was just written"), said);
    }
}

/// Counts what cannot wait.
struct Listener {
    terms: Terms,
    ready: u32,
    log: u64,
    reported: u32,
    synced: u32,
}

impl Audience for Listener {
    fn ready(&mut self, ready: &Ready) -> Result<Terms, Broken> {
        self.ready += 1;
        if ready.lockdown < frame::Lockdown::Full { Err(Broken::Lockdown) } else { Ok(self.terms) }
    }

    fn compiled(&mut self, code: &[u8]) {
        assert!(self.terms.code && code.len() as u64 <= MAX_COMPILED, "code that nobody asked for");
    }

    fn log(&mut self, bytes: &[u8]) {
        self.log += bytes.len() as u64;
    }

    fn synced(&mut self, image: &[u8]) {
        assert!(image.len() as u64 <= LIMITS.files_bytes + IMAGE_MARGIN, "more state than allowed");
        self.synced += 1;
    }

    fn reported(&mut self) {
        self.reported += 1;
    }

    fn cpu_time(&self) -> Duration {
        CPU
    }
}

/// A file of these bytes lies where a checkpoint should. As the hash in it is no secret, the second half of the
/// choices has it right.
pub fn checkpoint(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let mut file = rest.to_vec();
    if choice & 1 == 1 {
        let hash = blake3::hash(&file);
        file.extend_from_slice(hash.as_bytes());
    }
    let task = Digest([choice >> 1; 32]);
    if let Ok((generation, image)) = checkpoint::unpack(file.clone(), &task) {
        assert_eq!(checkpoint::pack(&task, generation, &image).concat(), file, "one file, one meaning");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs what the fuzzers found worth keeping.
    fn corpus(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            println!("{}", file.display());
            run(&std::fs::read(file).unwrap());
        }
    }

    #[test]
    fn what_the_fuzzers_found_in_speech_is_heard() {
        corpus("frames", super::said);
    }

    #[test]
    fn what_the_fuzzers_found_in_checkpoints_is_read() {
        corpus("checkpoints", super::checkpoint);
    }
}
