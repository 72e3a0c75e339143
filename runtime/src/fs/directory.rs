//! One directory: names in order for lookup, and in order of creation for listing.
//!
//! Deliberately absent: the files themselves.

use std::collections::BTreeMap;

use super::Inode;

/// The names in one directory.
#[derive(Debug)]
pub(super) struct Directory {
    parent: Inode,
    names: BTreeMap<String, Place>,
    /// Cookie to name. A cookie is never used again, so that a listing survives deletions between its calls.
    order: BTreeMap<u64, String>,
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    inode: Inode,
    cookie: u64,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) inode: Inode,
    /// Where the listing goes on.
    pub(crate) next: u64,
}

/// Cookies 0 and 1 are `.` and `..`.
const FIRST: u64 = 2;

impl Directory {
    pub(super) const fn new(parent: Inode) -> Self {
        Self { parent, names: BTreeMap::new(), order: BTreeMap::new(), last: FIRST - 1 }
    }

    pub(super) const fn parent(&self) -> Inode {
        self.parent
    }

    pub(super) fn set_parent(&mut self, parent: Inode) {
        self.parent = parent;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<Inode> {
        self.names.get(name).map(|place| place.inode)
    }

    /// Names and what they lead to, oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&str, Inode)> {
        self.order.values().filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    /// Adds a name that is not there yet.
    pub(super) fn insert(&mut self, name: String, inode: Inode) {
        self.last += 1;
        self.order.insert(self.last, name.clone());
        self.names.insert(name, Place { inode, cookie: self.last });
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(place) = self.names.remove(name) {
            self.order.remove(&place.cookie);
        }
    }

    /// The first entry at or after `cookie`; this directory is `own`.
    pub(super) fn entry(&self, own: Inode, cookie: u64) -> Option<Listed> {
        let dots = [(".", own), ("..", self.parent)];
        if let Some(&(name, inode)) = usize::try_from(cookie).ok().and_then(|n| dots.get(n)) {
            return Some(Listed { name: name.into(), inode, next: cookie + 1 });
        }
        let (&at, name) = self.order.range(cookie..).next()?;
        Some(Listed { name: name.clone(), inode: self.get(name)?, next: at + 1 })
    }
}
