//! The exit statuses: stable, documented in `--help` and docs/headless.md, and made so that a service manager knows
//! whether another try can help.

/// What a program that ran `surge` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Failed = 1,
    Usage = 2,
    NotSetUp = 10,
    BadFile = 11,
    EngineRuns = 12,
    BrokenInstallation = 13,
    NoEngine = 20,
    NoAnswer = 21,
    /// As after a panic of the main thread.
    Crashed = 101,
}

/// What `surge --help` says of them.
pub(crate) const STATUSES: &str = "\
Exit status:
   0  done
   1  failed, for a reason of the moment or one that has no status of its own
   2  wrong usage
  10  not set up: no network is attached, or there is no wallet or payout account
  11  a file, a folder or a variable is not valid: settings, certificates (extra_ca), manifest, key, job, home, proxy
  12  an engine runs already, with this home or on this machine; or a reporter in this session
  13  the installation is broken: the worker or the system's certificates are missing
  20  no engine runs, or the one that was watched has ended
  21  the network does not answer: coordinator, proxy or chain
 101  crashed, which is a fault of Surge: `surge report` has the story
2 and 10 to 13 stay until somebody acts; after 1, 20, 21 and 101 another try may help. Each error is one line with a code
in brackets, and with --json a document {\"error\":{\"code\",\"message\"}} on standard output. `surge task run --help` tells the statuses of a task.";

impl ExitStatus {
    /// The status of an error's code.
    pub(crate) fn of(code: &str) -> Self {
        match code {
            "usage" | "bad_change" | "nothing_written" | "out_exists" | "out_unwritable" => Self::Usage,
            "no_network" | "no_payout" | "wallet_absent" => Self::NotSetUp,
            "bad_settings" | "bad_proxy" | "bad_network" | "bad_payout" | "malformed_file" | "bad_device_key"
            | "bad_extra_ca" | "bad_file" | "bad_job" | "bad_home" => Self::BadFile,
            "home_in_use" | "machine_in_use" | "session_reported" => Self::EngineRuns,
            "no_worker" | "worker_unusable" | "no_trust_store" => Self::BrokenInstallation,
            "not_running" | "engine_stopped" | "engine_gone" => Self::NoEngine,
            "coordinator_unreachable"
            | "proxy_unreachable"
            | "proxy_refused"
            | "tls_untrusted"
            | "chain_unreachable" => Self::NoAnswer,
            _ => Self::Failed,
        }
    }
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table in docs/headless.md: status and codes.
    fn documented() -> Vec<(u8, Vec<&'static str>)> {
        let text = include_str!("../../../docs/headless.md");
        let rows = text.lines().skip_while(|line| !line.starts_with("| status |")).skip(2);
        let row = |line: &'static str| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let codes = cells[2].split('`').skip(1).step_by(2);
            (cells[0].parse().expect("a status"), codes.collect())
        };
        rows.take_while(|line| line.starts_with('|')).map(row).collect()
    }

    #[test]
    fn every_documented_code_has_the_status_that_is_documented() {
        let rows = documented();
        let statuses: Vec<_> = rows.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [0, 1, 2, 10, 11, 12, 13, 20, 21, 101]);
        for (status, codes) in rows {
            for code in codes {
                assert_eq!(ExitStatus::of(code) as u8, status, "{code}");
            }
        }
    }
}
