//! A whole engine in this process, with a home of its own and without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use surge_client::ClientError;
use surge_client::wire::{Request, Role};
use surge_platform::paths::Paths;
use surge_protocol::network::Network;

use super::parts::{Faults, Parts};
use super::start::start_watched;
use super::*;
use crate::config::Config;
use crate::control::by_user;
use crate::settings::Change;
use crate::store::tests::{a_network, device, result};
use crate::store::{NetworkStore, Store};
use crate::view::{Case, Command, ReasonCode, State, UnattachedView};

/// What catches an engine that hangs; ten times what it takes at most.
const AT_MOST: Duration = Duration::from_secs(60);

struct Bed {
    engine: Handle,
    paths: Paths,
    faults: Arc<Mutex<Faults>>,
    _folder: tempfile::TempDir,
}

fn config(home: &Path) -> Config {
    let mut config = Config::new(Paths { home: home.to_owned() });
    for (key, value) in [("share_machine", "true"), ("presence", "headless")] {
        config.overrule(Change::new(key, value)).unwrap();
    }
    config
}

fn bed(prepare: impl FnOnce(&Path)) -> Bed {
    bed_for(prepare, Role::Owner, None)
}

/// A shell of `role` meets an engine in which the part `hung` hangs.
fn bed_for(prepare: impl FnOnce(&Path), role: Role, hung: Option<&'static str>) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let config = config(folder.path());
    let paths = config.paths.clone();
    let mut faults = None;
    let who: crate::control::WhoIs = match role {
        Role::Owner => by_user(&config.paths),
        role => Arc::new(move |_| Some(role)),
    };
    let engine = start_watched(config, who, |parts: &Parts| {
        parts.faults.lock().unwrap().hung = hung;
        faults = Some(Arc::clone(&parts.faults));
    })
    .unwrap();
    Bed { engine, paths, faults: faults.unwrap(), _folder: folder }
}

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

impl Bed {
    async fn until(&self, what: &str, is: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut snapshots = self.engine.snapshots();
        within(what, async { snapshots.wait_for(|now| is(now)).await.map(|now| now.clone()) }).await.unwrap()
    }

    async fn first(&self, code: ReasonCode, case: Option<Case>) -> Snapshot {
        let is = |now: &Snapshot| now.reasons.first().is_some_and(|first| (first.code, first.case) == (code, case));
        self.until(&format!("{code:?} {case:?}"), is).await
    }

    async fn send(&self, command: Command) -> Result<Snapshot, ClientError> {
        surge_client::send(&self.paths, command).await
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        *self.faults.lock().unwrap() = Faults::default();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_a_state_and_each_thing_that_is_mended_shows_the_next() {
    let bed = bed(|home| fs::write(home.join("settings.toml"), "cpu_percent = 400\n").unwrap());
    let now = bed.first(ReasonCode::SettingsInvalid, None).await;
    assert_eq!(now.state, State::NeedsYou);
    assert!(now.reasons[0].said.as_ref().unwrap().contains("line 1: cpu_percent is 400"), "{now:?}");

    fs::write(bed.paths.settings(), "cpu_percent = 40\n").unwrap();
    let now = bed.send(Command::Reload).await.unwrap();
    assert_eq!((now.reasons[0].code, now.reasons[0].case), (ReasonCode::NotSetUp, Some(Case::NoNetwork)), "at once");
    let cpu = now.settings.iter().find(|view| view.key == "cpu_percent").unwrap();
    assert_eq!((cpu.value.as_str(), cpu.source), ("40", crate::view::SettingSource::File));

    // Without being asked, too.
    fs::write(bed.paths.network(), "{}").unwrap();
    let now = bed.first(ReasonCode::SetupInvalid, None).await;
    assert_eq!(now.reasons[0].subject, Some(bed.paths.network().display().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_breaks_ends_the_engine_in_order() {
    for part in ["decide", "sensing", "files", "keeper", "presenter", "control", "attachment"] {
        let mut bed = bed(|_| {});
        bed.first(ReasonCode::NotSetUp, Some(Case::NoNetwork)).await;
        bed.faults.lock().unwrap().broken = Some(part);
        // Each part is woken: by a wish, by a connection, by changed files.
        let _ = bed.send(Command::Pause { seconds: None }).await;
        fs::write(bed.paths.network(), "{}").unwrap();
        let _ = bed.send(Command::Reload).await;
        let end = within(part, bed.engine.ended()).await;
        assert!(matches!(end, End::Broken(broken) if broken == part), "{part}: {end:?}");
        assert!(!surge_client::answers(&bed.paths), "{part}: its socket is gone");
        assert_eq!(fs::read_to_string(bed.paths.engine_lock()).unwrap(), "", "{part}: it left in order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_network_that_is_not_attached_are_shown() {
    let bed = bed(|home| {
        let paths = Paths { home: home.to_owned() };
        let store = Arc::new(Store::open(&paths.store()).unwrap());
        let store = NetworkStore::new(store, a_network(1), device().address());
        store.claim().unwrap();
        for n in 1..=2 {
            store.finish(&result(n), 1).unwrap();
        }
    });
    let now = bed.until("the database", |now| !now.unattached.is_empty()).await;
    assert_eq!(now.unattached, [UnattachedView { name: Some("network 1".into()), undelivered: 2 }]);

    // Attached, though there is no payout account yet: another one, and then the one that they wait for.
    let key = device();
    for (n, undelivered) in [(2, 0), (1, 2)] {
        let manifest = Network { coordinator_key: key.address(), ..a_network(n) }.sign(&key);
        fs::write(bed.paths.network(), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let now = bed.send(Command::Reload).await.unwrap();
        assert_eq!((now.networks[0].undelivered, now.unattached.len()), (undelivered, usize::from(n == 2)), "{now:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_on_a_disk_that_hangs_delay_no_command_and_no_decision() {
    let mut bed = bed_for(|_| {}, Role::Owner, Some("files"));
    bed.first(ReasonCode::Starting, None).await;
    let now = within("pause", bed.send(Command::Pause { seconds: None })).await.unwrap();
    assert_eq!(now.state, State::Paused);
    let now = within("reload", bed.send(Command::Reload)).await.unwrap();
    assert!(
        now.notices.iter().any(|it| (it.code, it.case) == (ReasonCode::HomeUnusable, Some(Case::NotRead))),
        "{now:?}"
    );
    bed.engine.stop();
    assert!(matches!(within("end", bed.engine.ended()).await, End::Asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_is_answered_when_it_is_stored_and_else_with_a_notice() {
    let bed = bed(|_| {});
    bed.first(ReasonCode::NotSetUp, Some(Case::NoNetwork)).await;
    let now = bed.send(Command::Pause { seconds: None }).await.unwrap();
    assert_eq!((now.state, now.paused_until, now.notices.len()), (State::NeedsYou, None, 0), "{now:?}");
    let stored = || {
        let db = rusqlite::Connection::open(bed.paths.store()).unwrap();
        db.query_row("SELECT value FROM facts WHERE name = 'wish'", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(stored(), r#"{"pause":"open"}"#, "it is on the disk before the answer");

    // Somebody else has the database.
    let lock = rusqlite::Connection::open(bed.paths.store()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let now = within("resume", bed.send(Command::Resume)).await.unwrap();
    assert!(
        now.notices.iter().any(|it| (it.code, it.case) == (ReasonCode::HomeUnusable, Some(Case::NotKept))),
        "{now:?}"
    );
    assert!(now.reasons.iter().all(|it| it.code != ReasonCode::Paused), "it holds all the same");
    lock.execute_batch("ROLLBACK").unwrap();
    within("stored at last", async {
        while stored() != r#""run""# {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    bed.until("and said no more", |now| now.notices.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cant_be_opened_is_a_state_and_is_tried_again() {
    let bed = bed(|home| fs::create_dir(home.join("engine.sqlite")).unwrap());
    let now = bed.first(ReasonCode::HomeUnusable, None).await;
    assert!(now.reasons[0].said.is_some(), "{now:?}");
    fs::remove_dir(bed.paths.store()).unwrap();
    bed.first(ReasonCode::NotSetUp, Some(Case::NoNetwork)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_removed_is_there_again() {
    let bed = bed(|_| {});
    let run = bed.paths.control_socket().parent().unwrap().to_owned();
    for all in [false, true] {
        if all {
            fs::remove_dir_all(&run).unwrap();
        } else {
            fs::remove_file(bed.paths.control_socket()).unwrap();
        }
        within("the socket", async {
            while surge_client::ask(&bed.paths, Request::Snapshot).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_it_in_order_and_who_watches_hears_so() {
    let mut bed = bed(|_| {});
    let mut watching = surge_client::watch(&bed.paths).await.unwrap();
    bed.send(Command::Stop).await.unwrap();
    assert!(matches!(within("the end", bed.engine.ended()).await, End::Asked));
    let last = within("the last line", async {
        loop {
            if let Err(last) = watching.next().await {
                return last;
            }
        }
    })
    .await;
    assert_eq!(last.code(), "engine_stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_home_is_replaced_ends_in_order_and_leaves_the_next_one_alone() {
    let mut bed = bed(|_| {});
    bed.first(ReasonCode::NotSetUp, Some(Case::NoNetwork)).await;
    let away = tempfile::tempdir().unwrap();
    fs::rename(&bed.paths.home, away.path().join("home")).unwrap();
    let config = config(&bed.paths.home);
    let mut next = start_watched(config.clone(), by_user(&config.paths), |_| {}).unwrap();
    let end = within("the end of the first", bed.engine.ended()).await;
    assert!(matches!(end, End::HomeGone), "{end:?}");
    assert_eq!(fs::read_to_string(away.path().join("home/engine.lock")).unwrap(), "", "it left in order");
    let holder = fs::read_to_string(bed.paths.engine_lock()).unwrap();
    assert_eq!(holder, std::process::id().to_string(), "the word of the next one stays");
    next.stop();
    assert!(matches!(within("the end of the next", next.ended()).await, End::Asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_is_refused_and_so_is_what_nobody_knows() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    let bed = bed_for(|_| {}, Role::Viewer, None);
    for command in [Command::Pause { seconds: None }, Command::Stop, Command::Reload] {
        assert_eq!(bed.send(command).await.unwrap_err().code(), "not_allowed");
    }
    surge_client::ask(&bed.paths, Request::Snapshot).await.unwrap();
    let long = "x".repeat(100_000);
    for line in ["{\"command\":\"dance\"}\n", "garbage\n", "\n", &long] {
        let stream = tokio::net::UnixStream::connect(bed.paths.control_socket()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut hello = String::new();
        stream.read_line(&mut hello).await.unwrap();
        // The engine may close while a line is written that is too long.
        let _ = stream.get_mut().write_all(line.as_bytes()).await;
        let mut reply = String::new();
        let _ = within("a reply", stream.read_to_string(&mut reply)).await;
        assert!(reply.contains("unknown_request") || line.len() > 10_000, "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_instead_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { exit_when_not_set_up: true, ..config(folder.path()) };
    let mut engine = start_watched(config.clone(), by_user(&config.paths), |_| {}).unwrap();
    let End::NotSetUp(error) = within("the end", engine.ended()).await else { panic!("it was not asked to") };
    assert_eq!(error.code(), "no_network");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_for_a_time_is_shown_by_the_clock_that_is_there() {
    let bed = bed(|_| {});
    let now = bed.send(Command::Pause { seconds: Some(3_600) }).await.unwrap();
    let left = now.paused_until.unwrap() - now.at;
    assert!((3_590..=3_600).contains(&left), "{left}");
}

/// The database hangs from the start: what the owner wanted is not known, and nothing runs; commands are obeyed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_delays_no_command() {
    let mut bed = bed_for(|_| {}, Role::Owner, Some("keeper"));
    bed.first(ReasonCode::NotSetUp, Some(Case::NoNetwork)).await;
    let now = within("pause", bed.send(Command::Pause { seconds: None })).await.unwrap();
    assert!(now.reasons.iter().any(|it| it.code == ReasonCode::Paused), "{now:?}");
    assert!(
        now.notices.iter().any(|it| (it.code, it.case) == (ReasonCode::HomeUnusable, Some(Case::NotKept))),
        "{now:?}"
    );
    bed.engine.stop();
    assert!(matches!(within("end", bed.engine.ended()).await, End::Asked));
}
