//! The one window: made when it is asked for, destroyed when it closes, so that no webview lives in the tray.

use std::sync::{Mutex, PoisonError};

use tauri::ipc::Channel;
use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Manager, Url, WebviewUrl, WebviewWindowBuilder};

use crate::view::View;

pub(crate) const LABEL: &str = "main";

/// The window's end of the stream of views, while there is one.
#[derive(Default)]
pub(crate) struct Views(Mutex<Option<Channel<View>>>);

impl Views {
    pub(crate) fn connect(&self, views: Channel<View>) {
        self.replace(Some(views));
    }

    pub(crate) fn disconnect(&self) {
        self.replace(None);
    }

    /// Shows a view. A window that has just gone misses it.
    pub(crate) fn send(&self, view: View) {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = views.as_ref().map(|views| views.send(view)) {
            tracing::debug!(%error, "The window is gone");
            *views = None;
        }
    }

    fn replace(&self, views: Option<Channel<View>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = views;
    }
}

/// Brings the window to the front, making it where there is none.
pub(crate) fn open(app: &AppHandle) -> tauri::Result<()> {
    if let Some(window) = app.get_webview_window(LABEL) {
        window.unminimize()?;
        window.show()?;
        return window.set_focus();
    }
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Surge")
        .inner_size(420.0, 640.0)
        .min_inner_size(320.0, 360.0)
        .on_navigation(is_ours)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .disable_drag_drop_handler()
        .devtools(false)
        .zoom_hotkeys_enabled(true)
        .build()?;
    Ok(())
}

pub(crate) fn destroy(app: &AppHandle) -> tauri::Result<()> {
    app.get_webview_window(LABEL).map_or(Ok(()), |window| window.destroy())
}

/// Only the app's own pages; `tauri:` on Linux and macOS, `tauri.localhost` on Windows.
fn is_ours(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" => cfg!(windows) && url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_goes_nowhere_else() {
        let ours = |url: &str| is_ours(&url.parse().unwrap());
        assert!(ours("tauri://localhost/index.html"));
        for url in [
            "https://example.com",
            "http://app.evil.localhost",
            "tauri://evil/",
            "data:text/html,x",
            "file:///etc/passwd",
        ] {
            assert!(!ours(url), "{url}");
        }
    }
}
