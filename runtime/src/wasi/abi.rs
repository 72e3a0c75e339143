//! Numbers and layouts of WASI preview 1.

/// Error numbers, as far as they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errno {
    BadFd = 8,
    Exists = 20,
    Fault = 21,
    FileTooBig = 22,
    IllegalBytes = 25,
    Invalid = 28,
    IsDirectory = 31,
    Loop = 32,
    TooManyFds = 33,
    TooManyLinks = 34,
    NameTooLong = 37,
    NotFound = 44,
    NoSpace = 51,
    NotDirectory = 54,
    NotEmpty = 55,
    NotSupported = 58,
    Overflow = 61,
    NotPermitted = 63,
    ReadOnly = 69,
    SpaceNotSeekable = 70,
    NotCapable = 76,
}

/// What a descriptor may be used for. Only those that matter are enforced one by one; the rest is reported.
pub(crate) mod rights {
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    /// To empty a file that is opened below this folder.
    pub(crate) const PATH_SET_SIZE: u64 = 1 << 19;
    /// seek, tell, sync, advise, allocate, set flags, filestat, poll: whatever concerns one file.
    pub(crate) const FILE: u64 = FD_READ
        | FD_WRITE
        | (1 << 0)
        | (1 << 2)
        | (1 << 3)
        | (1 << 4)
        | (1 << 5)
        | (1 << 7)
        | (1 << 8)
        | (1 << 21)
        | (1 << 22)
        | (1 << 23)
        | (1 << 27);
    /// A stream: no seeking.
    pub(crate) const STREAM: u64 = FD_READ | FD_WRITE | (1 << 3) | (1 << 21) | (1 << 27);
    /// Every path_ function, readdir, filestat and sync of a directory.
    pub(crate) const DIRECTORY: u64 = (1 << 0)
        | (1 << 3)
        | (1 << 4)
        | (1 << 7)
        | (1 << 9)
        | (1 << 10)
        | (1 << 11)
        | (1 << 12)
        | (1 << 13)
        | (1 << 14)
        | (1 << 15)
        | (1 << 16)
        | (1 << 17)
        | (1 << 18)
        | PATH_SET_SIZE
        | (1 << 20)
        | (1 << 21)
        | (1 << 23)
        | (1 << 24)
        | (1 << 25)
        | (1 << 26);
    pub(crate) const ALL: u64 = FILE | DIRECTORY;
}

/// Flags of a descriptor.
pub(crate) mod fdflags {
    pub(crate) const APPEND: u16 = 1;
    pub(crate) const DSYNC: u16 = 2;
    pub(crate) const NONBLOCK: u16 = 4;
    pub(crate) const RSYNC: u16 = 8;
    pub(crate) const SYNC: u16 = 16;
    pub(crate) const ALL: u16 = APPEND | DSYNC | NONBLOCK | RSYNC | SYNC;
}

/// How `path_open` opens.
pub(crate) mod oflags {
    pub(crate) const CREATE: u32 = 1;
    pub(crate) const DIRECTORY: u32 = 2;
    pub(crate) const EXCLUSIVE: u32 = 4;
    pub(crate) const TRUNCATE: u32 = 8;
    pub(crate) const ALL: u32 = CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE;
}

/// Which times to set, and to what.
pub(crate) mod fstflags {
    pub(crate) const ATIM: u32 = 1;
    pub(crate) const ATIM_NOW: u32 = 2;
    pub(crate) const MTIM: u32 = 4;
    pub(crate) const MTIM_NOW: u32 = 8;
    pub(crate) const ALL: u32 = ATIM | ATIM_NOW | MTIM | MTIM_NOW;
}

/// Symbolic links at the end of a path are followed.
pub(crate) const LOOKUP_FOLLOW: u32 = 1;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    /// A stream that is neither a terminal nor a file.
    Unknown = 0,
    Directory = 3,
    Regular = 4,
    Link = 7,
}

/// Everything that can be said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat {
    pub(crate) inode: u64,
    pub(crate) kind: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl FileStat {
    pub(crate) fn to_bytes(self) -> [u8; 64] {
        let words =
            [0, self.inode, self.kind as u64, self.links, self.size, self.accessed, self.modified, self.changed];
        let mut bytes = [0; 64];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
