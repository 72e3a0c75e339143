//! Hard and symbolic links.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("dangling_symlink", dangling_symlink),
    ("nofollow_errors", nofollow_errors),
    ("path_link", path_link),
    ("path_symlink_trailing_slashes", path_symlink_trailing_slashes),
    ("readlink", readlink),
    ("symlink_create", symlink_create),
    ("symlink_filestat", symlink_filestat),
    ("symlink_loop", symlink_loop),
];

#[track_caller]
fn symlink(target: &str, folder: Fd, path: &str) {
    raw!(path_symlink(target, folder, path)).expect("path_symlink");
}

fn dangling_symlink(folder: Fd) {
    symlink("target", folder, "symlink");
    refused(open(folder, "symlink", OFLAGS_DIRECTORY, 0), &[ERRNO_NOTDIR, ERRNO_LOOP]);
    refused(open(folder, "symlink", 0, RIGHTS_FD_READ), &[ERRNO_LOOP]);
    refused(open_followed(folder, "symlink", 0, RIGHTS_FD_READ), &[ERRNO_NOENT]);
    unlink(folder, "symlink");
}

fn nofollow_errors(folder: Fd) {
    new_folder(folder, "target");
    symlink("target", folder, "symlink");
    refused(open(folder, "symlink", OFLAGS_DIRECTORY, 0), &[ERRNO_LOOP, ERRNO_NOTDIR]);
    refused(open(folder, "symlink", 0, 0), &[ERRNO_LOOP, ERRNO_NOTDIR]);
    close(open_followed(folder, "symlink", OFLAGS_DIRECTORY, 0).expect("followed, it is a folder"));
    remove(folder, "target");

    touch(folder, "target");
    refused(open(folder, "symlink", OFLAGS_DIRECTORY, 0), &[ERRNO_LOOP, ERRNO_NOTDIR]);
    refused(open(folder, "symlink", 0, 0), &[ERRNO_LOOP, ERRNO_NOTDIR]);
    refused(open_followed(folder, "symlink", OFLAGS_DIRECTORY, 0), &[ERRNO_NOTDIR]);
    close(open_followed(folder, "symlink", 0, 0).expect("followed, it is a file"));
}

fn path_link(folder: Fd) {
    let file = new_file(folder, "file");
    write(file, b"shared");
    let link = |from: &str, to: &str| raw!(path_link(folder, 0, from, folder, to));
    link("file", "link").expect("a second name");
    let (one, two) = (stat_at(folder, "file"), stat_at(folder, "link"));
    assert_eq!((one.ino, one.nlink), (two.ino, 2));
    let through = open(folder, "link", 0, READ_WRITE).expect("it is opened by its second name");
    assert_eq!(read(through, 99), b"shared");
    let own = |fd| raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
    assert_eq!(
        (own(file).fs_filetype, own(file).fs_rights_base),
        (own(through).fs_filetype, own(through).fs_rights_base)
    );
    unlink(folder, "link");
    assert_eq!(stat(file).nlink, 1);

    // Into another folder.
    new_folder(folder, "subdir");
    let below = crate::raw::folder(folder, "subdir");
    raw!(path_link(folder, 0, "file", below, "link")).expect("a name in another folder");
    assert_eq!(stat_at(below, "link").ino, one.ino);
    unlink(below, "link");

    refused(link("file", "link/"), &[ERRNO_NOENT]);
    refused(link("file/", "link"), &[ERRNO_NOTDIR]);
    refused(link("none", "link"), &[ERRNO_NOENT]);
    refused(link("file", "file"), &[ERRNO_EXIST]);
    refused(link("subdir", "link"), &[ERRNO_PERM, ERRNO_ACCES]);
    refused(link("file", "subdir"), &[ERRNO_EXIST]);
    refused(link("file", "subdir/"), &[ERRNO_EXIST]);

    // A symbolic link is linked to itself, or followed if that was asked for.
    symlink("none", folder, "symlink");
    link("symlink", "link").expect("a second name for a dangling link");
    assert_eq!(stat_at(folder, "link").filetype, FILETYPE_SYMBOLIC_LINK);
    refused(link("file", "symlink"), &[ERRNO_EXIST]);
    let followed = raw!(path_link(folder, LOOKUPFLAGS_SYMLINK_FOLLOW, "symlink", folder, "followed"));
    refused(followed, &[ERRNO_NOENT, ERRNO_INVAL]);
    symlink("symlink-loop", folder, "symlink-loop");
    link("symlink-loop", "link-loop").expect("a second name for a loop");
}

fn path_symlink_trailing_slashes(folder: Fd) {
    let link = |path: &str| raw!(path_symlink("source", folder, path));
    refused(link("target/"), &[ERRNO_NOENT, ERRNO_NOTDIR]);
    link("target").expect("without a slash, it is made");
    unlink(folder, "target");
    new_folder(folder, "target");
    refused(link("target/"), &[ERRNO_EXIST]);
    refused(link("target"), &[ERRNO_EXIST]);
    remove(folder, "target");
    touch(folder, "target");
    refused(link("target/"), &[ERRNO_NOTDIR, ERRNO_EXIST]);
    refused(link("target"), &[ERRNO_EXIST]);
}

fn readlink(folder: Fd) {
    touch(folder, "target");
    symlink("target", folder, "symlink");
    let read = |room: usize| {
        let mut buffer = vec![0; room];
        let used = raw!(path_readlink(folder, "symlink", buffer.as_mut_ptr(), room)).expect("path_readlink");
        (used, buffer)
    };
    assert_eq!(read(10), (6, b"target\0\0\0\0".to_vec()));
    assert_eq!(read(6), (6, b"target".to_vec()));
    assert_eq!(read(4), (4, b"targ".to_vec()), "as much as there is room for");
    let mut buffer = [0; 9];
    refused(raw!(path_readlink(folder, "target", buffer.as_mut_ptr(), 9)), &[ERRNO_INVAL]);
}

fn symlink_create(folder: Fd) {
    touch(folder, "file");
    symlink("file", folder, "to-file");
    let fd = open_followed(folder, "to-file", 0, RIGHTS_FD_READ).expect("a file through a link");
    assert_eq!(stat(fd).ino, stat_at(folder, "file").ino);
    new_folder(folder, "dir");
    symlink("dir", folder, "to-dir");
    let fd = open_followed(folder, "to-dir", OFLAGS_DIRECTORY, 0).expect("a folder through a link");
    assert_eq!(stat(fd).ino, stat_at(folder, "dir").ino);
    touch(folder, "to-dir/inside");
    stat_at(folder, "dir/inside");
    refused(raw!(path_symlink("/etc/passwd", folder, "absolute")), &[ERRNO_PERM, ERRNO_NOTCAPABLE]);
}

fn symlink_filestat(folder: Fd) {
    let file = new_file(folder, "file");
    write(file, &[0; 100]);
    symlink("file", folder, "symlink");
    symlink("./file", folder, "longer");
    let (one, two) = (stat_at(folder, "symlink"), stat_at(folder, "longer"));
    assert_eq!((one.filetype, one.size, one.nlink), (FILETYPE_SYMBOLIC_LINK, 4, 1));
    assert_eq!((two.filetype, two.size), (FILETYPE_SYMBOLIC_LINK, 6));
    assert_ne!(one.ino, two.ino);
    let followed = raw!(path_filestat_get(folder, LOOKUPFLAGS_SYMLINK_FOLLOW, "symlink")).expect("followed");
    assert_eq!((followed.ino, followed.size), (stat(file).ino, 100));
    raw!(path_filestat_set_times(folder, 0, "symlink", 1, 2, FSTFLAGS_MTIM)).expect("its own times");
    assert_eq!(stat_at(folder, "symlink").mtim, 2);
    assert_ne!(stat(file).mtim, 2);
}

fn symlink_loop(folder: Fd) {
    symlink("symlink", folder, "symlink");
    refused(open(folder, "symlink", 0, 0), &[ERRNO_LOOP]);
    refused(open_followed(folder, "symlink", 0, 0), &[ERRNO_LOOP]);
    refused(open(folder, "symlink/file", 0, 0), &[ERRNO_LOOP]);
    unlink(folder, "symlink");
}
