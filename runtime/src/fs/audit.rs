//! For tests and fuzzers: counts the whole tree anew, and compares with what it says of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{Content, FILE_COST, Fs, Inode, WRITABLE};

impl Fs {
    /// Whether every name, link, descriptor and byte is accounted for. `open` is what descriptors are open on.
    ///
    /// # Errors
    /// What does not add up.
    pub(crate) fn audit(&self, open: &[Inode]) -> Result<(), String> {
        let names = self.names_by_inode()?;
        for (&inode, node) in &self.nodes {
            let links = names.get(&inode).copied().unwrap_or(0) + u64::from(inode == self.root);
            let opens = open.iter().filter(|&&open| open == inode).count() as u64;
            if (node.links, node.opens) != (links, opens) {
                let said = format!("{} links and {} descriptors", node.links, node.opens);
                return Err(format!("{inode} says {said}, and has {links} and {opens}"));
            }
            if links == 0 && opens == 0 {
                return Err(format!("{inode} is kept by nobody"));
            }
            let folder = matches!(node.content, Content::Directory(_));
            if links > 1 && folder {
                return Err(format!("folder {inode} has {links} names"));
            }
        }
        if open.iter().chain(names.keys()).any(|inode| !self.nodes.contains_key(inode)) {
            return Err("a name or a descriptor leads to nothing".into());
        }
        self.audit_reach(&names)?;
        self.audit_account()
    }

    /// How many names lead to each file and folder.
    fn names_by_inode(&self) -> Result<BTreeMap<Inode, u64>, String> {
        let mut names = BTreeMap::new();
        for &inode in self.nodes.keys() {
            let Ok(folder) = self.directory(inode) else { continue };
            for (name, child) in folder.in_order() {
                *names.entry(child).or_insert(0) += 1;
                if folder.get(name) != Some(child) {
                    return Err(format!("{name:?} is listed in {inode} and can't be found there"));
                }
                if self.directory(child).is_ok_and(|child| child.parent() != inode) {
                    return Err(format!("folder {child} is in {inode} and does not know it"));
                }
            }
        }
        Ok(names)
    }

    /// Everything with a name is below the root.
    fn audit_reach(&self, names: &BTreeMap<Inode, u64>) -> Result<(), String> {
        let mut reached = BTreeSet::from([self.root]);
        let mut ahead = vec![self.root];
        while let Some(inode) = ahead.pop() {
            let Ok(folder) = self.directory(inode) else { continue };
            ahead.extend(folder.in_order().map(|(_, child)| child).filter(|&child| reached.insert(child)));
        }
        match names.keys().find(|inode| !reached.contains(inode)) {
            Some(lost) => Err(format!("{lost} has a name and can't be reached")),
            None => Ok(()),
        }
    }

    /// What is charged is what is there, and memory is not taken far beyond it.
    fn audit_account(&self) -> Result<(), String> {
        let root = self.directory(self.root).map_err(|_| "the root is no folder")?;
        let given: Vec<_> = WRITABLE.iter().filter_map(|name| root.get(name)).collect();
        let (mut due, mut taken, mut files) = (0, 0, 0);
        for (inode, node) in self.nodes.iter().filter(|(_, node)| !node.frozen) {
            due += if given.contains(inode) { 0 } else { FILE_COST + node.charged() };
            match &node.content {
                Content::Directory(folder) => {
                    due += folder.in_order().map(|(name, _)| Self::name_cost(name)).sum::<u64>()
                }
                Content::File(bytes) => (taken, files) = (taken + bytes.capacity() as u64, files + 1),
                Content::Data(..) | Content::Link(_) => {}
            }
        }
        if self.used != due || due > self.quota {
            return Err(format!("{} bytes are charged of {}, and {due} are there", self.used, self.quota));
        }
        if taken > 2 * self.quota + 16 * files {
            return Err(format!("{taken} bytes of memory are taken for a quota of {}", self.quota));
        }
        Ok(())
    }
}
