//! Windows: what a worker must be born with, because no process can do it to itself: a container that may do nothing, a job
//! that holds one process and ends with ours, no library or child of its own, and three pipes.
//!
//! Deliberately absent: suspending, measuring and watching the process; that is `process`, which Windows does not have
//! yet, and so nothing calls this. Compiled for Windows, and never yet run on it. The container's account must be able to
//! read the worker's file: an installer sees to that, with `icacls FOLDER /grant *S-1-15-2-1:(OI)(CI)(RX)`.

use std::ffi::c_void;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Security::Isolation::{CreateAppContainerProfile, DeriveAppContainerSidFromAppContainerName};
use windows_sys::Win32::Security::{FreeSid, PSID, SECURITY_CAPABILITIES};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
    JOB_OBJECT_LIMIT_JOB_MEMORY, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList,
    EXTENDED_STARTUPINFO_PRESENT, IDLE_PRIORITY_CLASS, InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST,
    PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST,
    PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY, PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES, PROCESS_INFORMATION,
    STARTF_USESTDHANDLES, STARTUPINFOEXW, UpdateProcThreadAttribute,
};

/// The container's name: the same for every worker, as none of them keeps anything in it.
const CONTAINER: &str = "surge.worker";
/// `PROCESS_CREATION_CHILD_PROCESS_RESTRICTED`.
const NO_CHILDREN: u32 = 1;
/// `PROCESS_CREATION_MITIGATION_POLICY_…_ALWAYS_ON`, as winbase.h has them: data is not executable, broken exception
/// chains end the process, images are relocated, a broken heap and a wrong handle end the process, no window system calls,
/// no extension points, no fonts, no images from the network or from confined processes.
const POLICIES: u64 =
    1 | 4 | 1 << 8 | 1 << 12 | 1 << 16 | 1 << 20 | 1 << 24 | 1 << 28 | 1 << 32 | 1 << 48 | 1 << 52 | 1 << 56;

/// Where a worker is born.
#[derive(Debug)]
pub struct Confinement {
    container: Container,
    job: OwnedHandle,
}

impl Confinement {
    /// For one worker, which may take so much memory. The worker ends when this is dropped.
    ///
    /// # Errors
    /// What the system refused.
    pub fn new(memory_bytes: usize) -> io::Result<Self> {
        Ok(Self { container: Container::new()?, job: job(memory_bytes)? })
    }

    /// Starts the program at `path`, an absolute path, with an empty environment, these three streams, and no other
    /// handle of ours, at idle priority.
    ///
    /// # Errors
    /// What the system refused. Nothing runs then.
    pub fn spawn(&self, path: &Path, streams: [BorrowedHandle<'_>; 3]) -> io::Result<OwnedHandle> {
        let handles = streams.map(|stream| stream.as_raw_handle());
        for handle in handles {
            // SAFETY: a valid handle of ours; a flag on it is all that changes.
            done(unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
        }
        let capabilities =
            SECURITY_CAPABILITIES { AppContainerSid: self.container.0, ..SECURITY_CAPABILITIES::default() };
        let jobs = [self.job.as_raw_handle()];
        let mut attributes = Attributes::with_room_for(5)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_SECURITY_CAPABILITIES, &capabilities)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY, &NO_CHILDREN)?;
        attributes.add(PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY, &POLICIES)?;

        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        [startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError] = handles;
        startup.lpAttributeList = attributes.list();
        let application: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        // Two NULs: the end of no variable, and the end of the block.
        let environment = [0_u16; 2];
        let flags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW | IDLE_PRIORITY_CLASS;
        let mut process = PROCESS_INFORMATION::default();
        // SAFETY: every text ends with a NUL; attributes, and what they point to, environment and startup information
        // outlive the call; the result is written to a local.
        done(unsafe {
            CreateProcessW(
                application.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                ptr::null(),
                1,
                flags,
                environment.as_ptr().cast(),
                ptr::null(),
                &raw const startup.StartupInfo,
                &raw mut process,
            )
        })?;
        // SAFETY: both handles are new and nobody else's.
        let (process, thread) =
            unsafe { (OwnedHandle::from_raw_handle(process.hProcess), OwnedHandle::from_raw_handle(process.hThread)) };
        drop(thread);
        Ok(process)
    }
}

/// The account of the container.
#[derive(Debug)]
struct Container(PSID);

impl Container {
    fn new() -> io::Result<Self> {
        let name: Vec<u16> = CONTAINER.encode_utf16().chain([0]).collect();
        let (text, mut sid) = (name.as_ptr(), ptr::null_mut());
        // SAFETY: the texts end with a NUL and outlive the call; no capabilities are passed; the result is written to a
        // local.
        let made = unsafe { CreateAppContainerProfile(text, text, text, ptr::null(), 0, &raw mut sid) };
        if made < 0 {
            // There already, as after every first time; where it is not, this fails too.
            // SAFETY: the text ends with a NUL and outlives the call; the result is written to a local.
            let known = unsafe { DeriveAppContainerSidFromAppContainerName(text, &raw mut sid) };
            if known < 0 {
                return Err(io::Error::from_raw_os_error(known));
            }
        }
        Ok(Self(sid))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us; it is freed once.
        unsafe { FreeSid(self.0) };
    }
}

/// One process, so much memory; everything in it ends when the handle is closed.
fn job(memory_bytes: usize) -> io::Result<OwnedHandle> {
    // SAFETY: takes no pointers; a null handle is checked before it is owned.
    let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_ACTIVE_PROCESS
        | JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        | JOB_OBJECT_LIMIT_JOB_MEMORY
        | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    limits.JobMemoryLimit = memory_bytes;
    let size = size_of_val(&limits) as u32;
    // SAFETY: the limits are of the class named, have the size given and outlive the call.
    done(unsafe {
        let limits = (&raw const limits).cast();
        SetInformationJobObject(job.as_raw_handle(), JobObjectExtendedLimitInformation, limits, size)
    })?;
    Ok(job)
}

/// What a process is created with besides the usual. It points to values that must outlive it.
struct Attributes<'a> {
    /// Aligned for all that the system keeps in it.
    list: Vec<u64>,
    values: std::marker::PhantomData<&'a ()>,
}

impl<'a> Attributes<'a> {
    fn with_room_for(count: u32) -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: without a list, only the size that one needs is written, to a local.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), count, 0, &raw mut size) };
        let mut list = vec![0_u64; size.div_ceil(size_of::<u64>())];
        // SAFETY: the list has the size that was just asked for.
        done(unsafe { InitializeProcThreadAttributeList(list.as_mut_ptr().cast(), count, 0, &raw mut size) })?;
        Ok(Self { list, values: std::marker::PhantomData })
    }

    fn add<T: ?Sized>(&mut self, which: u32, value: &'a T) -> io::Result<()> {
        let value_at: *const c_void = ptr::from_ref(value).cast();
        // SAFETY: the list is initialised; the value has the size given, and outlives the list by its lifetime.
        done(unsafe {
            UpdateProcThreadAttribute(
                self.list(),
                0,
                which as usize,
                value_at,
                size_of_val(value),
                ptr::null_mut(),
                ptr::null(),
            )
        })
    }

    fn list(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.list.as_mut_ptr().cast()
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is not used afterwards.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const _: () = assert!(size_of::<HANDLE>() == size_of::<usize>(), "handles are passed as they are");
