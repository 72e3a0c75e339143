//! `surge` where nobody sits: what a script, a service manager and an administrator see of the real program.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod line;
mod report;
mod service;
mod states;
mod statuses;
mod watch;
