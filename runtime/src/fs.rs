//! The file system of one task, all of it in memory: data sets under `/data`, read-only; `/state` and `/tmp` to write.
//!
//! Deliberately absent: the host's file system. A path is a walk over this tree and can't become anything else. All
//! that a program creates is charged to one quota: bytes, names, and every file itself.

#[cfg(any(test, feature = "fuzzing"))]
mod audit;
mod change;
mod directory;
mod image;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;

use crate::ending::Ending;
use crate::host;
use crate::wasi::Fault;
use crate::wasi::abi::{Errno, FileStat, FileType};
use directory::Directory;
pub(crate) use directory::Listed;
pub(crate) use walk::{Found, PATH_BYTES};

pub(crate) type Inode = u64;

/// What a file costs besides its bytes and names: about what it takes here. It bounds their number.
const FILE_COST: u64 = 352;
/// What a name costs besides its bytes.
const NAME_COST: u64 = 160;
/// The folder that outlives a program which is killed, as it was when one of its files was last synced.
const STATE: &str = "state";
/// Folders that a program may change.
const WRITABLE: [&str; 2] = [STATE, "tmp"];

/// The tree.
#[derive(Debug)]
pub(crate) struct Fs {
    nodes: BTreeMap<Inode, Node>,
    root: Inode,
    next: Inode,
    used: u64,
    quota: u64,
}

#[derive(Debug)]
struct Node {
    content: Content,
    /// Names that lead here.
    links: u64,
    /// Descriptors that are open on it: it stays until the last is closed.
    opens: u64,
    /// Not to be changed by the program.
    frozen: bool,
    accessed: u64,
    modified: u64,
    changed: u64,
}

#[derive(Debug)]
enum Content {
    Directory(Directory),
    File(Vec<u8>),
    /// A data set: its open descriptor and size.
    Data(File, u64),
    Link(String),
}

impl Fs {
    /// The tree with its data sets. `now` is the time of every file in it; `quota` is what the program may add, bytes.
    pub(crate) fn new(data: Vec<(String, File, u64)>, quota: u64, now: u64) -> Self {
        let mut fs = Self { nodes: BTreeMap::new(), root: 1, next: 1, used: 0, quota };
        let root = fs.add(Content::Directory(Directory::new(1)), true, now);
        let folder = fs.attach(root, "data", Content::Directory(Directory::new(root)), true, now);
        for name in WRITABLE {
            fs.attach(root, name, Content::Directory(Directory::new(root)), false, now);
        }
        for (name, file, size) in data {
            fs.attach(folder, &name, Content::Data(file, size), true, now);
        }
        fs
    }

    pub(crate) const fn root(&self) -> Inode {
        self.root
    }

    /// The root, for the descriptor that a program finds open.
    pub(crate) fn open_root(&mut self) -> Inode {
        self.open(self.root).expect("the root is never removed");
        self.root
    }

    pub(crate) fn stat(&self, inode: Inode) -> Result<FileStat, Errno> {
        let node = self.node(inode)?;
        Ok(FileStat {
            inode,
            kind: node.kind(),
            links: node.links,
            size: node.size(),
            accessed: node.accessed,
            modified: node.modified,
            changed: node.changed,
        })
    }

    /// Whether a program may write to this file or folder.
    pub(crate) fn writable(&self, inode: Inode) -> Result<(), Errno> {
        if self.node(inode)?.frozen { Err(Errno::ReadOnly) } else { Ok(()) }
    }

    /// Another descriptor on this file.
    pub(crate) fn open(&mut self, inode: Inode) -> Result<(), Errno> {
        self.node_mut(inode)?.opens += 1;
        Ok(())
    }

    /// One descriptor fewer.
    pub(crate) fn close(&mut self, inode: Inode) {
        if let Ok(node) = self.node_mut(inode) {
            node.opens -= 1;
        }
        self.forget_if_unused(inode);
    }

    /// Reads at `offset`; 0 at the end.
    pub(crate) fn read(&self, inode: Inode, offset: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
        let node = self.node(inode)?;
        let left = usize::try_from(node.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        match &node.content {
            Content::File(bytes) if length > 0 => {
                let start = usize::try_from(offset).map_err(|_| Errno::Overflow)?;
                buffer[..length].copy_from_slice(&bytes[start..start + length]);
            }
            Content::Data(file, size) => host::read_at(file, &mut buffer[..length], offset).map_err(|error| {
                Ending::host("input", format!("a data set of {size} bytes can't be read at {offset}: {error}"))
            })?,
            Content::File(_) => {}
            Content::Directory(_) => return Err(Errno::IsDirectory.into()),
            Content::Link(_) => return Err(Errno::Invalid.into()),
        }
        Ok(length)
    }

    /// Writes at `offset` as much as the quota allows; a gap before it reads as zeros.
    pub(crate) fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8], now: u64) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let most = self.node(inode)?.size().saturating_add(self.quota - self.used);
        let room = most.checked_sub(offset).filter(|&room| room > 0).ok_or(Errno::NoSpace)?;
        let length = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let end = offset.checked_add(length as u64).ok_or(Errno::FileTooBig)?;
        if end > self.node(inode)?.size() {
            self.resize(inode, end, now)?;
        }
        let node = self.node_mut(inode)?;
        let Content::File(content) = &mut node.content else { return Err(Errno::Invalid) };
        let start = usize::try_from(offset).map_err(|_| Errno::FileTooBig)?;
        content[start..start + length].copy_from_slice(&bytes[..length]);
        (node.modified, node.changed) = (now, now);
        Ok(length)
    }

    /// Makes a file exactly so long; what is new reads as zeros.
    pub(crate) fn resize(&mut self, inode: Inode, size: u64, now: u64) -> Result<(), Errno> {
        self.writable(inode)?;
        let old = self.node(inode)?.size();
        let room = self.quota - self.used;
        if size.saturating_sub(old) > room {
            return Err(Errno::NoSpace);
        }
        let node = self.node_mut(inode)?;
        let Content::File(content) = &mut node.content else { return Err(Errno::Invalid) };
        let length = usize::try_from(size).map_err(|_| Errno::FileTooBig)?;
        if length > content.capacity() {
            // In large steps, but never beyond what the quota could still fill.
            let most = usize::try_from(old.saturating_add(room)).unwrap_or(usize::MAX);
            let capacity = content.capacity().saturating_mul(2).clamp(length, most.max(length));
            content.reserve_exact(capacity - content.len());
        }
        content.resize(length, 0);
        if content.capacity() / 2 > length {
            content.shrink_to_fit();
        }
        (node.modified, node.changed) = (now, now);
        self.used = self.used + size - old;
        Ok(())
    }

    /// Sets the times that are given.
    pub(crate) fn set_times(
        &mut self,
        inode: Inode,
        accessed: Option<u64>,
        modified: Option<u64>,
        now: u64,
    ) -> Result<(), Errno> {
        self.writable(inode)?;
        let node = self.node_mut(inode)?;
        node.accessed = accessed.unwrap_or(node.accessed);
        node.modified = modified.unwrap_or(node.modified);
        node.changed = now;
        Ok(())
    }

    /// Where a symbolic link points.
    pub(crate) fn link_target(&self, inode: Inode) -> Result<&str, Errno> {
        match &self.node(inode)?.content {
            Content::Link(target) => Ok(target),
            _ => Err(Errno::Invalid),
        }
    }

    /// The first entry of a directory at or after `cookie`; 0 is the beginning.
    pub(crate) fn entry(&self, folder: Inode, cookie: u64) -> Result<Option<(Listed, FileType)>, Errno> {
        let Some(listed) = self.directory(folder)?.entry(folder, cookie) else { return Ok(None) };
        let kind = self.node(listed.inode).map_or(FileType::Directory, Node::kind);
        Ok(Some((listed, kind)))
    }

    fn directory(&self, inode: Inode) -> Result<&Directory, Errno> {
        match &self.node(inode)?.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(Errno::NotDirectory),
        }
    }

    fn directory_mut(&mut self, inode: Inode) -> Result<&mut Directory, Errno> {
        match &mut self.node_mut(inode)?.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(Errno::NotDirectory),
        }
    }

    fn node(&self, inode: Inode) -> Result<&Node, Errno> {
        self.nodes.get(&inode).ok_or(Errno::NotFound)
    }

    fn node_mut(&mut self, inode: Inode) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&inode).ok_or(Errno::NotFound)
    }

    /// A node without a name yet, free of charge.
    fn add(&mut self, content: Content, frozen: bool, now: u64) -> Inode {
        let inode = self.next;
        self.next += 1;
        let links = u64::from(inode == self.root);
        let node = Node { content, links, opens: 0, frozen, accessed: now, modified: now, changed: now };
        self.nodes.insert(inode, node);
        inode
    }

    /// A node that was there before the program, free of charge.
    fn attach(&mut self, folder: Inode, name: &str, content: Content, frozen: bool, now: u64) -> Inode {
        let inode = self.add(content, frozen, now);
        let nodes = &mut self.nodes;
        if let Some(Node { content: Content::Directory(directory), .. }) = nodes.get_mut(&folder) {
            directory.insert(name.to_owned(), inode);
        }
        if let Some(node) = nodes.get_mut(&inode) {
            node.links = 1;
        }
        inode
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Errno> {
        if bytes > self.quota - self.used {
            return Err(Errno::NoSpace);
        }
        self.used += bytes;
        Ok(())
    }

    /// What a name costs.
    const fn name_cost(name: &str) -> u64 {
        NAME_COST + name.len() as u64
    }

    fn forget_if_unused(&mut self, inode: Inode) {
        if self.nodes.get(&inode).is_some_and(|node| node.links == 0 && node.opens == 0)
            && let Some(node) = self.nodes.remove(&inode)
        {
            self.used -= FILE_COST + node.charged();
        }
    }
}

impl Node {
    fn kind(&self) -> FileType {
        match self.content {
            Content::Directory(_) => FileType::Directory,
            Content::File(_) | Content::Data(..) => FileType::Regular,
            Content::Link(_) => FileType::Link,
        }
    }

    fn size(&self) -> u64 {
        match &self.content {
            Content::Directory(_) => 0,
            Content::File(bytes) => bytes.len() as u64,
            Content::Data(_, size) => *size,
            Content::Link(target) => target.len() as u64,
        }
    }

    /// Bytes that count against the quota.
    fn charged(&self) -> u64 {
        match &self.content {
            Content::Directory(_) | Content::Data(..) => 0,
            Content::File(_) | Content::Link(_) => self.size(),
        }
    }
}

#[cfg(test)]
mod tests;
