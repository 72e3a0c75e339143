//! Puts the parts together: Tauri, the shell's loop, what follows the engine; and takes them apart again.

use std::path::Path;

use anyhow::Context;
use surge_client::ClientError;
use surge_client::view::Command;
use surge_client::words::Words;
use surge_platform::paths::Paths;
use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::action::Action;
use crate::commands::{self, Inbox};
use crate::follow::follow;
use crate::lost::LostCode;
use crate::shell::{self, Desktop, Engine, Event, Shell};
use crate::start::Launcher;
use crate::tray::Look;
use crate::tray::native::{Tray, clicked};
use crate::view::{Failure, View};
use crate::window::{self, Views};
use crate::{display, locale, surroundings};

type Events = mpsc::UnboundedSender<Event>;

/// Runs until it is quit. Whatever else is missing, the window says so.
///
/// # Errors
/// When there is no display.
pub(crate) fn run(home: Option<&Path>, hidden: bool) -> anyhow::Result<()> {
    // Without a home there is no engine to talk to, which the window says.
    let paths = Paths::resolve(home).ok();
    display::prepare()?;
    let runtime = Runtime::new().context("starting threads")?;
    tauri::async_runtime::set(runtime.handle().clone());
    let (events, inbox) = mpsc::unbounded_channel();
    let app = build(paths.as_ref(), events.clone())?;
    match runtime.block_on(async { Signals::listen() }) {
        Ok(signals) => drop(runtime.spawn(quit_on_signal(signals, events.clone()))),
        Err(error) => tracing::warn!(%error, "Signals can't be heard: they end the program at once"),
    }
    runtime.spawn(surroundings::watch(events.clone()));
    if !hidden {
        send(&events, Event::Did(Action::Open));
    }
    let shell = Shell::new(
        Words::of(&locale::wanted(|name| std::env::var(name).ok())),
        if paths.is_some() { LostCode::Connecting } else { LostCode::NoHome }.into(),
    );
    let engine = runtime.block_on(async { Remote::follow(paths, events.clone()) });
    runtime.spawn(host(shell, engine, app.handle().clone(), inbox));
    app.run_return(move |_, event| on_event(event, &events));
    Ok(())
}

/// Makes the app. A second start with the same home ends here: the first one opens its window.
fn build(paths: Option<&Paths>, events: Events) -> anyhow::Result<tauri::App> {
    let again = events.clone();
    let single = tauri_plugin_single_instance::Builder::new()
        .dbus_id(bus_name(paths))
        .callback(move |_, _, _| send(&again, Event::Did(Action::Open)))
        .build();
    tauri::Builder::default()
        .plugin(single)
        .manage(Views::default())
        .manage(Inbox(events))
        .invoke_handler(tauri::generate_handler![
            commands::watch,
            commands::pause,
            commands::finish,
            commands::resume,
            commands::start,
            commands::stay,
            commands::close,
            commands::quit
        ])
        .build(tauri::generate_context!())
        .context("starting the window system")
}

/// One name on the session bus for each home, so that a test bed does not open the owner's window.
fn bus_name(paths: Option<&Paths>) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    paths.map(|paths| &paths.home).hash(&mut hasher);
    format!("app.surge.desktop.home{:016x}", hasher.finish())
}

/// The shell's loop, then the end of the app.
async fn host(shell: Shell, engine: Remote, app: AppHandle, inbox: mpsc::UnboundedReceiver<Event>) {
    let desktop = TauriDesktop { app: app.clone(), tray: Tray::default() };
    shell::run(shell, desktop, engine, inbox).await;
    app.exit(0);
}

/// The engine of a home; of none, where this user has no home.
#[derive(Debug)]
struct Remote {
    paths: Option<Paths>,
    /// A person's wish to start it.
    start: mpsc::UnboundedSender<()>,
    events: Events,
}

impl Remote {
    /// Follows the engine from now on.
    fn follow(paths: Option<Paths>, events: Events) -> Self {
        let (start, asked) = mpsc::unbounded_channel();
        if let Some(paths) = paths.clone() {
            let events = events.clone();
            tokio::spawn(async move {
                let starter = Launcher { paths: paths.clone() };
                follow(&paths, &starter, |status| events.send(Event::Engine(status)).is_ok(), asked).await;
            });
        }
        Self { paths, start, events }
    }
}

impl Engine for Remote {
    fn ask(&self, command: Command) {
        let Some(paths) = self.paths.clone() else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            let answer = match command {
                Command::Stop => surge_client::stop(&paths).await.map(|()| Some(Event::Ended)),
                command => surge_client::send(&paths, command).await.map(|_| None),
            };
            let event = match answer {
                Ok(event) => event,
                // One that has ended before it was asked is gone as well.
                Err(ClientError::NotRunning { .. } | ClientError::Gone) if command == Command::Stop => {
                    Some(Event::Ended)
                }
                Err(error) => {
                    tracing::warn!(%error, ?command, "The engine did not obey");
                    Some(Event::Failed(Failure::of(&error)))
                }
            };
            event.into_iter().for_each(|event| send(&events, event));
        });
    }

    fn start(&self) {
        // Nobody listens where there is no home.
        let _ = self.start.send(());
    }
}

fn on_event(event: RunEvent, events: &Events) {
    match event {
        // The last window has closed: the tray stays.
        RunEvent::ExitRequested { code: None, api, .. } => api.prevent_exit(),
        RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. } => {
            api.prevent_close();
            send(events, Event::CloseAsked);
        }
        RunEvent::WindowEvent { event: WindowEvent::Destroyed, .. } => send(events, Event::WindowGone),
        RunEvent::MenuEvent(event) => send_action(events, Action::from_id(event.id().as_ref())),
        RunEvent::TrayIconEvent(event) => send_action(events, clicked(&event)),
        _ => {}
    }
}

fn send_action(events: &Events, action: Option<Action>) {
    if let Some(action) = action {
        send(events, Event::Did(action));
    }
}

/// An event after the shell has quit concerns nobody.
fn send(events: &Events, event: Event) {
    let _ = events.send(event);
}

/// The first signal quits in order, the second at once.
async fn quit_on_signal(mut signals: Signals, events: Events) {
    signals.next().await;
    send(&events, Event::Did(Action::Quit));
    if tokio::time::timeout(shell::GOODBYE, signals.next()).await.is_ok() {
        tracing::warn!("Asked to quit again: quitting without waiting for the engine's end");
        std::process::exit(1);
    }
    // Nobody looks at a window that says that the engine goes on.
    send(&events, Event::Did(Action::Quit));
}

/// Ctrl-C, and what a session or a service sends at its end. Heard from the moment it is made.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// The real desktop. What fails here is logged: the engine goes on.
#[derive(Debug)]
struct TauriDesktop {
    app: AppHandle,
    tray: Tray,
}

impl Desktop for TauriDesktop {
    fn tray(&mut self, look: &Look) -> bool {
        let shown = self.tray.show(&self.app, look);
        if let Err(error) = &shown {
            tracing::warn!(%error, "The tray icon can't be shown");
        }
        shown.is_ok()
    }

    fn dark(&mut self, dark: Option<bool>) {
        self.app.set_theme(dark.map(|dark| if dark { tauri::Theme::Dark } else { tauri::Theme::Light }));
    }

    fn open_window(&mut self) {
        if let Err(error) = window::open(&self.app) {
            tracing::error!(%error, "The window can't be opened");
        }
    }

    fn destroy_window(&mut self) {
        if let Err(error) = window::destroy(&self.app) {
            tracing::error!(%error, "The window can't be closed");
        }
        self.app.state::<Views>().disconnect();
    }

    fn show(&mut self, view: View) {
        self.app.state::<Views>().send(view);
    }
}
