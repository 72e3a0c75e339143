//! Descriptors: standard ones, the one that is found open, closing, renumbering, flags and rights.

use crate::raw::*;
use crate::{Case, ROOT};

pub const CASES: &[Case] = &[
    ("close_preopen", close_preopen),
    ("dangling_fd", dangling_fd),
    ("fd_fdstat_set_rights", fd_fdstat_set_rights),
    ("fd_flags_set", fd_flags_set),
    ("isatty", isatty),
    ("overwrite_preopen", overwrite_preopen),
    ("path_open_preopen", path_open_preopen),
    ("renumber", renumber),
    ("stdio", stdio),
    ("truncation_rights", truncation_rights),
];

fn is_folder(fd: Fd) -> bool {
    raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get").fs_filetype == FILETYPE_DIRECTORY
}

fn close_preopen(folder: Fd) {
    assert!(folder > ROOT);
    close(ROOT);
    refused(raw!(fd_fdstat_get(ROOT)), &[ERRNO_BADF]);
    assert!(is_folder(folder));
    refused(raw!(fd_renumber(ROOT, folder)), &[ERRNO_BADF]);
    assert!(is_folder(folder), "what was to be replaced is still open");
    refused(raw!(fd_renumber(folder, ROOT)), &[ERRNO_BADF]);
    assert!(is_folder(folder));
}

fn overwrite_preopen(folder: Fd) {
    touch(folder, "here");
    raw!(fd_renumber(folder, ROOT)).expect("fd_renumber");
    refused(raw!(fd_fdstat_get(folder)), &[ERRNO_BADF]);
    assert!(is_folder(ROOT));
    stat_at(ROOT, "here");
}

fn dangling_fd(folder: Fd) {
    touch(folder, "file");
    let old = open(folder, "file", 0, READ_WRITE).expect("it is opened");
    unlink(folder, "file");
    let new = open(folder, "file", OFLAGS_CREAT, READ_WRITE).expect("its name is free again");
    assert_ne!(stat(old).ino, stat(new).ino);
    close(old);
    close(new);
    unlink(folder, "file");

    new_folder(folder, "subdir");
    let old = open(folder, "subdir", OFLAGS_DIRECTORY, 0).expect("it is opened");
    remove(folder, "subdir");
    new_folder(folder, "subdir");
    close(old);
    remove(folder, "subdir");
}

fn fd_fdstat_set_rights(folder: Fd) {
    let fd = new_file(folder, "file");
    let before = raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
    assert_ne!(before.fs_rights_base & RIGHTS_FD_READ, 0);
    let less = before.fs_rights_base & !RIGHTS_FD_READ;
    raw!(fd_fdstat_set_rights(fd, less, before.fs_rights_inheriting)).expect("rights are given up");
    assert_eq!(raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get").fs_rights_base & RIGHTS_FD_READ, 0);
    let back = raw!(fd_fdstat_set_rights(fd, before.fs_rights_base, before.fs_rights_inheriting));
    refused(back, &[ERRNO_NOTCAPABLE]);
    refused(raw!(fd_fdstat_set_rights(fd, u64::MAX, u64::MAX)), &[ERRNO_NOTCAPABLE]);
    refused(try_read(fd, 1), &[ERRNO_BADF, ERRNO_NOTCAPABLE]);
}

fn fd_flags_set(folder: Fd) {
    let how = OFLAGS_CREAT;
    let fd = raw!(path_open(folder, 0, "file", how, READ_WRITE, 0, FDFLAGS_APPEND)).expect("path_open");
    assert_eq!(raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get").fs_flags & FDFLAGS_APPEND, FDFLAGS_APPEND);
    write(fd, &[0; 100]);
    assert_eq!(raw!(fd_tell(fd)), Ok(100));
    seek(fd, 0, WHENCE_SET);
    write(fd, &[1; 100]);
    assert_eq!(stat(fd).size, 200, "with the flag, it is appended wherever the descriptor stands");
    raw!(fd_fdstat_set_flags(fd, 0)).expect("fd_fdstat_set_flags");
    seek(fd, 0, WHENCE_SET);
    write(fd, &[2; 50]);
    assert_eq!(stat(fd).size, 200, "without the flag, it is overwritten");
    seek(fd, 0, WHENCE_SET);
    let content = read(fd, 300);
    assert_eq!(content, [vec![2; 50], vec![0; 50], vec![1; 100]].concat());
}

fn isatty(folder: Fd) {
    let fd = new_file(folder, "file");
    for fd in [fd, 0, 1, 2] {
        let stat = raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
        assert_ne!(stat.fs_filetype, FILETYPE_CHARACTER_DEVICE, "descriptor {fd}");
    }
}

fn path_open_preopen(_: Fd) {
    let own = raw!(fd_fdstat_get(ROOT)).expect("fd_fdstat_get");
    assert_eq!(own.fs_filetype, FILETYPE_DIRECTORY);
    let again = |rights, passed_on| raw!(path_open(ROOT, 0, ".", OFLAGS_DIRECTORY, rights, passed_on, 0));
    for (rights, passed_on) in [
        (own.fs_rights_base, own.fs_rights_inheriting),
        (0, 0),
        (RIGHTS_FD_READDIR, 0),
        (RIGHTS_FD_READDIR | RIGHTS_PATH_OPEN, RIGHTS_FD_READ),
    ] {
        close(again(rights, passed_on).expect("a folder is opened through itself"));
    }
    refused(again(RIGHTS_FD_READ | RIGHTS_FD_WRITE, 0), &[ERRNO_ISDIR]);
}

fn renumber(folder: Fd) {
    let from = new_file(folder, "file1");
    let before = raw!(fd_fdstat_get(from)).expect("fd_fdstat_get");
    let to = new_file(folder, "file2");
    let (one, two) = (stat(from).ino, stat(to).ino);
    assert_ne!(one, two);
    raw!(fd_renumber(from, to)).expect("fd_renumber");
    refused(raw!(fd_close(from)), &[ERRNO_BADF]);
    let after = raw!(fd_fdstat_get(to)).expect("fd_fdstat_get");
    assert_eq!(
        (before.fs_filetype, before.fs_flags, before.fs_rights_base, before.fs_rights_inheriting),
        (after.fs_filetype, after.fs_flags, after.fs_rights_base, after.fs_rights_inheriting)
    );
    assert_eq!(stat(to).ino, one);
    refused(raw!(fd_renumber(to, 9_999)), &[ERRNO_BADF]);
    refused(raw!(fd_renumber(9_999, to)), &[ERRNO_BADF]);
    close(to);
    // The number is free for the next, and leads to the new file.
    let next = open(folder, "file2", 0, READ_WRITE).expect("path_open");
    assert_eq!((next, stat(next).ino), (from.min(to), two));
}

fn stdio(_: Fd) {
    for fd in 0..3 {
        raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
        refused(raw!(fd_renumber(fd, fd + 100)), &[ERRNO_BADF]);
    }
}

fn truncation_rights(folder: Fd) {
    touch(folder, "file");
    let own = raw!(fd_fdstat_get(folder)).expect("fd_fdstat_get");
    assert_ne!(own.fs_rights_base & RIGHTS_PATH_FILESTAT_SET_SIZE, 0);
    close(open(folder, "file", OFLAGS_TRUNC, RIGHTS_FD_WRITE).expect("it may be emptied"));
    let less = own.fs_rights_base & !RIGHTS_PATH_FILESTAT_SET_SIZE;
    raw!(fd_fdstat_set_rights(folder, less, own.fs_rights_inheriting)).expect("the right is given up");
    refused(open(folder, "file", OFLAGS_TRUNC, RIGHTS_FD_WRITE), &[ERRNO_NOTCAPABLE, ERRNO_PERM]);
    close(open(folder, "file", 0, RIGHTS_FD_WRITE).expect("without emptying it, it is opened"));
    refused(raw!(fd_fdstat_set_rights(folder, own.fs_rights_base, own.fs_rights_inheriting)), &[ERRNO_NOTCAPABLE]);
}
