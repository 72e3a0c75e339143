//! path_open and what paths may look like.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("fopen-with-no-access", fopen_with_no_access),
    ("interesting_paths", interesting_paths),
    ("path_exists", path_exists),
    ("path_open_create_existing", path_open_create_existing),
    ("path_open_dirfd_not_dir", path_open_dirfd_not_dir),
    ("path_open_lots", path_open_lots),
    ("path_open_missing", path_open_missing),
    ("path_open_nonblock", path_open_nonblock),
    ("path_open_read_write", path_open_read_write),
];

/// Nothing outside the tree is there, and data sets are not written.
fn fopen_with_no_access(_: Fd) {
    for path in ["/etc/passwd", "/proc/self/mem", "/dev/null", "../../etc/passwd"] {
        std::fs::File::open(path).expect_err(path);
        std::fs::File::create(path).expect_err(path);
    }
    std::fs::File::create("/data/new").expect_err("data sets are read-only");
    std::fs::File::create("/new").expect_err("the root is read-only");
}

fn interesting_paths(folder: Fd) {
    new_folder(folder, "dir");
    new_folder(folder, "dir/nested");
    touch(folder, "dir/nested/file");
    refused(open(folder, "/dir/nested/file", 0, 0), &[ERRNO_PERM, ERRNO_NOTCAPABLE]);
    let inode = stat_at(folder, "dir/nested/file").ino;
    for path in ["dir/.//nested/../../dir/nested/../nested///./file", "./dir/nested/file", "dir//nested//file"] {
        assert_eq!(stat_at(folder, path).ino, inode, "{path}");
    }
    for path in ["dir/nested/file\0", "\0", "dir/\0/file"] {
        refused(open(folder, path, 0, 0), &[ERRNO_INVAL, ERRNO_ILSEQ, ERRNO_NOENT]);
    }
    for path in ["dir/nested/file/", "dir/nested/file///", "dir/nested/file/."] {
        refused(open(folder, path, 0, 0), &[ERRNO_NOTDIR]);
    }
    for path in ["dir/nested/", "dir/nested///", "dir/nested/."] {
        close(open(folder, path, OFLAGS_DIRECTORY, 0).expect("a folder with slashes"));
    }
    for path in ["dir/nested/../../../state", "..", "../state", "dir/../.."] {
        refused(open(folder, path, 0, 0), &[ERRNO_PERM, ERRNO_NOTCAPABLE]);
    }
    refused(open(folder, "", 0, 0), &[ERRNO_NOENT, ERRNO_INVAL]);
    unlink(folder, "dir/nested/file");
    remove(folder, "dir/nested");
    remove(folder, "dir");
}

fn path_exists(folder: Fd) {
    let follow = LOOKUPFLAGS_SYMLINK_FOLLOW;
    touch(folder, "file");
    raw!(path_symlink("file", folder, "symlink")).expect("path_symlink");
    for (path, flags) in [("file", 0), ("file", follow), ("symlink", 0), ("symlink", follow)] {
        raw!(path_filestat_get(folder, flags, path)).expect(path);
    }
    unlink(folder, "file");
    raw!(path_filestat_get(folder, 0, "symlink")).expect("the link itself is still there");
    refused(raw!(path_filestat_get(folder, follow, "symlink")), &[ERRNO_NOENT]);
    unlink(folder, "symlink");
    refused(raw!(path_filestat_get(folder, 0, "symlink")), &[ERRNO_NOENT]);
}

fn path_open_create_existing(folder: Fd) {
    touch(folder, "file");
    refused(open(folder, "file", OFLAGS_CREAT | OFLAGS_EXCL, READ_WRITE), &[ERRNO_EXIST]);
    close(open(folder, "file", OFLAGS_CREAT, READ_WRITE).expect("without the flag, it is opened"));
}

fn path_open_dirfd_not_dir(folder: Fd) {
    let file = new_file(folder, "file");
    refused(open(file, "foo", OFLAGS_CREAT, 0), &[ERRNO_NOTDIR, ERRNO_NOTCAPABLE]);
}

fn path_open_lots(folder: Fd) {
    touch(folder, "file");
    for _ in 0..2_000 {
        close(open(folder, "file", 0, RIGHTS_FD_READ).expect("descriptors come back"));
    }
}

fn path_open_missing(folder: Fd) {
    refused(open(folder, "file", 0, 0), &[ERRNO_NOENT]);
}

fn path_open_nonblock(folder: Fd) {
    let how = OFLAGS_CREAT;
    let flags = FDFLAGS_NONBLOCK;
    let fd = raw!(path_open(folder, 0, "file", how, READ_WRITE, 0, flags)).expect("path_open");
    write(fd, b"at once");
    seek(fd, 0, WHENCE_SET);
    assert_eq!(read(fd, 99), b"at once");
}

fn path_open_read_write(folder: Fd) {
    touch(folder, "file");
    let both = open(folder, "file", 0, RIGHTS_FD_READ | RIGHTS_FD_WRITE).expect("for both");
    write(both, &[0; 10]);
    let reader = open(folder, "file", 0, RIGHTS_FD_READ).expect("for reading");
    assert_eq!(raw!(fd_fdstat_get(reader)).expect("fd_fdstat_get").fs_rights_base, RIGHTS_FD_READ);
    assert_eq!(read(reader, 99).len(), 10);
    refused(try_write(reader, &[0]), &[ERRNO_BADF, ERRNO_NOTCAPABLE]);
    let writer = open(folder, "file", 0, RIGHTS_FD_WRITE).expect("for writing");
    write(writer, &[1; 4]);
    refused(try_read(writer, 1), &[ERRNO_BADF, ERRNO_NOTCAPABLE]);
    seek(both, 0, WHENCE_SET);
    assert_eq!(read(both, 99), [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
}
