//! Shows a [`Look`] in the system's tray. On Linux it speaks StatusNotifierItem.

use surge_client::view::State;
use tauri::image::Image;
use tauri::menu::{IsMenuItem, Menu, MenuBuilder, MenuItemBuilder, MenuItemKind, PredefinedMenuItem, SubmenuBuilder};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Wry};

use super::{Icon, Ink, Item, Line, Look};
use crate::action::Action;

/// The tray icon, once there is one.
#[derive(Default)]
pub(crate) struct Tray(Option<TrayIcon>);

impl std::fmt::Debug for Tray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tray").field(&self.0.as_ref().map(TrayIcon::id)).finish()
    }
}

impl Tray {
    /// Shows `look`, making the icon at the first time.
    pub(crate) fn show(&mut self, app: &AppHandle, look: &Look) -> tauri::Result<()> {
        let (menu, image) = (menu(app, &look.menu.0)?, image(look.icon));
        if let Some(tray) = &self.0 {
            tray.set_icon_with_as_template(Some(image), true)?;
            tray.set_tooltip(Some(&look.tooltip))?;
            return tray.set_menu(Some(menu));
        }
        let tray = TrayIconBuilder::with_id("surge")
            .title("Surge")
            .icon(image)
            .icon_as_template(true)
            .tooltip(&look.tooltip)
            .menu(&menu)
            .show_menu_on_left_click(cfg!(target_os = "macos"))
            .build(app)?;
        self.0 = Some(tray);
        Ok(())
    }
}

/// What a click on the icon itself means. On macOS it opens the menu.
pub(crate) fn clicked(event: &TrayIconEvent) -> Option<Action> {
    let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event else {
        return None;
    };
    (!cfg!(target_os = "macos")).then_some(Action::Open)
}

fn menu(app: &AppHandle, lines: &[Line]) -> tauri::Result<Menu<Wry>> {
    let items = lines.iter().map(|line| kind(app, line)).collect::<tauri::Result<Vec<_>>>()?;
    let items: Vec<&dyn IsMenuItem<Wry>> = items.iter().map(|item| item as &dyn IsMenuItem<Wry>).collect();
    MenuBuilder::new(app).items(&items).build()
}

fn kind(app: &AppHandle, line: &Line) -> tauri::Result<MenuItemKind<Wry>> {
    Ok(match line {
        Line::Text(text) => MenuItemKind::MenuItem(MenuItemBuilder::new(plain(text)).enabled(false).build(app)?),
        Line::Separator => MenuItemKind::Predefined(PredefinedMenuItem::separator(app)?),
        Line::Item(line) => MenuItemKind::MenuItem(item(line).build(app)?),
        Line::Submenu(label, lines) => {
            let items = lines.iter().map(|line| item(line).build(app)).collect::<tauri::Result<Vec<_>>>()?;
            let items: Vec<&dyn IsMenuItem<Wry>> = items.iter().map(|item| item as &dyn IsMenuItem<Wry>).collect();
            MenuItemKind::Submenu(SubmenuBuilder::new(app, plain(label)).items(&items).build()?)
        }
    })
}

fn item(line: &Item) -> MenuItemBuilder {
    let label = plain(&line.label);
    match line.action.id() {
        Some(id) => MenuItemBuilder::with_id(id, label),
        None => MenuItemBuilder::new(label).enabled(false),
    }
}

/// Menus read `&` as the mark of an access key.
fn plain(text: &str) -> String {
    text.replace('&', "&&")
}

fn image(icon: Icon) -> Image<'static> {
    let mask = match icon.shape {
        State::Earning => tauri::include_image!("../icons/tray/earning.png"),
        // A state of a newer engine has words, and the shape of one that waits.
        State::Held | State::Unknown => tauri::include_image!("../icons/tray/held.png"),
        State::Paused => tauri::include_image!("../icons/tray/paused.png"),
        State::NeedsYou => tauri::include_image!("../icons/tray/needs-you.png"),
    };
    let [r, g, b] = match icon.ink {
        Ink::Light => [0xff, 0xff, 0xff],
        Ink::Dark => [0x24, 0x24, 0x24],
        Ink::Middle => [0x80, 0x80, 0x80],
    };
    let inked = mask.rgba().chunks_exact(4).flat_map(|pixel| [r, g, b, pixel[3]]).collect();
    Image::new_owned(inked, mask.width(), mask.height())
}
