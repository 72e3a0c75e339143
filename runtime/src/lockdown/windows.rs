//! Windows: the container that the spawner put this process into is looked for, and what a process can take from itself is
//! taken: privileges, integrity, children, and in the second step new code.
//!
//! Deliberately absent: the container itself, which a process can only be born into
//! (`surge_platform::confinement`); without it this refuses. Compiled for Windows, and never yet run on it.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use surge_protocol::frame::Lockdown;

use super::Walls;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, CreateWellKnownSid, GetTokenInformation, SE_PRIVILEGE_REMOVED, SECURITY_MAX_SID_SIZE,
    SID_AND_ATTRIBUTES, SetTokenInformation, TOKEN_ADJUST_DEFAULT, TOKEN_ADJUST_PRIVILEGES, TOKEN_INFORMATION_CLASS,
    TOKEN_MANDATORY_LABEL, TOKEN_PRIVILEGES, TOKEN_QUERY, TokenCapabilities, TokenIntegrityLevel, TokenIsAppContainer,
    TokenPrivileges, WinUntrustedLabelSid,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcessToken, PROCESS_MITIGATION_POLICY, ProcessChildProcessPolicy,
    ProcessDynamicCodePolicy, ProcessExtensionPointDisablePolicy, ProcessFontDisablePolicy, ProcessImageLoadPolicy,
    ProcessSignaturePolicy, ProcessStrictHandleCheckPolicy, ProcessSystemCallDisablePolicy, SetProcessMitigationPolicy,
};

/// Policies with their bits, as winnt.h has them.
const POLICIES: [(PROCESS_MITIGATION_POLICY, u32); 7] = [
    // No process from this one.
    (ProcessChildProcessPolicy, 1),
    // None of the calls of the window system, where most of the kernel's flaws were found.
    (ProcessSystemCallDisablePolicy, 1),
    // No library that other programs push into every process.
    (ProcessExtensionPointDisablePolicy, 1),
    // No library from the network or from what a confined process wrote; the system's own first.
    (ProcessImageLoadPolicy, 1 | 2 | 4),
    // No library that Microsoft has not signed: all of ours are linked in.
    (ProcessSignaturePolicy, 1),
    (ProcessFontDisablePolicy, 1),
    // A handle that is none ends the process.
    (ProcessStrictHandleCheckPolicy, 1 | 2),
];
const PROHIBIT_DYNAMIC_CODE: u32 = 1;
/// `SE_GROUP_INTEGRITY`.
const INTEGRITY: u32 = 0x20;

/// Checks that this process is in a container that may do nothing: no file of the owner's, no network, no object of
/// another process is in reach then.
pub(crate) fn forbid_files() -> io::Result<Walls> {
    let token = token(TOKEN_QUERY)?;
    let contained = information(&token, TokenIsAppContainer)?.first().is_some_and(|&word| word as u32 != 0);
    // A count comes first.
    let capabilities = information(&token, TokenCapabilities)?.first().is_some_and(|&word| word as u32 != 0);
    match (contained, capabilities) {
        (true, false) => Ok(Walls { level: Lockdown::Full, missing: "" }),
        (true, true) => Err(io::Error::other("the AppContainer of this worker has capabilities: it must have none")),
        (false, _) => Err(io::Error::other("this worker was not started in an AppContainer")),
    }
}

/// Takes the rest: privileges, integrity, children, foreign libraries.
pub(crate) fn forbid_calls() -> io::Result<()> {
    stay_alone()?;
    let token = token(TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES | TOKEN_ADJUST_DEFAULT)?;
    drop_privileges(&token)?;
    for (policy, bits) in POLICIES {
        forbid(policy, bits)?;
    }
    // Last: with it, even what belongs to this process can't be opened any more.
    distrust(&token)
}

/// From here on no memory becomes executable: the program's code is there, and its engine needs no other.
pub(crate) fn forbid_new_code() -> io::Result<()> {
    forbid(ProcessDynamicCodePolicy, PROHIBIT_DYNAMIC_CODE)
}

fn forbid(policy: PROCESS_MITIGATION_POLICY, bits: u32) -> io::Result<()> {
    // SAFETY: each of these policies is one 32-bit word, which outlives the call.
    done(unsafe { SetProcessMitigationPolicy(policy, (&raw const bits).cast(), size_of::<u32>()) })
}

/// A job with room for this process alone. It lasts as long as the process, whoever holds its handle.
fn stay_alone() -> io::Result<()> {
    // SAFETY: takes no pointers; a null handle is checked before it is owned.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_ACTIVE_PROCESS | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    // SAFETY: the limits are of the class named, have the size given and outlive the call.
    done(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast(),
            size_of_val(&limits) as u32,
        )
    })?;
    // SAFETY: both handles are valid for the call.
    done(unsafe { AssignProcessToJobObject(job.as_raw_handle(), GetCurrentProcess()) })
}

/// Removes every privilege for good.
fn drop_privileges(token: &OwnedHandle) -> io::Result<()> {
    let mut privileges = information(token, TokenPrivileges)?;
    let all: *mut TOKEN_PRIVILEGES = privileges.as_mut_ptr().cast();
    // SAFETY: the system wrote a list of this type into the buffer, which is aligned for it and long enough for as many
    // entries as it counts.
    unsafe {
        let first = (&raw mut (*all).Privileges).cast::<windows_sys::Win32::Security::LUID_AND_ATTRIBUTES>();
        for n in 0..(*all).PrivilegeCount as usize {
            (*first.add(n)).Attributes = SE_PRIVILEGE_REMOVED;
        }
    }
    // SAFETY: the list outlives the call; no previous state is asked for.
    done(unsafe { AdjustTokenPrivileges(token.as_raw_handle(), 0, all, 0, ptr::null_mut(), ptr::null_mut()) })
}

/// Lowers the process to the lowest integrity: it can open nothing that is labelled higher, which is everything.
fn distrust(token: &OwnedHandle) -> io::Result<()> {
    let mut sid = [0_u32; SECURITY_MAX_SID_SIZE as usize / size_of::<u32>()];
    let mut length = size_of_val(&sid) as u32;
    // SAFETY: the buffer has the length given, is aligned for a SID and outlives the call.
    done(unsafe {
        CreateWellKnownSid(WinUntrustedLabelSid, ptr::null_mut(), sid.as_mut_ptr().cast(), &raw mut length)
    })?;
    let label =
        TOKEN_MANDATORY_LABEL { Label: SID_AND_ATTRIBUTES { Sid: sid.as_mut_ptr().cast(), Attributes: INTEGRITY } };
    let size = size_of_val(&label) as u32 + length;
    // SAFETY: label and SID outlive the call; the size is that of both, as the documentation asks.
    done(unsafe { SetTokenInformation(token.as_raw_handle(), TokenIntegrityLevel, (&raw const label).cast(), size) })
}

fn token(access: u32) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: the pseudo-handle of this process is always valid; the result is written to a local.
    done(unsafe { OpenProcessToken(GetCurrentProcess(), access, &raw mut token) })?;
    // SAFETY: the handle is new and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// What the system says of the token, in a buffer aligned for all that it may be.
fn information(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    let mut needed = 0_u32;
    // SAFETY: without a buffer, only the length is written, to a local.
    unsafe { GetTokenInformation(token.as_raw_handle(), class, ptr::null_mut(), 0, &raw mut needed) };
    let mut buffer = vec![0_u64; (needed as usize).div_ceil(size_of::<u64>()).max(1)];
    let length = size_of_val(buffer.as_slice()) as u32;
    let place: *mut c_void = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer has the length given and outlives the call.
    done(unsafe { GetTokenInformation(token.as_raw_handle(), class, place, length, &raw mut needed) })?;
    Ok(buffer)
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
