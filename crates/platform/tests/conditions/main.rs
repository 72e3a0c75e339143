//! Every reader against what it reads: files of the kernel under `/sys`, `/proc` and `/dev` that a mount namespace puts
//! in their place, a real X server, real buses. The readers run unchanged, in a program of their own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod buses;
mod gamepad;
mod hangs;
mod kernel_files;
mod machine;
mod screen;
mod sessions;
mod sound;
