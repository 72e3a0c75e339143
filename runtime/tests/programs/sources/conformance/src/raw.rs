//! The raw functions, with slices for buffers, and the few steps that nearly every case begins with.

pub use wasip1::*;

/// Calls a raw function. They are unsafe for their pointers alone.
macro_rules! raw {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: every pointer among the arguments comes from a slice that outlives the call.
        unsafe { wasip1::$name($($argument),*) }
    }};
}
pub(crate) use raw;

pub const READ_WRITE: Rights = RIGHTS_FD_READ
    | RIGHTS_FD_WRITE
    | RIGHTS_FD_SEEK
    | RIGHTS_FD_TELL
    | RIGHTS_FD_ADVISE
    | RIGHTS_FD_ALLOCATE
    | RIGHTS_FD_FILESTAT_GET
    | RIGHTS_FD_FILESTAT_SET_SIZE
    | RIGHTS_FD_FILESTAT_SET_TIMES
    | RIGHTS_FD_FDSTAT_SET_FLAGS
    | RIGHTS_POLL_FD_READWRITE;

/// A folder below `base`, with all that it passes on.
#[track_caller]
pub fn folder(base: Fd, path: &str) -> Fd {
    let passed_on = raw!(fd_fdstat_get(base)).expect("fd_fdstat_get").fs_rights_inheriting;
    let own = passed_on & !RIGHTS_FD_WRITE;
    raw!(path_open(base, 0, path, OFLAGS_DIRECTORY, own, passed_on, 0)).expect("a folder is opened")
}

pub fn open(folder: Fd, path: &str, how: Oflags, rights: Rights) -> Result<Fd, Errno> {
    raw!(path_open(folder, 0, path, how, rights, 0, 0))
}

pub fn open_followed(folder: Fd, path: &str, how: Oflags, rights: Rights) -> Result<Fd, Errno> {
    raw!(path_open(folder, LOOKUPFLAGS_SYMLINK_FOLLOW, path, how, rights, 0, 0))
}

/// A new file, open for everything.
#[track_caller]
pub fn new_file(folder: Fd, path: &str) -> Fd {
    open(folder, path, OFLAGS_CREAT | OFLAGS_EXCL, READ_WRITE).expect("a file is created")
}

/// A new empty file, closed.
#[track_caller]
pub fn touch(folder: Fd, path: &str) {
    close(new_file(folder, path));
}

#[track_caller]
pub fn new_folder(folder: Fd, path: &str) {
    raw!(path_create_directory(folder, path)).expect("a folder is created");
}

#[track_caller]
pub fn close(fd: Fd) {
    raw!(fd_close(fd)).expect("fd_close");
}

#[track_caller]
pub fn unlink(folder: Fd, path: &str) {
    raw!(path_unlink_file(folder, path)).expect("path_unlink_file");
}

#[track_caller]
pub fn remove(folder: Fd, path: &str) {
    raw!(path_remove_directory(folder, path)).expect("path_remove_directory");
}

pub fn try_write(fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
    raw!(fd_write(fd, &[Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }]))
}

#[track_caller]
pub fn write(fd: Fd, bytes: &[u8]) {
    assert_eq!(try_write(fd, bytes).expect("fd_write"), bytes.len());
}

pub fn try_write_at(fd: Fd, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
    raw!(fd_pwrite(fd, &[Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }], offset))
}

pub fn try_read(fd: Fd, most: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; most];
    let read = raw!(fd_read(fd, &[Iovec { buf: buffer.as_mut_ptr(), buf_len: most }]))?;
    buffer.truncate(read);
    Ok(buffer)
}

#[track_caller]
pub fn read(fd: Fd, most: usize) -> Vec<u8> {
    try_read(fd, most).expect("fd_read")
}

pub fn try_read_at(fd: Fd, offset: u64, most: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; most];
    let read = raw!(fd_pread(fd, &[Iovec { buf: buffer.as_mut_ptr(), buf_len: most }], offset))?;
    buffer.truncate(read);
    Ok(buffer)
}

#[track_caller]
pub fn seek(fd: Fd, offset: i64, whence: Whence) -> u64 {
    raw!(fd_seek(fd, offset, whence)).expect("fd_seek")
}

#[track_caller]
pub fn stat(fd: Fd) -> Filestat {
    raw!(fd_filestat_get(fd)).expect("fd_filestat_get")
}

#[track_caller]
pub fn stat_at(folder: Fd, path: &str) -> Filestat {
    raw!(path_filestat_get(folder, 0, path)).expect("path_filestat_get")
}

/// The call failed with one of these.
#[track_caller]
pub fn refused<T>(answer: Result<T, Errno>, with: &[Errno]) {
    match answer {
        Ok(_) => panic!("it succeeded, and {with:?} was expected"),
        Err(errno) => assert!(with.contains(&errno), "{errno:?}, and {with:?} was expected"),
    }
}
