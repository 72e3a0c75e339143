//! How a task ended, from what the worker said, what was done to it, and how its process went.
//!
//! Deliberately absent: trust. A report is taken only where nothing contradicts it; digest and sizes are computed
//! here from the bytes that arrived, CPU time is the kernel's.

use std::time::Duration;

use surge_platform::process::Exit;
use surge_protocol::frame::{NO_LOCKDOWN_STATUS, Report};
use surge_protocol::outcome::result_digest;
use surge_protocol::task::{Limits, Meter};
use surge_protocol::{Code, Outcome};

use crate::Finished;
use crate::protocol::{Broken, Heard};

/// The code of a worker that is not the program that was there when the supervisor started: Surge was updated, and the
/// engine must be restarted.
const WORKER_CHANGED: &str = "worker_changed";

/// Why the supervisor killed a worker. The first reason counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody asked for it.
    Asked,
    /// The supervisor stops.
    Stop,
    /// The task used up its CPU time.
    Cpu,
    /// The time for which it was not suspended reached its limit.
    Wall(Duration),
    /// It neither computed nor waited for the processor.
    Stalled,
    /// It had reported, closed its pipe or broken the rules, and did not end by itself.
    Done,
}

/// All that is known of a worker that is gone.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) heard: Heard,
    /// Why it was not listened to any more.
    pub(crate) broken: Option<Broken>,
    pub(crate) cause: Option<Cause>,
    pub(crate) exit: Exit,
    /// What it wrote to its own standard error: the words of a panic.
    pub(crate) last_words: String,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// It was given a checkpoint to go on from.
    pub(crate) resumed: bool,
}

/// The ending that the evidence supports.
pub(crate) fn judge(evidence: Evidence, limits: &Limits, meter: Meter) -> Finished {
    let broken = evidence.broken.clone().or_else(|| contradiction(&evidence, limits, meter).map(Broken::Rule));
    let (outcome, code, detail) = match (broken, &evidence.heard.report) {
        (Some(broken @ Broken::Lockdown), _) => host("lockdown", broken.to_string()),
        (Some(broken @ Broken::Updated(_)), _) => host(WORKER_CHANGED, plain(&broken.to_string(), 1_000)),
        (Some(Broken::Rule(lie)), _) => host("protocol", format!("the worker can't be believed: {lie}")),
        (None, Some(_)) if ended_otherwise(&evidence) => unexplained(&evidence),
        (None, Some(report)) => (report.outcome, report.code.clone().into(), plain(&report.detail, 4_000)),
        (None, None) => unreported(&evidence, limits),
    };
    let host_failed = outcome == Outcome::Host;
    // Where this machine failed, the output is no result.
    let output = if host_failed { Vec::new() } else { evidence.heard.output };
    let report = evidence.heard.report.filter(|_| !host_failed);
    Finished {
        digest: result_digest(outcome, &code, &output),
        outcome,
        code,
        detail,
        output_bytes: output.len() as u64,
        output,
        log: evidence.heard.log,
        cpu_ms: millis(evidence.cpu),
        wall_ms: millis(evidence.wall),
        fuel: report.as_ref().map_or(0, |report| report.fuel),
        peak_memory_bytes: report.as_ref().map_or(0, |report| report.peak_memory_bytes),
        resumed: evidence.resumed,
        runtime_class: evidence
            .heard
            .ready
            .filter(|_| !host_failed)
            .map_or_else(String::new, |ready| ready.runtime_class),
        started_after: evidence.heard.started_after.unwrap_or_default(),
    }
}

/// What in the report can't be true.
fn contradiction(evidence: &Evidence, limits: &Limits, meter: Meter) -> Option<String> {
    let report = evidence.heard.report.as_ref()?;
    let budget = match meter {
        Meter::None => 0,
        Meter::Fuel { budget } => budget,
    };
    let received = evidence.heard.output.len() as u64;
    if !possible(report) {
        return Some(format!("it reports {} with a code that does not exist", report.outcome.name()));
    }
    if report.output_bytes != received {
        return Some(format!("it reports {} bytes of output and sent {received}", report.output_bytes));
    }
    if report.fuel > budget {
        return Some(format!("it reports {} fuel of a budget of {budget}", report.fuel));
    }
    if report.peak_memory_bytes > limits.memory_bytes {
        return Some("it reports more memory than the task may have".into());
    }
    let ran = matches!(report.outcome, Outcome::Done | Outcome::Exit | Outcome::Trap);
    if ran && evidence.heard.started_after.is_none() {
        return Some("it reports the end of a program that never started".into());
    }
    None
}

/// Whether a worker may report this outcome with this code. Only the supervisor measures time.
fn possible(report: &Report) -> bool {
    let code = Code::from(report.code.clone());
    let measured =
        matches!((report.outcome, &code), (Outcome::Limit, Code::Word(word)) if word == "cpu" || word == "wall");
    report.outcome.can_have(&code) && !measured
}

pub(crate) fn class_is_plain(class: &str) -> bool {
    (1..=100).contains(&class.len()) && class.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether the process did not end as one that has reported, and was not killed by this supervisor.
fn ended_otherwise(evidence: &Evidence) -> bool {
    evidence.cause.is_none() && evidence.exit != Exit::Status(0)
}

fn unreported(evidence: &Evidence, limits: &Limits) -> (Outcome, Code, String) {
    match (evidence.cause, evidence.exit) {
        (Some(Cause::Asked), _) => host("killed", "it was stopped on request".into()),
        (Some(Cause::Stop), _) => host("killed", "the engine stopped before the task ended".into()),
        (Some(Cause::Stalled), _) => host("stalled", "the worker stopped computing without a word".into()),
        (Some(Cause::Cpu), _) => {
            let used = format!(
                "the task used {} s of CPU time; its limit is {} s",
                seconds(evidence.cpu),
                limits.cpu_ms as f64 / 1e3
            );
            (Outcome::Limit, Code::word("cpu"), used)
        }
        (Some(Cause::Wall(free)), _) => {
            let (free, got) = (seconds(free), seconds(evidence.cpu));
            let waited = format!("the task was free to run for {free} s, its limit, and got {got} s of a processor");
            (Outcome::Limit, Code::word("wall"), waited)
        }
        (Some(Cause::Done), Exit::Signal(9)) => {
            host("protocol", "the worker can't be believed: it fell silent and went on".into())
        }
        (None | Some(Cause::Done), Exit::Status(status))
            if status == i32::from(NO_LOCKDOWN_STATUS) && evidence.heard.ready.is_none() =>
        {
            host("lockdown", plain(&evidence.last_words, 1_000))
        }
        // On a busy machine a process at idle priority may take long to end: that it was killed meanwhile changes nothing.
        (None | Some(Cause::Done), _) => unexplained(evidence),
    }
}

/// A worker that ended by itself or by another's hand. Before its report or after: what it computed is not to be trusted.
fn unexplained(evidence: &Evidence) -> (Outcome, Code, String) {
    match (evidence.cause, evidence.exit) {
        // Without a cause, the signal did not come from this supervisor.
        (None, Exit::Signal(9)) => host("killed", format!("{}: often for want of memory", fate(evidence))),
        _ => host("crashed", fate(evidence)),
    }
}

fn fate(evidence: &Evidence) -> String {
    let how = match evidence.exit {
        Exit::Status(status) => format!("the worker left with status {status} and no report"),
        Exit::Signal(signal) => format!("the worker was ended by signal {signal}"),
    };
    match plain(&evidence.last_words, 1_000) {
        words if words.is_empty() => how,
        words => format!("{how}, saying: {words}"),
    }
}

fn host(code: &str, detail: String) -> (Outcome, Code, String) {
    (Outcome::Host, Code::word(code), detail)
}

/// `text` on one line without control characters, cut to about `most` bytes.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut length = 0;
    clean
        .take_while(|c| {
            length += c.len_utf8();
            length <= most
        })
        .collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use surge_protocol::frame::ReportCode;

    use super::*;

    /// A worker that reported the end of its program and left as it should.
    fn well() -> Evidence {
        let report = Report {
            outcome: Outcome::Done,
            code: ReportCode::Status(0),
            detail: String::new(),
            fuel: 0,
            peak_memory_bytes: 0,
            output_bytes: 0,
        };
        let mut evidence = Evidence {
            heard: Heard::default(),
            broken: None,
            cause: None,
            exit: Exit::Status(0),
            last_words: String::new(),
            cpu: Duration::from_millis(1_200),
            wall: Duration::from_secs(9),
            resumed: false,
        };
        evidence.heard.started_after = Some(Duration::ZERO);
        evidence.heard.report = Some(report);
        evidence
    }

    fn ending(evidence: Evidence) -> (Outcome, String) {
        let finished = judge(evidence, &Limits::default(), Meter::None);
        (finished.outcome, finished.code.to_string())
    }

    #[test]
    fn a_crash_after_the_report_spoils_it() {
        assert_eq!(ending(well()), (Outcome::Done, "0".into()));
        for (exit, code) in [(Exit::Signal(11), "crashed"), (Exit::Signal(9), "killed"), (Exit::Status(101), "crashed")]
        {
            assert_eq!(ending(Evidence { exit, ..well() }), (Outcome::Host, code.into()), "as without a report");
        }
        // Killed by the supervisor, because it did not end by itself.
        let stayed = Evidence { exit: Exit::Signal(9), cause: Some(Cause::Done), ..well() };
        assert_eq!(ending(stayed), (Outcome::Done, "0".into()));
    }

    #[test]
    fn time_to_run_that_is_used_up_says_what_came_of_it() {
        let cause = Some(Cause::Wall(Duration::from_secs(3_600)));
        let starved = Evidence { heard: Heard::default(), cause, exit: Exit::Signal(9), ..well() };
        let finished = judge(starved, &Limits::default(), Meter::None);
        assert_eq!((finished.outcome, finished.code), (Outcome::Limit, Code::word("wall")));
        assert!(finished.detail.contains("3600.0 s") && finished.detail.contains("got 1.2 s"), "{}", finished.detail);
    }
}
