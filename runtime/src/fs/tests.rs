//! The tree against a simple model, and its rules one by one.

use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;

use super::*;

const NOW: u64 = 5;

fn empty(quota: u64) -> (Fs, Inode) {
    let fs = Fs::new(Vec::new(), quota, NOW);
    let tmp = fs.find(fs.root(), "tmp", true).unwrap();
    (fs, tmp)
}

fn with_data(bytes: &[u8]) -> Fs {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Fs::new(vec![("set".into(), file, bytes.len() as u64)], 1 << 20, NOW)
}

fn at(fs: &Fs, folder: Inode, path: &str) -> Found {
    fs.walk(folder, path, false).unwrap()
}

fn make(fs: &mut Fs, folder: Inode, path: &str) -> Result<Inode, Errno> {
    let place = fs.walk(folder, path, false)?;
    fs.create_file(place, NOW)
}

fn make_directory(fs: &mut Fs, folder: Inode, path: &str) -> Result<Inode, Errno> {
    let place = fs.walk(folder, path, false)?;
    fs.create_directory(place, NOW)
}

fn names(fs: &Fs, folder: Inode) -> Vec<String> {
    let mut cookie = 0;
    let mut names = Vec::new();
    while let Some((listed, _)) = fs.entry(folder, cookie).unwrap() {
        cookie = listed.next;
        names.push(listed.name);
    }
    names
}

fn content(fs: &Fs, inode: Inode) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(fs.stat(inode).unwrap().size).unwrap()];
    let read = fs.read(inode, 0, &mut bytes).unwrap();
    assert_eq!(read, bytes.len());
    bytes
}

#[derive(Debug, Clone)]
enum Change {
    Write { file: u8, at: u16, length: u16 },
    Resize { file: u8, size: u16 },
    Remove { file: u8 },
    Rename { from: u8, to: u8 },
    Link { from: u8, to: u8 },
}

fn change() -> impl Strategy<Value = Change> {
    let file = || 0u8..5;
    prop_oneof![
        (file(), any::<u16>(), any::<u16>()).prop_map(|(file, at, length)| Change::Write { file, at, length }),
        (file(), any::<u16>()).prop_map(|(file, size)| Change::Resize { file, size }),
        file().prop_map(|file| Change::Remove { file }),
        (file(), file()).prop_map(|(from, to)| Change::Rename { from, to }),
        (file(), file()).prop_map(|(from, to)| Change::Link { from, to }),
    ]
}

proptest! {
    /// Names lead to contents; several names may share one content. The account is the sum of what is there.
    #[test]
    fn the_tree_is_a_map_from_names_to_shared_bytes(changes in prop::collection::vec(change(), 1..60)) {
        let (mut fs, tmp) = empty(1 << 30);
        let mut model: BTreeMap<String, usize> = BTreeMap::new();
        let mut contents: Vec<Vec<u8>> = Vec::new();
        for (n, change) in changes.into_iter().enumerate() {
            match change {
                Change::Write { file, at: offset, length } => {
                    let name = format!("f{file}");
                    let inode = match make(&mut fs, tmp, &name) {
                        Ok(inode) => {
                            contents.push(Vec::new());
                            model.insert(name.clone(), contents.len() - 1);
                            inode
                        }
                        Err(_) => fs.find(tmp, &name, false).unwrap(),
                    };
                    let bytes = vec![n as u8; usize::from(length)];
                    prop_assert_eq!(fs.write(inode, offset.into(), &bytes, NOW), Ok(bytes.len()));
                    if !bytes.is_empty() {
                        let whole = &mut contents[model[&name]];
                        let end = usize::from(offset) + bytes.len();
                        whole.resize(whole.len().max(end), 0);
                        whole[usize::from(offset)..end].copy_from_slice(&bytes);
                    }
                }
                Change::Resize { file, size } => {
                    let name = format!("f{file}");
                    if let Ok(inode) = fs.find(tmp, &name, false) {
                        fs.resize(inode, size.into(), NOW).unwrap();
                        contents[model[&name]].resize(size.into(), 0);
                    }
                }
                Change::Remove { file } => {
                    let name = format!("f{file}");
                    let place = at(&fs, tmp, &name);
                    prop_assert_eq!(fs.remove_file(place, NOW).is_ok(), model.remove(&name).is_some());
                }
                Change::Rename { from, to } => {
                    let (from, to) = (format!("f{from}"), format!("f{to}"));
                    let (old, new) = (at(&fs, tmp, &from), at(&fs, tmp, &to));
                    let renamed = fs.rename(old, new, NOW);
                    prop_assert_eq!(renamed.is_ok(), model.contains_key(&from));
                    if renamed.is_ok() && model.get(&from) != model.get(&to) {
                        let content = model.remove(&from).unwrap();
                        model.insert(to, content);
                    }
                }
                Change::Link { from, to } => {
                    let (from, to) = (format!("f{from}"), format!("f{to}"));
                    if let Ok(inode) = fs.find(tmp, &from, false) {
                        let place = at(&fs, tmp, &to);
                        prop_assert_eq!(fs.link(inode, place, NOW).is_ok(), !model.contains_key(&to));
                        let content = model[&from];
                        model.entry(to).or_insert(content);
                    }
                }
            }
        }
        let mut listed = names(&fs, tmp);
        listed.sort_unstable();
        let expected: Vec<String> = [".", ".."].map(String::from).into_iter().chain(model.keys().cloned()).collect();
        prop_assert_eq!(listed, expected);
        for (name, &index) in &model {
            let inode = fs.find(tmp, name, false).unwrap();
            prop_assert_eq!(&content(&fs, inode), &contents[index]);
        }
        let distinct: std::collections::BTreeSet<_> = model.values().collect();
        let bytes: u64 = distinct.iter().map(|&&index| contents[index].len() as u64 + FILE_COST).sum();
        prop_assert_eq!(fs.used, bytes + (NAME_COST + 2) * model.len() as u64);
    }

    #[test]
    fn no_path_reaches_what_is_not_below_its_start(path in "(\\.\\.|\\.|a|b|/|data|tmp|set){1,12}") {
        let (mut fs, tmp) = empty(1 << 20);
        let a = make_directory(&mut fs, tmp, "a").unwrap();
        make_directory(&mut fs, a, "b").unwrap();
        if let Ok(inode) = fs.find(a, &path, true) {
            let mut up = inode;
            while up != a {
                let parent = fs.directory(up).unwrap().parent();
                prop_assert_ne!(parent, up, "{} leads out", path);
                up = parent;
            }
        }
    }
}

#[test]
fn data_sets_can_be_read_and_nothing_else() {
    let mut fs = with_data(b"0123456789");
    let root = fs.root();
    let set = fs.find(root, "data/set", true).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(fs.read(set, 8, &mut buffer).unwrap(), 2);
    assert_eq!(&buffer[..2], b"89");
    assert_eq!(fs.read(set, u64::MAX, &mut buffer).unwrap(), 0);
    assert_eq!(fs.writable(set), Err(Errno::ReadOnly));
    assert_eq!(fs.write(set, 0, b"x", NOW), Err(Errno::Invalid));
    assert_eq!(fs.resize(set, 0, NOW), Err(Errno::ReadOnly));
    assert_eq!(fs.set_times(set, Some(0), None, NOW), Err(Errno::ReadOnly));
    assert_eq!(make(&mut fs, root, "data/new"), Err(Errno::ReadOnly));
    assert_eq!(make(&mut fs, root, "new"), Err(Errno::ReadOnly));
    assert_eq!(make_directory(&mut fs, root, "new"), Err(Errno::ReadOnly));
    let (place, to) = (at(&fs, root, "data/set"), at(&fs, root, "tmp/set"));
    assert_eq!(fs.remove_file(place.clone(), NOW), Err(Errno::ReadOnly));
    assert_eq!(fs.rename(place, to.clone(), NOW), Err(Errno::ReadOnly));
    assert_eq!(fs.link(set, to, NOW), Err(Errno::ReadOnly));
    for folder in ["data", "tmp", "state"] {
        let place = at(&fs, root, folder);
        assert_eq!(fs.remove_directory(place.clone(), NOW), Err(Errno::ReadOnly));
        let to = at(&fs, root, "tmp/moved");
        assert_eq!(fs.rename(place, to, NOW), Err(Errno::ReadOnly));
    }
}

#[test]
fn the_quota_counts_names_files_and_bytes_and_gives_them_back() {
    let (mut fs, tmp) = empty(FILE_COST + NAME_COST + 10);
    assert_eq!(make(&mut fs, tmp, "a-name-too-long"), Err(Errno::NoSpace));
    let file = make(&mut fs, tmp, "12345").unwrap();
    assert_eq!(make(&mut fs, tmp, "b"), Err(Errno::NoSpace));
    assert_eq!(fs.write(file, 0, b"abcdefgh", NOW), Ok(5));
    assert_eq!(fs.write(file, 5, b"f", NOW), Err(Errno::NoSpace));
    assert_eq!(fs.write(file, u64::MAX, b"f", NOW), Err(Errno::NoSpace));
    assert_eq!(fs.resize(file, 6, NOW), Err(Errno::NoSpace));
    assert_eq!(fs.write(file, 1, b"BC", NOW), Ok(2));
    assert_eq!(content(&fs, file), b"aBCde");
    fs.resize(file, 0, NOW).unwrap();
    fs.open(file).unwrap();
    let place = at(&fs, tmp, "12345");
    fs.remove_file(place, NOW).unwrap();
    // Open: its bytes are still there, and still counted.
    assert_eq!(fs.write(file, 0, b"0123456789", NOW), Ok(10));
    fs.close(file);
    assert_eq!((fs.used, fs.stat(file)), (0, Err(Errno::NotFound)));
}

#[test]
fn a_rename_that_does_not_fit_changes_nothing() {
    let (mut fs, tmp) = empty(2 * (FILE_COST + NAME_COST + 1) + 3);
    make(&mut fs, tmp, "a").unwrap();
    make(&mut fs, tmp, "b").unwrap();
    let (from, to) = (at(&fs, tmp, "a"), at(&fs, tmp, "long-name"));
    assert_eq!(fs.rename(from, to, NOW), Err(Errno::NoSpace));
    assert_eq!(names(&fs, tmp), [".", "..", "a", "b"]);
    let (from, to) = (at(&fs, tmp, "a"), at(&fs, tmp, "four"));
    fs.rename(from, to, NOW).unwrap();
    assert_eq!(names(&fs, tmp), [".", "..", "b", "four"]);
    assert_eq!(fs.used, fs.quota);
}

#[test]
fn directories_move_whole_and_never_into_themselves() {
    let (mut fs, tmp) = empty(1 << 20);
    let a = make_directory(&mut fs, tmp, "a").unwrap();
    let b = make_directory(&mut fs, tmp, "a/b").unwrap();
    let file = make(&mut fs, tmp, "a/b/file").unwrap();
    let mut rename = |from: &str, to: &str| {
        let (from, to) = (at(&fs, tmp, from), at(&fs, tmp, to));
        fs.rename(from, to, NOW)
    };
    assert_eq!(rename("a", "a/c"), Err(Errno::Invalid));
    assert_eq!(rename("a", "a/b/c"), Err(Errno::Invalid));
    assert_eq!(rename("a/b", "a"), Err(Errno::NotEmpty));
    assert_eq!(rename("a/b/file", "a"), Err(Errno::IsDirectory));
    assert_eq!(rename("a", "a/b/file"), Err(Errno::Invalid));
    assert_eq!(rename("a/b", "a/b/file"), Err(Errno::Invalid));
    assert_eq!(rename("a/b/file", "x/"), Err(Errno::NotDirectory));
    assert_eq!(rename("a/b", "b"), Ok(()));
    assert_eq!(rename("b", "b"), Ok(()));
    assert_eq!(fs.find(tmp, "b/file", false), Ok(file));
    assert_eq!(fs.directory(b).unwrap().parent(), tmp);
    assert_eq!(fs.find(b, "../a", false), Err(Errno::NotPermitted));
    let place = at(&fs, tmp, "b");
    assert_eq!(fs.remove_directory(place.clone(), NOW), Err(Errno::NotEmpty));
    assert_eq!(fs.remove_file(place, NOW), Err(Errno::IsDirectory));
    let place = at(&fs, tmp, "a/");
    fs.remove_directory(place, NOW).unwrap();
    assert_eq!(fs.stat(a), Err(Errno::NotFound));
}

#[test]
fn a_removed_directory_that_is_still_open_takes_nothing_new() {
    let (mut fs, tmp) = empty(1 << 20);
    let a = make_directory(&mut fs, tmp, "a").unwrap();
    make(&mut fs, tmp, "file").unwrap();
    fs.open(a).unwrap();
    let place = at(&fs, tmp, "a");
    fs.remove_directory(place, NOW).unwrap();
    assert_eq!(make(&mut fs, a, "new"), Err(Errno::NotFound));
    let (from, to) = (at(&fs, tmp, "file"), at(&fs, a, "moved"));
    assert_eq!(fs.rename(from, to, NOW), Err(Errno::NotFound));
    fs.close(a);
    assert_eq!(fs.stat(a), Err(Errno::NotFound));
}

#[test]
fn links_are_followed_within_bounds() {
    let (mut fs, tmp) = empty(1 << 20);
    make_directory(&mut fs, tmp, "a").unwrap();
    let file = make(&mut fs, tmp, "a/file").unwrap();
    let mut link = |name: &str, target: &str| {
        let place = at(&fs, tmp, name);
        fs.create_link(place, target, NOW)
    };
    assert_eq!(link("l0", "/tmp"), Err(Errno::NotPermitted));
    assert_eq!(link("l0", ""), Err(Errno::NotFound));
    link("to-dir", "a").unwrap();
    link("to-file", "to-dir/file").unwrap();
    link("up", "a/../a/../a/file").unwrap();
    link("out", "../data").unwrap();
    link("ring", "gnir").unwrap();
    link("gnir", "ring").unwrap();
    link("dangling", "a/none").unwrap();
    assert_eq!(fs.find(tmp, "to-file", true), Ok(file));
    assert_ne!(fs.find(tmp, "to-file", false), Ok(file));
    assert_eq!(fs.find(tmp, "to-dir/file", false), Ok(file));
    assert_eq!(fs.find(tmp, "up", true), Ok(file));
    assert_eq!(fs.find(tmp, "to-file/", true), Err(Errno::NotDirectory));
    assert_eq!(fs.find(tmp, "out", true), Err(Errno::NotPermitted));
    assert!(fs.find(fs.root(), "tmp/out", true).is_ok());
    assert_eq!(fs.find(tmp, "ring", true), Err(Errno::Loop));
    assert_eq!(fs.find(tmp, "ring/x", true), Err(Errno::Loop));
    assert_eq!(fs.find(tmp, "dangling", true), Err(Errno::NotFound));
    let place = fs.walk(tmp, "dangling", true).unwrap();
    let made = fs.create_file(place, NOW).unwrap();
    assert_eq!(fs.find(tmp, "a/none", false), Ok(made));
}

#[test]
fn a_listing_survives_deletions_between_its_calls() {
    let (mut fs, tmp) = empty(1 << 20);
    for n in 0..10 {
        make(&mut fs, tmp, &format!("f{n}")).unwrap();
    }
    let (mut cookie, mut seen) = (2, Vec::new());
    while let Some((listed, kind)) = fs.entry(tmp, cookie).unwrap() {
        assert_eq!(kind, FileType::Regular);
        cookie = listed.next;
        let place = at(&fs, tmp, &listed.name);
        fs.remove_file(place, NOW).unwrap();
        seen.push(listed.name);
    }
    assert_eq!(seen, (0..10).map(|n| format!("f{n}")).collect::<Vec<_>>());
    assert_eq!(names(&fs, tmp), [".", ".."]);
}

/// A name takes memory whatever its length: a program that could have one for each byte of its quota would have a
/// hundred times the quota of the host.
#[test]
fn names_are_charged_what_they_take() {
    let (mut fs, tmp) = empty(100_000);
    let file = make(&mut fs, tmp, "file").unwrap();
    let linked = (0..).take_while(|n| {
        let place = at(&fs, tmp, &n.to_string());
        fs.link(file, place, NOW).is_ok()
    });
    let linked = linked.count();
    assert!((200..1_000).contains(&linked), "{linked} names in 100 kB");
}
