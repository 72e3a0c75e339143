//! The one thread that starts worker processes. It lives as long as the supervisor, because the system kills a worker when
//! the *thread* that started it ends.
//!
//! Deliberately absent: signals. Starting a process may wait for memory or for a disk, which the control thread, whose
//! signals hold the workers that are there, must never do.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use surge_platform::process::{Process, Program, Spawned};
use surge_protocol::Outcome;

use crate::messages::{Line, Order};
use crate::on_end::OnEnd;
use crate::verdict::Cause;
use crate::worker_threads::Attended;
use crate::{Config, Finished, protocol, worker_threads};

/// Starts the thread. It ends when the sender is dropped.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn start(config: Config) -> io::Result<(Sender<Order>, JoinHandle<()>)> {
    let (orders, inbox) = mpsc::channel();
    let thread = Builder::new().name("spawner".into()).spawn(move || run(&config, &inbox))?;
    Ok((orders, thread))
}

fn run(config: &Config, orders: &Receiver<Order>) {
    for order in orders {
        spawn(config, order);
    }
}

/// Starts a worker and the threads that attend to it. Where that fails, whoever waits for the task is told so.
fn spawn(config: &Config, Order { job, line, decided }: Order) {
    if decided.cause.get().is_some() {
        return refuse(&line, job.on_end, Finished::unrun(Outcome::Host, "killed", "it was stopped before it started"));
    }
    let opening = match protocol::task_start(&job.task) {
        Ok(opening) => opening,
        Err(error) => {
            let why = format!("its arguments are too long: {error}");
            return refuse(&line, job.on_end, Finished::unrun(Outcome::Invalid, "too_large", why));
        }
    };
    let files: Vec<_> = job.task.data.iter().map(|(_, file)| Arc::clone(file)).collect();
    let spawned = Instant::now();
    let program = Program { path: &config.worker, args: &[], files: &files, priority: config.priority };
    let Spawned { process, pipes, starting } = match Process::spawn(program) {
        Ok(spawned) => spawned,
        Err(error) => return refuse(&line, job.on_end, Finished::unstarted(&config.worker, &error)),
    };
    let process = Arc::new(process);
    tracing::debug!(worker = line.id.number(), pid = process.pid(), "forked");
    // Before anybody can see it leave.
    line.forked(Arc::<Process>::clone(&process), Arc::clone(&decided));
    let worker = Attended { line, process, decided, spawned };
    if let Err(error) = worker_threads::begin(&worker, config, opening, job, pipes, starting) {
        tracing::error!(%error, "no thread for a worker");
        // The first reason counts.
        let _ = worker.decided.cause.set(Cause::Stop);
        worker.process.kill();
    }
}

/// Ends a task that has no process. Told on a thread of its own, because whoever is told may take their time.
fn refuse(line: &Line, on_end: OnEnd, finished: Finished) {
    line.gone();
    let told = Builder::new().name(format!("end-{}", line.id.number())).spawn(move || on_end.call(finished, None));
    if let Err(error) = told {
        tracing::error!(%error, "no thread to tell how a task ended");
    }
}
