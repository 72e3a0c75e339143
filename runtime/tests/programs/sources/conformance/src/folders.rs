//! Folders: making, listing, removing, and what can't be done with them.

use std::collections::BTreeSet;

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("dir_fd_op_failures", dir_fd_op_failures),
    ("directory_seek", directory_seek),
    ("fd_readdir", fd_readdir),
    ("fdopendir-with-access", fdopendir_with_access),
    ("remove_directory", remove_directory),
    ("remove_directory_trailing_slashes", remove_directory_trailing_slashes),
    ("remove_nonempty_directory", remove_nonempty_directory),
    ("unlink_file_trailing_slashes", unlink_file_trailing_slashes),
];

/// One line of a listing.
#[derive(Debug)]
struct Entry {
    next: u64,
    inode: u64,
    kind: Filetype,
    name: String,
}

/// The whole entries of one call, and how much of the buffer it filled.
fn listing(fd: Fd, room: usize, cookie: u64) -> (Vec<Entry>, usize) {
    let mut buffer = vec![0; room];
    let used = raw!(fd_readdir(fd, buffer.as_mut_ptr(), room, cookie)).expect("fd_readdir");
    let long = |at: usize| u64::from_le_bytes(buffer[at..at + 8].try_into().expect("8 bytes"));
    let mut entries = Vec::new();
    let mut at = 0;
    while at + size_of::<Dirent>() <= used {
        let length = u32::from_le_bytes(buffer[at + 16..at + 20].try_into().expect("4 bytes")) as usize;
        let name = at + size_of::<Dirent>();
        if name + length > used {
            break;
        }
        // SAFETY: a filetype is a number in a transparent wrapper.
        let kind = unsafe { std::mem::transmute::<u8, Filetype>(buffer[at + 20]) };
        let text = String::from_utf8(buffer[name..name + length].to_vec()).expect("a name is text");
        entries.push(Entry { next: long(at), inode: long(at + 8), kind, name: text });
        at = name + length;
    }
    (entries, used)
}

fn all(fd: Fd, room: usize) -> Vec<Entry> {
    let (mut entries, mut cookie) = (Vec::new(), DIRCOOKIE_START);
    loop {
        let (more, used) = listing(fd, room, cookie);
        cookie = more.last().map_or(cookie, |last| last.next);
        entries.extend(more);
        if used < room {
            return entries;
        }
    }
}

fn dir_fd_op_failures(folder: Fd) {
    let not_here = [ERRNO_BADF, ERRNO_ISDIR, ERRNO_NOTCAPABLE];
    refused(try_read(folder, 10), &not_here);
    refused(try_read_at(folder, 0, 10), &not_here);
    refused(try_write(folder, &[0; 10]), &not_here);
    refused(try_write_at(folder, 0, &[0; 10]), &not_here);
    refused(raw!(fd_seek(folder, 0, WHENCE_CUR)), &not_here);
    refused(raw!(fd_seek(folder, 0, WHENCE_END)), &not_here);
    refused(raw!(fd_tell(folder)), &not_here);
    refused(raw!(fd_filestat_set_size(folder, 0)), &[ERRNO_BADF, ERRNO_ISDIR, ERRNO_NOTCAPABLE, ERRNO_INVAL]);
    refused(raw!(fd_advise(folder, 0, 0, ADVICE_NORMAL)), &not_here);
    refused(raw!(fd_allocate(folder, 0, 10)), &not_here);
}

fn directory_seek(folder: Fd) {
    new_folder(folder, "dir");
    let fd = open(folder, "dir", OFLAGS_DIRECTORY, RIGHTS_FD_SEEK).expect("it is opened");
    refused(raw!(fd_seek(fd, 0, WHENCE_CUR)), &[ERRNO_BADF]);
    let own = raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
    assert_eq!((own.fs_filetype, own.fs_rights_base & RIGHTS_FD_SEEK), (FILETYPE_DIRECTORY, 0));
}

fn fd_readdir(folder: Fd) {
    // Empty but for itself and its parent.
    let own = stat(folder);
    let entries = all(folder, 256);
    assert_eq!(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), [".", ".."]);
    assert!(entries.iter().all(|entry| entry.kind == FILETYPE_DIRECTORY));
    assert_eq!(entries[0].inode, own.ino);

    let file = new_file(folder, "file");
    new_folder(folder, "nested");
    let entries = all(folder, 4_096);
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [".", "..", "file", "nested"]);
    assert_eq!((entries[2].inode, entries[2].kind), (stat(file).ino, FILETYPE_REGULAR_FILE));
    assert_eq!((entries[3].inode, entries[3].kind), (stat_at(folder, "nested").ino, FILETYPE_DIRECTORY));
    // A cookie leads to what comes after its entry, in a folder as it was.
    for n in 0..entries.len() {
        let (rest, _) = listing(folder, 4_096, entries[n].next);
        let rest: Vec<_> = rest.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(rest, names[n + 1..]);
    }
    unlink(folder, "file");
    remove(folder, "nested");

    // Very many, and names that a buffer cuts inside a character.
    let names: BTreeSet<String> = (0..1_000).map(|n| format!("Действие-{n}-日本語")).collect();
    names.iter().for_each(|name| touch(folder, name));
    for room in [100, 256, 4_096, 100_000] {
        let entries = all(folder, room);
        let listed: BTreeSet<String> = entries.into_iter().skip(2).map(|entry| entry.name).collect();
        assert_eq!(listed, names, "a buffer of {room} bytes");
    }
}

fn fdopendir_with_access(folder: Fd) {
    touch(folder, "file");
    let listed = std::fs::read_dir("/state").expect("it is listed");
    let names: Vec<_> = listed.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["file"]);
}

fn remove_directory(folder: Fd) {
    new_folder(folder, "dir");
    remove(folder, "dir");
    refused(raw!(path_remove_directory(folder, "dir")), &[ERRNO_NOENT]);
    touch(folder, "file");
    refused(raw!(path_remove_directory(folder, "file")), &[ERRNO_NOTDIR]);
    refused(raw!(path_remove_directory(folder, ".")), &[ERRNO_INVAL, ERRNO_NOTEMPTY, ERRNO_PERM]);
}

fn remove_directory_trailing_slashes(folder: Fd) {
    for path in ["dir", "dir/", "dir///"] {
        new_folder(folder, "dir");
        remove(folder, path);
    }
    touch(folder, "file");
    refused(raw!(path_remove_directory(folder, "file")), &[ERRNO_NOTDIR]);
    refused(raw!(path_remove_directory(folder, "file/")), &[ERRNO_NOTDIR]);
}

fn remove_nonempty_directory(folder: Fd) {
    new_folder(folder, "dir");
    new_folder(folder, "dir/nested");
    refused(raw!(path_remove_directory(folder, "dir")), &[ERRNO_NOTEMPTY]);
    remove(folder, "dir/nested");
    remove(folder, "dir");
}

fn unlink_file_trailing_slashes(folder: Fd) {
    new_folder(folder, "dir");
    for path in ["dir", "dir/"] {
        refused(raw!(path_unlink_file(folder, path)), &[ERRNO_ISDIR, ERRNO_PERM, ERRNO_ACCES]);
    }
    touch(folder, "file");
    refused(raw!(path_unlink_file(folder, "file/")), &[ERRNO_NOTDIR]);
    unlink(folder, "file");
    refused(raw!(path_unlink_file(folder, "file")), &[ERRNO_NOENT]);
}
