//! What is below `/state`, as bytes: what a checkpoint keeps, and what a restarted program finds.
//!
//! Deliberately absent: everything else that a program had open or in memory. An image is foreign when it comes back:
//! it passed through a disk, and is checked like anything that a stranger sends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Content, Directory, FILE_COST, Fs, Inode, STATE};
use crate::wasi::abi::Errno;

const NAME_BYTES: usize = 255;

/// Why an image can't be used.
#[derive(Debug, Error)]
pub(crate) enum ImageError {
    #[error("the image of /state can't be decoded")]
    Malformed(#[from] postcard::Error),
    #[error("the image of /state is not a tree of files")]
    NotATree,
    #[error("the image of /state is larger than the task's files may be")]
    TooLarge,
}

/// The nodes, the folder itself first. Folders name their entries by position here.
#[derive(Debug, Serialize, Deserialize)]
struct Image<'a>(#[serde(borrow)] Vec<Saved<'a>>);

#[derive(Debug, Serialize, Deserialize)]
struct Saved<'a> {
    accessed: u64,
    modified: u64,
    changed: u64,
    #[serde(borrow)]
    content: SavedContent<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
enum SavedContent<'a> {
    #[serde(borrow)]
    Directory(Vec<(&'a str, u64)>),
    File(&'a [u8]),
    Link(&'a str),
}

impl Fs {
    /// Whether a file or folder has a name below `/state`, or is that folder.
    pub(crate) fn in_state(&self, inode: Inode) -> bool {
        self.below_state().contains(&inode)
    }

    /// What is below `/state` now.
    pub(crate) fn state_image(&self) -> Vec<u8> {
        let inodes = self.below_state();
        let position: BTreeMap<Inode, u64> = inodes.iter().copied().zip(0..).collect();
        let saved = inodes.iter().filter_map(|inode| self.nodes.get(inode)).map(|node| Saved {
            accessed: node.accessed,
            modified: node.modified,
            changed: node.changed,
            content: match &node.content {
                Content::Directory(folder) => SavedContent::Directory(
                    folder.in_order().map(|(name, inode)| (name, position.get(&inode).copied().unwrap_or(0))).collect(),
                ),
                Content::File(bytes) => SavedContent::File(bytes),
                Content::Link(target) => SavedContent::Link(target),
                // Only below /data.
                Content::Data(..) => SavedContent::File(&[]),
            },
        });
        postcard::to_stdvec(&Image(saved.collect())).expect("writing to memory does not fail")
    }

    /// Puts what an image holds below an empty `/state`, at the cost that creating it had.
    ///
    /// # Errors
    /// When the image is broken or does not fit; the tree is of no use then.
    pub(crate) fn restore_state(&mut self, image: &[u8]) -> Result<(), ImageError> {
        let (Image(saved), rest) = postcard::take_from_bytes::<Image<'_>>(image)?;
        if !rest.is_empty() || !is_tree(&saved) {
            return Err(ImageError::NotATree);
        }
        let mut inodes = vec![self.state()];
        for node in &saved[1..] {
            self.charge(FILE_COST).map_err(too_large)?;
            inodes.push(self.add(node.content.restored(), false, 0));
        }
        let nodes = saved.iter().zip(inodes.iter().copied());
        for (node, inode) in nodes.clone() {
            match &node.content {
                SavedContent::Directory(entries) => {
                    for &(name, position) in entries {
                        let child = usize::try_from(position).ok().and_then(|at| inodes.get(at)).copied();
                        self.name_restored(inode, name, child.ok_or(ImageError::NotATree)?)?;
                    }
                }
                SavedContent::File(bytes) => {
                    self.charge(bytes.len() as u64).map_err(too_large)?;
                    if let Some(Content::File(content)) = self.nodes.get_mut(&inode).map(|node| &mut node.content) {
                        content.extend_from_slice(bytes);
                    }
                }
                SavedContent::Link(target) => self.charge(target.len() as u64).map_err(too_large)?,
            }
        }
        for (saved, inode) in nodes {
            if let Ok(node) = self.node_mut(inode) {
                (node.accessed, node.modified, node.changed) = (saved.accessed, saved.modified, saved.changed);
            }
        }
        Ok(())
    }

    fn name_restored(&mut self, folder: Inode, name: &str, child: Inode) -> Result<(), ImageError> {
        self.charge(Self::name_cost(name)).map_err(too_large)?;
        let known = self.directory(folder).is_ok_and(|folder| folder.get(name).is_some());
        if known {
            return Err(ImageError::NotATree);
        }
        self.enter(folder, name.to_owned(), child, 0).map_err(|_| ImageError::NotATree)?;
        if let Ok(directory) = self.directory_mut(child) {
            directory.set_parent(folder);
        }
        Ok(())
    }

    fn state(&self) -> Inode {
        self.directory(self.root)
            .ok()
            .and_then(|root| root.get(STATE))
            .expect("it is there from the beginning, and the root is frozen")
    }

    /// `/state` and all that has a name below it, each once, folders before what they hold.
    fn below_state(&self) -> Vec<Inode> {
        let mut found = vec![self.state()];
        let mut seen: std::collections::BTreeSet<Inode> = found.iter().copied().collect();
        let mut at = 0;
        while let Some(&inode) = found.get(at) {
            at += 1;
            if let Ok(folder) = self.directory(inode) {
                found.extend(folder.in_order().map(|(_, inode)| inode).filter(|&inode| seen.insert(inode)));
            }
        }
        found
    }
}

impl SavedContent<'_> {
    /// Empty as yet, but for links.
    fn restored(&self) -> Content {
        match self {
            Self::Directory(_) => Content::Directory(Directory::new(0)),
            Self::File(_) => Content::File(Vec::new()),
            Self::Link(target) => Content::Link((*target).to_owned()),
        }
    }
}

fn too_large(_: Errno) -> ImageError {
    ImageError::TooLarge
}

/// Whether these nodes are one tree under the first, whose folders have one name each and whose files have at least one.
fn is_tree(saved: &[Saved<'_>]) -> bool {
    let Some(Saved { content: SavedContent::Directory(_), .. }) = saved.first() else { return false };
    let mut names = vec![0_u64; saved.len()];
    for (at, node) in saved.iter().enumerate() {
        match &node.content {
            SavedContent::Directory(entries) => {
                for (name, position) in entries {
                    let child = usize::try_from(*position).unwrap_or(usize::MAX);
                    // Folders come before what they hold, so that no folder can be below itself.
                    let in_place =
                        child > at || matches!(saved.get(child), Some(node) if !node.is_folder() && child > 0);
                    if !in_place || child >= saved.len() || !is_name(name) {
                        return false;
                    }
                    names[child] += 1;
                }
            }
            SavedContent::File(_) => {}
            SavedContent::Link(target) => {
                if target.is_empty() || target.starts_with('/') {
                    return false;
                }
            }
        }
    }
    saved.iter().zip(names).skip(1).all(|(node, names)| names == 1 || (names > 1 && !node.is_folder()))
}

impl Saved<'_> {
    fn is_folder(&self) -> bool {
        matches!(self.content, SavedContent::Directory(_))
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len()) && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::Found;

    fn place(fs: &Fs, path: &str) -> Found {
        fs.walk(fs.root(), path, false).unwrap()
    }

    fn filled() -> Fs {
        let mut fs = Fs::new(Vec::new(), 100_000, 7);
        fs.create_directory(place(&fs, "state/deep"), 1).unwrap();
        let file = fs.create_file(place(&fs, "state/deep/file"), 2).unwrap();
        fs.write(file, 0, b"what was computed", 3).unwrap();
        fs.link(file, place(&fs, "state/second"), 4).unwrap();
        fs.create_link(place(&fs, "state/link"), "deep/file", 5).unwrap();
        let elsewhere = fs.create_file(place(&fs, "tmp/other"), 6).unwrap();
        fs.write(elsewhere, 0, b"not kept", 6).unwrap();
        fs
    }

    fn read(fs: &Fs, path: &str) -> Vec<u8> {
        let inode = fs.find(fs.root(), path, true).unwrap();
        let mut bytes = vec![0; 100];
        let length = fs.read(inode, 0, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn an_image_brings_back_files_folders_names_links_and_times() {
        let before = filled();
        let mut after = Fs::new(Vec::new(), 100_000, 7);
        after.restore_state(&before.state_image()).unwrap();
        for path in ["state/deep/file", "state/second", "state/link"] {
            assert_eq!(read(&after, path), b"what was computed", "{path}");
        }
        let stat = |fs: &Fs, path| {
            let stat = fs.stat(fs.find(fs.root(), path, false).unwrap()).unwrap();
            (stat.links, stat.size, stat.accessed, stat.modified, stat.changed)
        };
        for path in ["state", "state/deep", "state/second", "state/link"] {
            assert_eq!(stat(&after, path), stat(&before, path), "{path}");
        }
        assert!(after.find(after.root(), "tmp/other", false).is_err());
        assert_eq!(after.state_image(), before.state_image());
        // What was charged is given back in full.
        for path in ["state/second", "state/link", "state/deep/file"] {
            after.remove_file(place(&after, path), 9).unwrap();
        }
        after.remove_directory(place(&after, "state/deep"), 9).unwrap();
        assert_eq!(after.used, 0);
    }

    #[test]
    fn only_what_has_a_name_below_state_counts() {
        let mut fs = filled();
        let file = fs.find(fs.root(), "state/second", false).unwrap();
        assert!(fs.in_state(file) && fs.in_state(fs.state()));
        assert!(!fs.in_state(fs.find(fs.root(), "tmp/other", false).unwrap()));
        fs.open(file).unwrap();
        for path in ["state/second", "state/deep/file"] {
            fs.remove_file(place(&fs, path), 9).unwrap();
        }
        assert!(!fs.in_state(file), "an open file without a name is lost with the program");
    }

    #[test]
    fn an_image_that_does_not_fit_is_refused() {
        let image = filled().state_image();
        let mut small = Fs::new(Vec::new(), 1_000, 0);
        assert!(matches!(small.restore_state(&image), Err(ImageError::TooLarge)));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let node = |content| Saved { accessed: 0, modified: 0, changed: 0, content };
        let folder = |entries: &[(&'static str, u64)]| node(SavedContent::Directory(entries.to_vec()));
        let broken = [
            vec![],
            vec![node(SavedContent::File(b""))],
            vec![folder(&[("itself", 0)])],
            vec![folder(&[("a", 9)])],
            vec![folder(&[("a", 1)]), folder(&[("up", 0)])],
            vec![folder(&[("a", 1), ("b", 1)]), folder(&[])],
            vec![folder(&[]), folder(&[("a", 1)])],
            vec![folder(&[]), node(SavedContent::File(b"lost"))],
            vec![folder(&[("a", 1), ("a", 2)]), node(SavedContent::File(b"")), node(SavedContent::File(b""))],
            vec![folder(&[("..", 1)]), folder(&[])],
            vec![folder(&[("a/b", 1)]), folder(&[])],
            vec![folder(&[("", 1)]), folder(&[])],
            vec![folder(&[("a", 1)]), node(SavedContent::Link("/etc"))],
            vec![folder(&[("a", 1)]), node(SavedContent::Link(""))],
        ];
        for nodes in broken {
            let said = format!("{nodes:?}");
            let image = postcard::to_stdvec(&Image(nodes)).unwrap();
            assert!(Fs::new(Vec::new(), 100_000, 0).restore_state(&image).is_err(), "{said}");
        }
    }

    /// The supervisor takes no more than the quota and a margin: more would be the worker's fault, and it is not.
    #[test]
    fn an_image_is_never_larger_than_the_quota() {
        let mut fs = Fs::new(Vec::new(), 50_000, 7);
        let file = fs.create_file(place(&fs, "state/file"), 1).unwrap();
        for n in 0.. {
            let place = place(&fs, &format!("state/{n}"));
            if fs.link(file, place, 1).is_err() {
                break;
            }
        }
        assert!(fs.state_image().len() as u64 <= fs.quota, "{} bytes", fs.state_image().len());
    }

    proptest! {
        #[test]
        fn a_damaged_image_never_breaks_the_tree(at in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<prop::sample::Index>()) {
            let mut image = filled().state_image();
            let flipped = at.index(image.len());
            image[flipped] ^= 1 << bit;
            image.truncate(cut.index(image.len()) + 1);
            let mut fs = Fs::new(Vec::new(), 100_000, 0);
            if fs.restore_state(&image).is_ok() {
                prop_assert!(fs.used <= 100_000);
                let again = fs.state_image();
                Fs::new(Vec::new(), 100_000, 0).restore_state(&again).unwrap();
            }
        }
    }
}
