//! From a directory and a path to a place in the tree.
//!
//! Deliberately absent: a way up. A path that leaves the directory it starts from, by `..`, by a leading slash or
//! through a link, is refused as a whole.

use super::{Content, Fs, Inode};
use crate::wasi::abi::Errno;

/// The longest path, and the longest target of a link.
pub(crate) const PATH_BYTES: u32 = 4_096;
const NAME_BYTES: usize = 255;
/// Links followed on one walk.
const LINKS: u32 = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// To a directory by `.` or `..`: it has no name on this walk.
    Itself(Inode),
    /// To a name in `folder`, taken or free.
    Name {
        folder: Inode,
        name: String,
        node: Option<Inode>,
        /// The path ended with a slash: only a directory will do.
        slash: bool,
    },
}

impl Found {
    /// What is there.
    pub(crate) fn node(&self) -> Result<Inode, Errno> {
        match self {
            Self::Itself(inode) => Ok(*inode),
            Self::Name { node, .. } => node.ok_or(Errno::NotFound),
        }
    }
}

impl Fs {
    /// Walks `path` from the directory `base`. A link at its very end is followed if `follow`.
    pub(crate) fn walk(&self, base: Inode, path: &str, follow: bool) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NotFound);
        }
        let mut trail = vec![base];
        let mut links = 0;
        // What is still to go, next component last.
        let mut ahead = components(path)?;
        let mut slash = path.ends_with('/');
        self.directory(base)?;
        while let Some(name) = ahead.pop() {
            let here = *trail.last().expect("it starts with one and is never emptied");
            match name.as_str() {
                "." => continue,
                ".." => {
                    if trail.len() == 1 {
                        return Err(Errno::NotPermitted);
                    }
                    trail.pop();
                    continue;
                }
                _ => {}
            }
            let last = ahead.is_empty();
            let Some(inode) = self.directory(here)?.get(&name) else {
                return if last {
                    Ok(Found::Name { folder: here, name, node: None, slash })
                } else {
                    Err(Errno::NotFound)
                };
            };
            match &self.node(inode)?.content {
                Content::Link(target) if !last || follow || slash => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::Loop);
                    }
                    slash |= last && target.ends_with('/');
                    ahead.extend(components(target)?);
                }
                Content::Directory(_) if !last => trail.push(inode),
                _ if last => return Ok(Found::Name { folder: here, name, node: Some(inode), slash }),
                _ => return Err(Errno::NotDirectory),
            }
        }
        Ok(Found::Itself(*trail.last().expect("it starts with one and is never emptied")))
    }

    /// As [`Self::walk`], to something that is there, and is a directory if the path says so.
    pub(crate) fn find(&self, base: Inode, path: &str, follow: bool) -> Result<Inode, Errno> {
        let found = self.walk(base, path, follow)?;
        let inode = found.node()?;
        if matches!(found, Found::Name { slash: true, .. }) {
            self.directory(inode)?;
        }
        Ok(inode)
    }
}

/// The components of a path, last first.
fn components(path: &str) -> Result<Vec<String>, Errno> {
    if path.starts_with('/') {
        return Err(Errno::NotPermitted);
    }
    let names = path.split('/').filter(|name| !name.is_empty()).rev();
    names.map(|name| if name.len() > NAME_BYTES { Err(Errno::NameTooLong) } else { Ok(name.to_owned()) }).collect()
}
