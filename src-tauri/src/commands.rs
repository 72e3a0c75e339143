//! The whole surface that the webview can touch. Each command is also named in `build.rs` and `capabilities/main.json`.

use tauri::State;
use tauri::ipc::Channel;
use tokio::sync::mpsc;

use crate::action::Action;
use crate::pause::PauseChoice;
use crate::shell::Event;
use crate::view::View;
use crate::window::Views;

/// The shell's inbox, as the commands hold it.
#[derive(Debug)]
pub(crate) struct Inbox(pub(crate) mpsc::UnboundedSender<Event>);

impl Inbox {
    /// An event after the shell has quit concerns nobody.
    pub(crate) fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

/// Sends every view to `views` from now on, the present one first.
#[tauri::command]
pub(crate) fn watch(views: Channel<View>, window: State<'_, Views>, inbox: State<'_, Inbox>) {
    window.connect(views);
    inbox.send(Event::WindowReady);
}

#[tauri::command]
pub(crate) fn pause(choice: PauseChoice, inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Pause(choice)));
}

#[tauri::command]
pub(crate) fn finish(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Finish));
}

#[tauri::command]
pub(crate) fn resume(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Resume));
}

#[tauri::command]
pub(crate) fn start(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Start));
}

#[tauri::command]
pub(crate) fn stay(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Stay));
}

#[tauri::command]
pub(crate) fn close(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Close));
}

#[tauri::command]
pub(crate) fn quit(inbox: State<'_, Inbox>) {
    inbox.send(Event::Did(Action::Quit));
}
