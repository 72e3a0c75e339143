//! A tray for tests: a StatusNotifierWatcher on a session bus, and a reader of the icons that register with it.
//!
//! Deliberately absent: pixels on a panel. What a panel would draw and click goes over the bus, and that is what is read here.

use std::collections::HashMap;

use tokio::sync::watch;
use zbus::zvariant::{OwnedValue, Type, Value};
use zbus::{Connection, connection, interface, proxy};

/// The watcher, and the names of the items that have registered.
#[derive(Debug)]
pub struct TrayHost {
    connection: Connection,
    items: watch::Receiver<Vec<String>>,
}

impl TrayHost {
    /// Starts on the bus at `address`.
    ///
    /// # Errors
    /// When the bus does not answer, or has such a tray already.
    pub async fn start(address: &str) -> zbus::Result<Self> {
        let (registered, items) = watch::channel(Vec::new());
        let connection = connection::Builder::address(address)?
            .serve_at("/StatusNotifierWatcher", Watcher { registered })?
            .name("org.kde.StatusNotifierWatcher")?
            .build()
            .await?;
        Ok(Self { connection, items })
    }

    /// The first item that has registered, now or as soon as one does.
    ///
    /// # Errors
    /// When the item does not answer.
    pub async fn item(&self) -> zbus::Result<TrayItem> {
        let mut items = self.items.clone();
        let names =
            items.wait_for(|items| !items.is_empty()).await.map_err(|error| zbus::Error::Failure(error.to_string()))?;
        let name = names[0].clone();
        drop(names);
        self.named(name).await
    }

    /// The item that registered last, if it answers.
    ///
    /// # Errors
    /// When none has registered, or it does not answer.
    pub async fn newest(&self) -> zbus::Result<TrayItem> {
        let name = self.items.borrow().last().cloned();
        let item = self.named(name.ok_or_else(|| zbus::Error::Failure("no item".into()))?).await?;
        item.tooltip().await.map(|_| item)
    }

    async fn named(&self, name: String) -> zbus::Result<TrayItem> {
        Ok(TrayItem {
            icon: ItemProxy::builder(&self.connection).destination(name.clone())?.build().await?,
            menu: MenuProxy::builder(&self.connection).destination(name)?.build().await?,
        })
    }
}

struct Watcher {
    registered: watch::Sender<Vec<String>>,
}

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String) {
        self.registered.send_modify(|items| items.push(service));
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.registered.borrow().clone()
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// One icon of the tray with its menu.
#[derive(Debug)]
pub struct TrayItem {
    icon: ItemProxy<'static>,
    menu: MenuProxy<'static>,
}

/// A line of the menu as a panel would draw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuLine {
    id: i32,
    pub label: String,
    pub enabled: bool,
    pub separator: bool,
    pub submenu: Vec<MenuLine>,
}

/// The icon's picture: width, height and ARGB bytes.
pub type Pixmap = (i32, i32, Vec<u8>);

impl TrayItem {
    /// What a panel shows when the pointer rests on the icon.
    ///
    /// # Errors
    /// When the item does not answer.
    pub async fn tooltip(&self) -> zbus::Result<String> {
        Ok(self.icon.tool_tip().await?.3)
    }

    /// # Errors
    /// When the item does not answer, or has no picture.
    pub async fn picture(&self) -> zbus::Result<Pixmap> {
        self.icon.icon_pixmap().await?.into_iter().next().ok_or_else(|| zbus::Error::Failure("no picture".into()))
    }

    /// The menu, top to bottom.
    ///
    /// # Errors
    /// When the item does not answer, or not with a menu.
    pub async fn lines(&self) -> zbus::Result<Vec<MenuLine>> {
        let (_, root) = self.menu.get_layout(0, -1, &[]).await?;
        root.2.into_iter().map(|child| line(child.try_into()?)).collect()
    }

    /// Clicks the line with this label, in the menu or in one of its submenus.
    ///
    /// # Errors
    /// When there is no such line, or the item does not answer.
    pub async fn click(&self, label: &str) -> zbus::Result<()> {
        let lines = self.lines().await?;
        let all = lines.iter().flat_map(|line| std::iter::once(line).chain(&line.submenu));
        let found = all.filter(|line| line.enabled).find(|line| line.label == label);
        let Some(line) = found else {
            return Err(zbus::Error::Failure(format!("no line {label:?} in {lines:?}")));
        };
        self.menu.event(line.id, "clicked", &Value::from(0), 0).await
    }

    /// Clicks the icon itself.
    ///
    /// # Errors
    /// When the item does not answer.
    pub async fn activate(&self) -> zbus::Result<()> {
        self.icon.activate(0, 0).await
    }
}

/// `(id, properties, children)` of com.canonical.dbusmenu.
#[derive(Debug, serde::Deserialize, Type)]
struct Layout(i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

impl TryFrom<OwnedValue> for Layout {
    type Error = zbus::Error;

    fn try_from(value: OwnedValue) -> zbus::Result<Self> {
        let (id, properties, children) = <(i32, HashMap<String, OwnedValue>, Vec<OwnedValue>)>::try_from(value)?;
        Ok(Self(id, properties, children))
    }
}

fn line(Layout(id, properties, children): Layout) -> zbus::Result<MenuLine> {
    let text = |key: &str| properties.get(key).and_then(|value| value.downcast_ref::<String>().ok());
    Ok(MenuLine {
        id,
        label: text("label").unwrap_or_default(),
        enabled: properties.get("enabled").and_then(|value| value.downcast_ref().ok()).unwrap_or(true),
        separator: text("type").as_deref() == Some("separator"),
        submenu: children.into_iter().map(|child| line(child.try_into()?)).collect::<zbus::Result<_>>()?,
    })
}

#[proxy(interface = "org.kde.StatusNotifierItem", default_path = "/StatusNotifierItem", gen_blocking = false)]
trait Item {
    #[zbus(property(emits_changed_signal = "false"))]
    fn tool_tip(&self) -> zbus::Result<(String, Vec<Pixmap>, String, String)>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn icon_pixmap(&self) -> zbus::Result<Vec<Pixmap>>;

    fn activate(&self, x: i32, y: i32) -> zbus::Result<()>;
}

#[proxy(interface = "com.canonical.dbusmenu", default_path = "/MenuBar", gen_blocking = false)]
trait Menu {
    fn get_layout(&self, parent: i32, depth: i32, properties: &[&str]) -> zbus::Result<(u32, Layout)>;

    fn event(&self, id: i32, event: &str, data: &Value<'_>, timestamp: u32) -> zbus::Result<()>;
}
