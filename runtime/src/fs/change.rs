//! Changes to the tree: create, link, rename, remove. Each checks everything before it changes anything.

use super::{Content, Directory, FILE_COST, Found, Fs, Inode};
use crate::wasi::abi::{Errno, FileType};

/// More names for one file than anything real has.
const LINKS: u64 = 65_000;

impl Fs {
    /// A new empty file at a free place.
    pub(crate) fn create_file(&mut self, place: Found, now: u64) -> Result<Inode, Errno> {
        if let Found::Name { slash: true, .. } = place {
            return Err(Errno::IsDirectory);
        }
        self.create(place, Content::File(Vec::new()), now)
    }

    pub(crate) fn create_directory(&mut self, place: Found, now: u64) -> Result<Inode, Errno> {
        let parent = match &place {
            Found::Name { folder, .. } => *folder,
            Found::Itself(_) => return Err(Errno::Exists),
        };
        self.create(place, Content::Directory(Directory::new(parent)), now)
    }

    pub(crate) fn create_link(&mut self, place: Found, target: &str, now: u64) -> Result<Inode, Errno> {
        if target.is_empty() {
            return Err(Errno::NotFound);
        }
        if target.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        if let Found::Name { slash: true, node: None, .. } = place {
            return Err(Errno::NotFound);
        }
        self.create(place, Content::Link(target.to_owned()), now)
    }

    /// Another name for a file.
    pub(crate) fn link(&mut self, inode: Inode, place: Found, now: u64) -> Result<(), Errno> {
        let node = self.node(inode)?;
        if node.kind() == FileType::Directory {
            return Err(Errno::NotPermitted);
        }
        if node.links >= LINKS {
            return Err(Errno::TooManyLinks);
        }
        self.writable(inode)?;
        let (folder, name) = self.free(place)?;
        self.charge(Self::name_cost(&name))?;
        self.enter(folder, name, inode, now)
    }

    pub(crate) fn remove_file(&mut self, place: Found, now: u64) -> Result<(), Errno> {
        let (folder, name, inode, slash) = taken(place)?;
        if self.node(inode)?.kind() == FileType::Directory {
            return Err(Errno::IsDirectory);
        }
        if slash {
            return Err(Errno::NotDirectory);
        }
        self.leave(folder, &name, inode, now)
    }

    pub(crate) fn remove_directory(&mut self, place: Found, now: u64) -> Result<(), Errno> {
        let (folder, name, inode, _) = taken(place)?;
        if !self.directory(inode)?.is_empty() {
            return Err(if self.writable(folder).is_err() { Errno::ReadOnly } else { Errno::NotEmpty });
        }
        self.leave(folder, &name, inode, now)
    }

    /// Moves what is at `from` to `to`, over what is there if POSIX allows it.
    pub(crate) fn rename(&mut self, from: Found, to: Found, now: u64) -> Result<(), Errno> {
        let (folder, name, inode, slash) = taken(from)?;
        let Found::Name { folder: new_folder, name: new_name, node: existing, slash: new_slash } = to else {
            return Err(Errno::Invalid);
        };
        self.writable(folder)?;
        self.writable(new_folder)?;
        let is_directory = self.node(inode)?.kind() == FileType::Directory;
        if (slash || new_slash) && !is_directory {
            return Err(Errno::NotDirectory);
        }
        if is_directory && self.is_within(new_folder, inode) {
            return Err(Errno::Invalid);
        }
        if existing == Some(inode) {
            return Ok(());
        }
        self.may_replace(is_directory, existing)?;
        if self.node(new_folder)?.links == 0 {
            return Err(Errno::NotFound);
        }
        let longer = (new_name.len() as u64).saturating_sub(name.len() as u64);
        self.charge(longer)?;
        self.used -= longer;
        if let Some(existing) = existing {
            self.leave(new_folder, &new_name, existing, now)?;
        }
        // In between it has no name: an open descriptor keeps it.
        self.open(inode)?;
        self.leave(folder, &name, inode, now)?;
        self.charge(Self::name_cost(&new_name))?;
        self.enter(new_folder, new_name, inode, now)?;
        if is_directory {
            self.directory_mut(inode)?.set_parent(new_folder);
        }
        self.close(inode);
        Ok(())
    }

    fn may_replace(&self, with_directory: bool, existing: Option<Inode>) -> Result<(), Errno> {
        let Some(existing) = existing else { return Ok(()) };
        match (with_directory, &self.node(existing)?.content) {
            (true, Content::Directory(directory)) if !directory.is_empty() => Err(Errno::NotEmpty),
            (true, Content::Directory(_)) => Ok(()),
            (true, _) => Err(Errno::NotDirectory),
            (false, Content::Directory(_)) => Err(Errno::IsDirectory),
            (false, _) => Ok(()),
        }
    }

    fn create(&mut self, place: Found, content: Content, now: u64) -> Result<Inode, Errno> {
        let (folder, name) = self.free(place)?;
        let bytes = match &content {
            Content::Link(target) => target.len() as u64,
            _ => 0,
        };
        self.charge(FILE_COST + Self::name_cost(&name) + bytes)?;
        let inode = self.add(content, false, now);
        self.enter(folder, name, inode, now)?;
        Ok(inode)
    }

    /// A free name in a directory that may be changed.
    fn free(&self, place: Found) -> Result<(Inode, String), Errno> {
        match place {
            Found::Name { folder, name, node: None, .. } => {
                self.writable(folder)?;
                // A directory that was removed while it was open takes no new names.
                if self.node(folder)?.links == 0 { Err(Errno::NotFound) } else { Ok((folder, name)) }
            }
            Found::Name { .. } | Found::Itself(_) => Err(Errno::Exists),
        }
    }

    pub(super) fn enter(&mut self, folder: Inode, name: String, inode: Inode, now: u64) -> Result<(), Errno> {
        self.directory_mut(folder)?.insert(name, inode);
        self.touch(folder, now)?;
        let node = self.node_mut(inode)?;
        node.links += 1;
        node.changed = now;
        Ok(())
    }

    fn leave(&mut self, folder: Inode, name: &str, inode: Inode, now: u64) -> Result<(), Errno> {
        self.writable(folder)?;
        self.directory_mut(folder)?.remove(name);
        self.touch(folder, now)?;
        self.used -= Self::name_cost(name);
        let node = self.node_mut(inode)?;
        node.links -= 1;
        node.changed = now;
        self.forget_if_unused(inode);
        Ok(())
    }

    fn touch(&mut self, folder: Inode, now: u64) -> Result<(), Errno> {
        let node = self.node_mut(folder)?;
        (node.modified, node.changed) = (now, now);
        Ok(())
    }

    /// Whether `folder` is `ancestor` or somewhere below it.
    fn is_within(&self, mut folder: Inode, ancestor: Inode) -> bool {
        loop {
            if folder == ancestor {
                return true;
            }
            match self.directory(folder).map(Directory::parent) {
                Ok(parent) if parent != folder => folder = parent,
                _ => return false,
            }
        }
    }
}

/// A name that leads to something.
fn taken(place: Found) -> Result<(Inode, String, Inode, bool), Errno> {
    match place {
        Found::Name { folder, name, node: Some(node), slash } => Ok((folder, name, node, slash)),
        Found::Name { .. } => Err(Errno::NotFound),
        Found::Itself(_) => Err(Errno::Invalid),
    }
}
