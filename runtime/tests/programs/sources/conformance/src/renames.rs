//! path_rename.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("path_rename", path_rename),
    ("path_rename_dir_trailing_slashes", path_rename_dir_trailing_slashes),
    ("path_rename_file_trailing_slashes", path_rename_file_trailing_slashes),
];

fn rename(folder: Fd, from: &str, to: &str) -> Result<(), Errno> {
    raw!(path_rename(folder, from, folder, to))
}

fn path_rename(folder: Fd) {
    // A folder to a free name, and over an empty one.
    new_folder(folder, "source");
    rename(folder, "source", "target").expect("a folder moves");
    refused(open(folder, "source", OFLAGS_DIRECTORY, 0), &[ERRNO_NOENT]);
    close(open(folder, "target", OFLAGS_DIRECTORY, 0).expect("it is there"));
    new_folder(folder, "source");
    rename(folder, "source", "target").expect("over an empty folder");
    refused(open(folder, "source", OFLAGS_DIRECTORY, 0), &[ERRNO_NOENT]);

    // Over a folder that is not empty, and over a file.
    new_folder(folder, "source");
    touch(folder, "target/file");
    refused(rename(folder, "source", "target"), &[ERRNO_NOTEMPTY, ERRNO_EXIST]);
    unlink(folder, "target/file");
    remove(folder, "target");
    touch(folder, "target");
    refused(rename(folder, "source", "target"), &[ERRNO_NOTDIR]);
    unlink(folder, "target");
    remove(folder, "source");

    // A file to a free name, over another, over a folder.
    touch(folder, "source");
    let inode = stat_at(folder, "source").ino;
    rename(folder, "source", "target").expect("a file moves");
    refused(open(folder, "source", 0, 0), &[ERRNO_NOENT]);
    assert_eq!(stat_at(folder, "target").ino, inode);
    touch(folder, "source");
    rename(folder, "source", "target").expect("over another file");
    assert_ne!(stat_at(folder, "target").ino, inode);
    unlink(folder, "target");
    touch(folder, "source");
    new_folder(folder, "target");
    refused(rename(folder, "source", "target"), &[ERRNO_ISDIR]);
    remove(folder, "target");
    refused(rename(folder, "none", "target"), &[ERRNO_NOENT]);

    // Two names of one file: nothing happens.
    raw!(path_link(folder, 0, "source", folder, "second")).expect("path_link");
    rename(folder, "source", "second").expect("it is allowed");
    assert_eq!(stat_at(folder, "source").nlink, 2);

    // A folder never moves into itself.
    new_folder(folder, "dir");
    refused(rename(folder, "dir", "dir/below"), &[ERRNO_INVAL]);
}

fn path_rename_dir_trailing_slashes(folder: Fd) {
    for (from, to) in [("source", "target"), ("source/", "target"), ("source", "target/"), ("source/", "target/")] {
        new_folder(folder, "source");
        rename(folder, from, to).expect("a folder may be named with a slash");
        remove(folder, "target");
    }
}

fn path_rename_file_trailing_slashes(folder: Fd) {
    touch(folder, "source");
    for (from, to) in [("source/", "target"), ("source", "target/"), ("source/", "target/")] {
        refused(rename(folder, from, to), &[ERRNO_NOTDIR]);
    }
    assert_eq!(stat_at(folder, "source").size, 0);
}
