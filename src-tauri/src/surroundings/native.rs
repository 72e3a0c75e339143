//! Windows and macOS always have a tray, and colour windows themselves. macOS draws template images itself too; Windows'
//! taskbar is dark by default.

use tokio::sync::mpsc;

use crate::shell::{Colours, Event};
use crate::tray::Ink;

pub(crate) async fn watch(events: mpsc::UnboundedSender<Event>) {
    // Fails only when the shell is gone.
    let ink = if cfg!(windows) { Ink::Light } else { Ink::Dark };
    let _ = events.send(Event::Colours(Colours { ink, dark: None }));
    let _ = events.send(Event::TrayHost(true));
    std::future::pending().await
}
