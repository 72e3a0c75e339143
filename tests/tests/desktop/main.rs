//! The desktop app as its owner has it: a real window on a real X server, a real tray on a real session bus, a real
//! engine as a process of its own. Where a test says nothing else, the network is away, so the engine has nothing to run
//! and says so.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use surge_client::ask;
use surge_client::view::{Reason, ReasonCode, State};
use surge_client::wire::Request;
use surge_client::words::Words;
use surge_platform::paths::Paths;
use surge_tests::screen::{Picture, Server};
use surge_tests::tray_host::TrayHost;

mod desk;
mod seen;

use desk::{Desk, program, signal, work_for_one};
use seen::{ACCENT, ATTENTION, PAPER, eventually, menu, middle, tooltip, web_processes, wide_button};

/// The menu's last lines while the engine is the owner's own.
const LAST: [&str; 3] = ["---", "Open Surge", "Quit Surge and stop work"];
/// The menu's line while there is at most one task.
const FINISH: &str = "Finish task, then pause";
const GO_ON: &str = "Keep going afterwards";

#[tokio::test(flavor = "multi_thread")]
async fn the_window_and_the_tray_show_the_same_engine_and_steer_it() -> Result<()> {
    let desk = Desk::new()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;

    let snapshot = desk.engine(State::Held).await?;
    let words = Words::english();
    let headline = words.headline(&snapshot);
    tooltip(&item, &headline).await?;
    menu(&item, &[&[&headline, "Today: 0 tokens", "---", "Pause", FINISH][..], &LAST].concat()).await?;
    let held = item.picture().await?;

    let window = desk.window().await?;
    let home = desk.painted(window, |picture| picture.area_of(PAPER)).await?;
    ensure!(wide_button(&home.0).is_none(), "while held there is nothing to resume");
    assert_eq!(web_processes(surge.0.id())?, 1);

    item.click("Until I resume").await?;
    let paused = desk.engine(State::Paused).await?;
    let headline = words.headline(&paused);
    tooltip(&item, &headline).await?;
    menu(&item, &[&[&headline, "Today: 0 tokens", "---", "Resume"][..], &LAST].concat()).await?;
    assert_ne!(item.picture().await?, held, "each state has its own shape");

    let (_, resume) = desk.painted(window, wide_button).await?;
    desk.graphical.screen.click(window, middle(resume.left, resume.right), middle(resume.top, resume.bottom))?;
    desk.engine(State::Held).await?;
    desk.painted(window, |picture| wide_button(picture).is_none().then_some(())).await?;

    desk.graphical.screen.press_space(window)?;
    desk.engine(State::Paused).await?;
    desk.painted(window, wide_button).await?;

    desk.graphical.screen.close(window)?;
    eventually("the window to close", async || Ok(desk.graphical.screen.window("Surge")?.is_none().then_some(())))
        .await?;
    eventually("the webview to end", async || Ok((web_processes(surge.0.id())? == 0).then_some(()))).await?;
    tooltip(&item, &headline).await?;
    item.click("Resume").await?;
    desk.engine(State::Held).await?;

    item.activate().await?;
    let window = desk.window().await?;
    desk.painted(window, |picture| picture.area_of(PAPER)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_task_is_finished_before_it_pauses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (network, owner) = tokio::task::block_in_place(|| work_for_one(folder.path()))?;
    let desk = Desk::at(Paths { home: owner.home.clone() })?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let _surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    let today = "Today: 0 tokens";
    let menu = async |headline, lines: &[&str]| menu(&item, &[&[headline, today, "---"], lines, &LAST].concat()).await;

    let earning = Words::english().headline(&desk.engine(State::Earning).await?);
    menu(&earning, &["Pause", FINISH]).await?;
    item.click(FINISH).await?;
    menu("Finishing one task, then pausing", &["Pause", GO_ON]).await?;
    let window = desk.window().await?;
    desk.painted(window, |picture| picture.area_of(PAPER)).await?;
    item.click(GO_ON).await?;
    menu(&earning, &["Pause", FINISH]).await?;
    item.click(FINISH).await?;
    menu("Finishing one task, then pausing", &["Pause", GO_ON]).await?;

    // All this while it was throttled; now it may end.
    let _ = tokio::task::block_in_place(|| owner.answer(&["limits", "set", "cpu_percent=100"]));
    let paused = desk.engine(State::Paused).await?;
    assert_eq!(Words::english().headline(&paused), "Paused until you resume");
    desk.painted(window, wide_button).await?;
    let account = format!("/v1/accounts/{}", tokio::task::block_in_place(|| owner.address()));
    let accepted = || network.get(&account)?["accepted"].as_u64().filter(|accepted| *accepted > 0);
    let done = eventually("the verdict", async || Ok(tokio::task::block_in_place(accepted))).await?;
    assert_eq!(done, 1, "the task that was here already, waiting for its turn, was not begun");
    assert!(desk.engine(State::Paused).await?.workers.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_app_stops_no_work_and_quitting_stops_all_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_network, owner) = tokio::task::block_in_place(|| work_for_one(folder.path()))?;
    let desk = Desk::at(Paths { home: owner.home.clone() })?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let mut surge = desk.start(&[])?;
    let worker = desk.engine(State::Earning).await?.workers.first().context("a worker")?.clone();
    let engines = desk.engines()?;
    assert_eq!(engines.len(), 1);

    surge.0.kill()?;
    surge.0.wait()?;
    let computes = async || {
        let now = ask(&desk.paths, Request::Snapshot).await?.snapshot;
        Ok(now.workers.iter().any(|now| now.pid == worker.pid && now.cpu_ms > worker.cpu_ms).then_some(()))
    };
    eventually("the worker to compute on", computes).await?;
    assert_eq!(desk.engines()?, engines, "the engine is the one that it was");

    let mut surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.newest().await.ok())).await?;
    tooltip(&item, "Earning: one task running").await?;
    assert_eq!(desk.engines()?, engines, "none is started where one runs");
    let window = desk.window().await?;
    desk.painted(window, |picture| picture.area_of(ACCENT)).await?;

    item.click(LAST[2]).await?;
    let ended = eventually("the app to end", async || Ok(surge.0.try_wait()?)).await?;
    assert!(ended.success());
    assert!(desk.engines()?.is_empty(), "no engine is left");
    ensure!(!Path::new(&format!("/proc/{}", worker.pid)).exists(), "no worker is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_with_nothing_opens_a_window_that_says_so() -> Result<()> {
    let desk = Desk::bare()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let _surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    let snapshot = desk.engine(State::NeedsYou).await?;
    let is_told = |reason: &Reason| reason.code == ReasonCode::NotSetUp;
    assert!(snapshot.reasons.first().is_some_and(is_told), "{:?}", snapshot.reasons);
    tooltip(&item, "Not set up yet").await?;
    let window = desk.window().await?;
    desk.painted(window, |picture| picture.area_of(ATTENTION)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_break_are_told_in_the_window_until_they_are_mended() -> Result<()> {
    let desk = Desk::new()?;
    let _surge = desk.start(&[])?;
    let window = desk.window().await?;
    desk.engine(State::Held).await?;
    let nothing_to_mend = |picture: &Picture| picture.area_of(ATTENTION).is_none().then_some(());
    desk.painted(window, nothing_to_mend).await?;
    let whole = std::fs::read_to_string(desk.paths.settings())?;
    std::fs::write(desk.paths.settings(), whole.clone() + "cpu_percent = \"much\"\n")?;
    desk.painted(window, |picture| picture.area_of(ATTENTION)).await?;
    std::fs::write(desk.paths.settings(), whole)?;
    desk.painted(window, nothing_to_mend).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_engine_can_run_the_window_says_why_and_starts_one_when_that_is_mended() -> Result<()> {
    let mut desk = Desk::bare()?;
    // A folder that can't be made, even by root.
    desk.paths.home = desk.paths.settings().join("home");
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let _surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    tooltip(&item, "Surge can't start").await?;
    menu(&item, &["Surge can't start", "Start Surge", "---", "Open Surge", "Quit"]).await?;
    let window = desk.window().await?;
    let (_, start) = desk.painted(window, wide_button).await?;

    std::fs::remove_file(desk.paths.home.parent().context("a home is in a folder")?)?;
    std::fs::create_dir_all(&desk.paths.home)?;
    std::fs::write(desk.paths.settings(), "share_machine = true\n")?;
    desk.graphical.screen.click(window, middle(start.left, start.right), middle(start.top, start.bottom))?;
    desk.engine(State::NeedsYou).await?;
    tooltip(&item, "Not set up yet").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_is_started_again_but_not_for_ever() -> Result<()> {
    let desk = Desk::new()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let _surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    let window = desk.window().await?;
    let mut before = None;
    for _ in 0..4 {
        let next = async || {
            let engine = ask(&desk.paths, Request::Snapshot).await.ok();
            Ok(engine.map(|engine| engine.hello.pid).filter(|pid| Some(*pid) != before))
        };
        let pid = eventually("an engine", next).await?;
        tooltip(&item, &Words::english().headline(&desk.engine(State::Held).await?)).await?;
        signal(pid, Signal::KILL)?;
        before = Some(pid);
    }
    tooltip(&item, "Surge has crashed").await?;
    desk.painted(window, wide_button).await?;
    assert!(desk.engines()?.is_empty(), "after the fourth crash nobody starts it but its owner");
    item.click("Start Surge").await?;
    let headline = Words::english().headline(&desk.engine(State::Held).await?);
    tooltip(&item, &headline).await?;
    desk.painted(window, |picture| wide_button(picture).is_none().then_some(())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_stuck_is_not_shown_as_if_it_worked() -> Result<()> {
    let desk = Desk::new()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let _surge = desk.start(&["--hidden"])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    let headline = Words::english().headline(&desk.engine(State::Held).await?);
    tooltip(&item, &headline).await?;
    let engine = desk.engines()?[0];
    signal(engine, Signal::STOP)?;
    tooltip(&item, "Surge does not answer").await?;
    signal(engine, Signal::CONT)?;
    // It may hold for another reason now, since it stood still.
    let present = async || {
        let told = ask(&desk.paths, Request::Snapshot).await.map(|engine| Words::english().headline(&engine.snapshot));
        Ok((told.ok() == item.tooltip().await.ok()).then_some(()))
    };
    eventually("the tooltip to say what the engine does", present).await?;
    assert_eq!(desk.engines()?, [engine]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn quitting_from_the_tray_ends_the_app_and_its_engine() -> Result<()> {
    let desk = Desk::new()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let mut surge = desk.start(&["--hidden"])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    desk.engine(State::Held).await?;
    assert!(desk.graphical.screen.window("Surge")?.is_none(), "--hidden starts without a window");
    eventually("the line", async || Ok(item.click(LAST[2]).await.ok())).await?;
    let ended = eventually("the app to end", async || Ok(surge.0.try_wait()?)).await?;
    assert!(ended.success());
    assert!(desk.engines()?.is_empty(), "no engine is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_in_order() -> Result<()> {
    let desk = Desk::new()?;
    let _tray = TrayHost::start(&desk.graphical.bus).await?;
    let mut surge = desk.start(&[])?;
    desk.engine(State::Held).await?;
    signal(surge.0.id(), Signal::TERM)?;
    let ended = eventually("the app to end", async || Ok(surge.0.try_wait()?)).await?;
    assert!(ended.success());
    assert!(desk.engines()?.is_empty(), "no engine is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_starts_at_once_make_one_window_and_one_engine() -> Result<()> {
    let desk = Desk::new()?;
    let mut starts = [desk.start(&[])?, desk.start(&[])?];
    let ended = eventually("one of them to end", async || {
        let ended = starts.each_mut().map(|start| start.0.try_wait());
        Ok(ended.into_iter().find_map(|ended| ended.ok().flatten()))
    });
    assert!(ended.await?.success());
    desk.engine(State::Held).await?;
    desk.window().await?;
    assert_eq!(desk.engines()?.len(), 1);
    assert_eq!(desk.graphical.screen.windows("Surge")?, 1);
    let running =
        starts.each_mut().map(|start| start.0.try_wait()).into_iter().filter(|ended| matches!(ended, Ok(None)));
    assert_eq!(running.count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_bus_the_window_opens_too() -> Result<()> {
    let desk = Desk::new()?;
    let mut surge = desk.command(&[]);
    let _surge = Server(surge.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere").spawn()?);
    let window = desk.window().await?;
    desk.engine(State::Held).await?;
    desk.painted(window, |picture| picture.area_of(PAPER)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tray_closing_the_window_asks_first() -> Result<()> {
    let desk = Desk::new()?;
    let _surge = desk.start(&[])?;
    let window = desk.window().await?;
    desk.painted(window, |picture| picture.area_of(PAPER)).await?;
    desk.graphical.screen.close(window)?;
    // The dialog's first button is as wide as the dialog, and nothing else is in the accent's colour while held.
    let (_, background) = desk.painted(window, wide_button).await?;
    assert_eq!(desk.graphical.screen.window("Surge")?, Some(window), "the window stays while it asks");
    desk.graphical.screen.click(
        window,
        middle(background.left, background.right),
        middle(background.top, background.bottom),
    )?;
    eventually("the window to close", async || Ok(desk.graphical.screen.window("Surge")?.is_none().then_some(())))
        .await?;
    desk.engine(State::Held).await?;

    let second = desk.command(&[]).output()?;
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    desk.window().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_in_use_is_told_in_words() -> Result<()> {
    let desk = Desk::new()?;
    let tray = TrayHost::start(&desk.graphical.bus).await?;
    let other = surge_platform::lock::file(&desk.paths.engine_lock())?;
    let _surge = desk.start(&[])?;
    let item = eventually("the tray icon", async || Ok(tray.item().await.ok())).await?;
    tooltip(&item, "Surge can't start").await?;
    drop(other);
    item.click("Start Surge").await?;
    tooltip(&item, &Words::english().headline(&desk.engine(State::Held).await?)).await?;
    Ok(())
}

#[test]
fn without_a_display_it_says_what_to_use_instead() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut surge = Command::new(program("surge-desktop")?);
    let output = surge.arg("--home").arg(home.path()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("no display answers") && said.contains("surge run"), "{said}");
    Ok(())
}
