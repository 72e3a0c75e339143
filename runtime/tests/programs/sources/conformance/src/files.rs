//! What is done with an open file.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("fd_advise", fd_advise),
    ("fd_filestat_set", fd_filestat_set),
    ("file_allocate", file_allocate),
    ("file_pread_pwrite", file_pread_pwrite),
    ("file_seek_tell", file_seek_tell),
    ("file_truncation", file_truncation),
    ("file_unbuffered_write", file_unbuffered_write),
    ("fopen-with-access", fopen_with_access),
    ("fread-with-access", fread_with_access),
    ("fstflags_validate", fstflags_validate),
    ("fwrite-with-access", fwrite_with_access),
    ("lseek", lseek),
    ("path_filestat", path_filestat),
    ("pread-with-access", pread_with_access),
    ("pwrite-with-access", pwrite_with_access),
    ("pwrite-with-append", pwrite_with_append),
    ("stat-dev-ino", stat_dev_ino),
];

fn fd_advise(folder: Fd) {
    let fd = new_file(folder, "file");
    assert_eq!(stat(fd).size, 0);
    raw!(fd_allocate(fd, 0, 100)).expect("fd_allocate");
    for advice in [ADVICE_NORMAL, ADVICE_SEQUENTIAL, ADVICE_RANDOM, ADVICE_WILLNEED, ADVICE_DONTNEED, ADVICE_NOREUSE] {
        raw!(fd_advise(fd, 10, 50, advice)).expect("fd_advise");
    }
    assert_eq!(stat(fd).size, 100, "advice changes nothing");
    assert_eq!(stat_at(folder, "file").size, 100);
}

fn fd_filestat_set(folder: Fd) {
    let fd = new_file(folder, "file");
    raw!(fd_filestat_set_size(fd, 100)).expect("fd_filestat_set_size");
    let before = stat(fd);
    assert_eq!(before.size, 100);
    let modified = before.mtim - 100;
    raw!(fd_filestat_set_times(fd, 0, modified, FSTFLAGS_MTIM)).expect("fd_filestat_set_times");
    let after = stat(fd);
    assert_eq!((after.size, after.atim, after.mtim), (100, before.atim, modified));
    raw!(fd_filestat_set_times(fd, 0, 0, FSTFLAGS_ATIM_NOW)).expect("fd_filestat_set_times");
    assert!(stat(fd).atim >= before.atim);
    raw!(fd_filestat_set_size(fd, 0)).expect("fd_filestat_set_size");
    assert_eq!(stat(fd).size, 0);
}

fn file_allocate(folder: Fd) {
    let fd = new_file(folder, "file");
    raw!(fd_allocate(fd, 0, 100)).expect("an empty file grows");
    assert_eq!(stat(fd).size, 100);
    raw!(fd_allocate(fd, 10, 10)).expect("what is there already changes nothing");
    assert_eq!(stat(fd).size, 100);
    raw!(fd_allocate(fd, 90, 20)).expect("it grows to the end");
    assert_eq!(stat(fd).size, 110);
    refused(raw!(fd_allocate(fd, 0, 0)), &[ERRNO_INVAL]);
    assert_eq!(read(fd, 200), vec![0; 110]);
}

fn file_pread_pwrite(folder: Fd) {
    let fd = new_file(folder, "file");
    assert_eq!(try_write_at(fd, 0, &[0, 1, 2, 3]), Ok(4));
    assert_eq!(try_read_at(fd, 0, 4), Ok(vec![0, 1, 2, 3]));
    assert_eq!(try_read_at(fd, 2, 4), Ok(vec![2, 3]));
    assert_eq!(try_read_at(fd, 4, 4), Ok(vec![]));
    assert_eq!(try_read_at(fd, 1 << 40, 4), Ok(vec![]));
    assert_eq!(raw!(fd_tell(fd)), Ok(0), "the descriptor stands where it stood");
    // Several buffers, the last of which is not filled.
    let (mut one, mut two, mut three) = ([9; 1], [9; 2], [9; 8]);
    let list = [
        Iovec { buf: one.as_mut_ptr(), buf_len: 1 },
        Iovec { buf: two.as_mut_ptr(), buf_len: 2 },
        Iovec { buf: three.as_mut_ptr(), buf_len: 8 },
    ];
    assert_eq!(raw!(fd_pread(fd, &list, 0)), Ok(4));
    assert_eq!((one, two, three), ([0], [1, 2], [3, 9, 9, 9, 9, 9, 9, 9]));
    let pair = [Ciovec { buf: [5, 6].as_ptr(), buf_len: 2 }, Ciovec { buf: [7, 8].as_ptr(), buf_len: 2 }];
    assert_eq!(raw!(fd_pwrite(fd, &pair, 2)), Ok(4));
    assert_eq!(try_read_at(fd, 0, 99), Ok(vec![0, 1, 5, 6, 7, 8]));
    // A gap reads as zeros.
    assert_eq!(try_write_at(fd, 8, &[1]), Ok(1));
    assert_eq!(try_read_at(fd, 5, 9), Ok(vec![8, 0, 0, 1]));
    assert_eq!(try_write_at(fd, 100, &[]), Ok(0));
    assert_eq!(stat(fd).size, 9, "nothing written, nothing longer");
    assert_eq!(raw!(fd_tell(fd)), Ok(0));
}

fn file_seek_tell(folder: Fd) {
    let fd = new_file(folder, "file");
    assert_eq!(raw!(fd_tell(fd)), Ok(0));
    write(fd, &[0; 100]);
    assert_eq!(raw!(fd_tell(fd)), Ok(100));
    assert_eq!(seek(fd, -50, WHENCE_CUR), 50);
    assert_eq!(seek(fd, 0, WHENCE_CUR), 50);
    assert_eq!(seek(fd, 0, WHENCE_SET), 0);
    assert_eq!(seek(fd, 1_000, WHENCE_CUR), 1_000, "beyond the end");
    assert_eq!(read(fd, 1), []);
    refused(raw!(fd_seek(fd, -2_000, WHENCE_CUR)), &[ERRNO_INVAL]);
    refused(raw!(fd_seek(fd, -1, WHENCE_SET)), &[ERRNO_INVAL]);
    assert_eq!(raw!(fd_tell(fd)), Ok(1_000), "a refusal moves nothing");
    assert_eq!(seek(fd, -100, WHENCE_END), 0);
    assert_eq!(stat(fd).size, 100, "seeking makes nothing longer");
}

fn file_truncation(folder: Fd) {
    let fd = new_file(folder, "file");
    write(fd, b"this content will be truncated!");
    close(fd);
    let fd = open(folder, "file", OFLAGS_CREAT | OFLAGS_TRUNC, READ_WRITE).expect("it is opened and emptied");
    assert_eq!(read(fd, 100), b"");
    assert_eq!(stat(fd).size, 0);
    write(fd, b"new");
    raw!(fd_filestat_set_size(fd, 5)).expect("fd_filestat_set_size");
    seek(fd, 0, WHENCE_SET);
    assert_eq!(read(fd, 100), b"new\0\0");
}

fn file_unbuffered_write(folder: Fd) {
    let reader = open(folder, "file", OFLAGS_CREAT, RIGHTS_FD_READ).expect("a reader");
    let writer = open(folder, "file", 0, RIGHTS_FD_WRITE).expect("a writer");
    write(writer, &[1]);
    assert_eq!(read(reader, 5), [1], "what one wrote, the other reads at once");
}

fn fopen_with_access(_: Fd) {
    std::fs::write("/state/file", "content").expect("created by its absolute name");
    assert_eq!(std::fs::read_to_string("/state/file").expect("read again"), "content");
    assert_eq!(std::fs::read_to_string("state/file").expect("relative to the root"), "content");
}

fn fread_with_access(folder: Fd) {
    let fd = new_file(folder, "file");
    write(fd, b"hello from input.txt!");
    seek(fd, 0, WHENCE_SET);
    assert_eq!(read(fd, 32), b"hello from input.txt!");
    assert_eq!(read(fd, 32), b"");
}

fn fwrite_with_access(folder: Fd) {
    let fd = open(folder, "file", OFLAGS_CREAT, RIGHTS_FD_WRITE).expect("for writing");
    write(fd, b"hello");
    write(fd, b" world");
    close(fd);
    let fd = open(folder, "file", 0, RIGHTS_FD_READ).expect("for reading");
    assert_eq!(read(fd, 32), b"hello world");
}

fn fstflags_validate(folder: Fd) {
    let fd = new_file(folder, "file");
    for both in [FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW, FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW] {
        refused(raw!(fd_filestat_set_times(fd, 0, 0, both)), &[ERRNO_INVAL]);
        refused(raw!(path_filestat_set_times(folder, 0, "file", 0, 0, both)), &[ERRNO_INVAL]);
    }
}

fn lseek(folder: Fd) {
    let fd = new_file(folder, "file");
    write(fd, b"0123456789abcdefghij");
    for (offset, whence, at, then) in [
        (0, WHENCE_SET, 0, &b"012"[..]),
        (1, WHENCE_CUR, 4, b"456"),
        (-7, WHENCE_CUR, 0, b"012"),
        (-3, WHENCE_END, 17, b"hij"),
        (0, WHENCE_END, 20, b""),
        (10, WHENCE_END, 30, b""),
    ] {
        assert_eq!(seek(fd, offset, whence), at);
        assert_eq!(read(fd, 3), then);
    }
}

fn path_filestat(folder: Fd) {
    let rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE | RIGHTS_FD_FILESTAT_GET;
    let flags = FDFLAGS_APPEND | FDFLAGS_SYNC;
    let fd = raw!(path_open(folder, 0, "file", OFLAGS_CREAT, rights, 0, flags)).expect("path_open");
    let own = raw!(fd_fdstat_get(fd)).expect("fd_fdstat_get");
    assert_eq!(own.fs_rights_base & RIGHTS_FD_WRITE, RIGHTS_FD_WRITE);
    assert_eq!(own.fs_flags & flags, flags);
    let before = stat_at(folder, "file");
    assert_eq!((before.size, before.filetype, before.nlink), (0, FILETYPE_REGULAR_FILE, 1));
    raw!(path_filestat_set_times(folder, 0, "file", 0, before.mtim - 100, FSTFLAGS_MTIM)).expect("times are set");
    let after = stat_at(folder, "file");
    assert_eq!((after.mtim, after.ino, after.size), (before.mtim - 100, before.ino, 0));
    assert!(after.ctim >= before.ctim);
    let open_too = stat(fd);
    assert_eq!((open_too.mtim, open_too.ino), (after.mtim, after.ino));
    // Every precision of the setting is kept.
    raw!(path_filestat_set_times(folder, 0, "file", 7, 9, FSTFLAGS_ATIM | FSTFLAGS_MTIM)).expect("times are set");
    assert_eq!((stat(fd).atim, stat(fd).mtim), (7, 9));
    refused(raw!(path_filestat_get(folder, 0, "none")), &[ERRNO_NOENT]);
}

fn pread_with_access(folder: Fd) {
    let fd = new_file(folder, "file");
    write(fd, b"hello from input.txt!");
    assert_eq!(try_read_at(fd, 6, 4), Ok(b"from".to_vec()));
    refused(try_read_at(0, 0, 1), &[ERRNO_SPIPE, ERRNO_BADF, ERRNO_INVAL]);
}

fn pwrite_with_access(folder: Fd) {
    let fd = new_file(folder, "file");
    assert_eq!(try_write_at(fd, 0, b"hello"), Ok(5));
    assert_eq!(try_write_at(fd, 10, b"from pwrite"), Ok(11));
    assert_eq!(try_write_at(fd, 2, b"LL"), Ok(2));
    assert_eq!(read(fd, 99), b"heLLo\0\0\0\0\0from pwrite");
}

/// As Linux has it: with the flag, it is appended whatever the offset says.
fn pwrite_with_append(folder: Fd) {
    let flags = FDFLAGS_APPEND;
    let fd = raw!(path_open(folder, 0, "file", OFLAGS_CREAT, READ_WRITE, 0, flags)).expect("path_open");
    write(fd, b"hello");
    assert_eq!(try_write_at(fd, 0, b" world"), Ok(6));
    assert_eq!(try_read_at(fd, 0, 99), Ok(b"hello world".to_vec()));
    assert_eq!(raw!(fd_tell(fd)), Ok(5), "the descriptor stands where it stood");
}

fn stat_dev_ino(folder: Fd) {
    let one = new_file(folder, "one");
    touch(folder, "two");
    let (open, named, other) = (stat(one), stat_at(folder, "one"), stat_at(folder, "two"));
    assert_eq!((open.dev, open.ino), (named.dev, named.ino));
    assert_eq!(named.dev, other.dev);
    assert_ne!(named.ino, other.ino);
}
