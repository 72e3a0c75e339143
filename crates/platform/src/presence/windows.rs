//! Windows: the time of the last input, asked; sessions, locking and sleep, told to a hidden window.
//!
//! Compiled, and never run yet: nothing here is verified. The time of the last input is the session's own, so that a
//! session which is not in front, and one beside ours that is, hold by themselves.

use std::cell::RefCell;
use std::io;
use std::ptr::{null, null_mut};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::System::RemoteDesktop::{
    NOTIFY_FOR_ALL_SESSIONS, ProcessIdToSessionId, WTS_CURRENT_SERVER_HANDLE, WTS_SESSION_INFOW, WTSActive,
    WTSEnumerateSessionsW, WTSFreeMemory, WTSRegisterSessionNotification,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;
use windows_sys::Win32::UI::Input::KeyboardAndMouse::{GetLastInputInfo, LASTINPUTINFO};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, PBT_APMRESUMEAUTOMATIC, PBT_APMRESUMESUSPEND,
    PBT_APMSUSPEND, PostThreadMessageW, RegisterClassW, WM_POWERBROADCAST, WM_QUIT, WM_TIMECHANGE,
    WM_WTSSESSION_CHANGE, WNDCLASSW, WTS_SESSION_UNLOCK,
};
use windows_sys::core::w;

use super::Watched;
use super::combine::{Display, Look, LookPace, Report, Session};
use super::watcher_thread::{Ask, Reports};

/// What is asked sees all input of this session, and costs little.
pub(super) const LOOKS: LookPace =
    LookPace { close: Duration::from_millis(100), far: Duration::from_secs(1), early: Duration::ZERO, suffice: true };

/// What surrounds this process. Windows needs to be told nothing.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings;

impl Surroundings {
    #[must_use]
    pub fn here() -> Self {
        Self
    }
}

/// The thread of the hidden window. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Sources {
    thread: u32,
}

thread_local! {
    /// Where the window reports to. Windows calls the window's procedure on the thread that made it.
    static REPORTS: RefCell<Option<Reports>> = const { RefCell::new(None) };
}

impl Sources {
    pub(super) fn start(_: &Surroundings, _: Duration, _: Watched, reports: &Reports) -> io::Result<Self> {
        reports.send(Report::Display(Display::Absent("Windows tells no time of the last input".into())));
        let (started, thread) = mpsc::channel();
        let reports = reports.clone();
        std::thread::Builder::new().name("presence-session".into()).spawn(move || {
            let listening = listen(&reports, &started);
            if let Err(error) = listening {
                reports.send(Report::Session(Session::Lost(format!("Windows does not tell of sessions: {error}"))));
                let _ = started.send(0);
            }
        })?;
        Ok(Self { thread: thread.recv().unwrap_or(0) })
    }

    /// Every look is fresh.
    pub(super) fn refresh(&self) {
        let Self { thread: _ } = self;
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        if self.thread != 0 {
            #[expect(unsafe_code, reason = "a call of the system")]
            // SAFETY: takes numbers only; a thread that has ended makes it fail.
            unsafe {
                PostThreadMessageW(self.thread, WM_QUIT, 0, 0);
            }
        }
    }
}

/// What has to be asked.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub(super) fn ask(_: &Surroundings, _: Duration, _: Watched, _: &Reports) -> io::Result<Box<dyn Ask>> {
    Ok(Box::new(LastInput))
}

struct LastInput;

impl Ask for LastInput {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn ask(&mut self, now: Instant, reports: &Reports) {
        reports.send(Report::Look(look(now)));
    }
}

fn look(now: Instant) -> Look {
    let mut last = LASTINPUTINFO { cbSize: size_of::<LASTINPUTINFO>() as u32, dwTime: 0 };
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: `last` is valid for the call and has its size set.
    let told = unsafe { GetLastInputInfo(&raw mut last) };
    if told == 0 {
        let error = io::Error::last_os_error();
        return Look { at: now, input: Err(format!("Windows does not tell the last input: {error}")) };
    }
    // The tick is read after the input's, so that input in between can't lie ahead of it; both wrap every 49 days.
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: takes nothing.
    let tick = unsafe { GetTickCount() };
    let idle = Duration::from_millis(tick.wrapping_sub(last.dwTime).into());
    Look { at: now, input: Ok(Some(now.checked_sub(idle).unwrap_or(now))) }
}

/// Makes the window and takes its messages until the thread is told to quit.
fn listen(reports: &Reports, started: &mpsc::Sender<u32>) -> io::Result<()> {
    REPORTS.with(|slot| *slot.borrow_mut() = Some(reports.clone()));
    // Not a message-only window: those are not told of sleep.
    let window = window()?;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the window is ours and lives as long as this thread.
    let registered = unsafe { WTSRegisterSessionNotification(window, NOTIFY_FOR_ALL_SESSIONS) };
    if registered == 0 {
        return Err(io::Error::last_os_error());
    }
    reports.send(Report::Session(session()));
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: takes nothing.
    let thread = unsafe { GetCurrentThreadId() };
    // Fails only when nobody waits for it any more.
    let _ = started.send(thread);
    let mut message = MSG::default();
    loop {
        #[expect(unsafe_code, reason = "calls of the system")]
        // SAFETY: `message` is valid for both calls, and the second gets what the first wrote.
        match unsafe { GetMessageW(&raw mut message, null_mut(), 0, 0) } {
            0 => return Ok(()),
            -1 => return Err(io::Error::last_os_error()),
            _ => {
                #[expect(unsafe_code, reason = "a call of the system")]
                // SAFETY: `message` was written by the system just now.
                unsafe {
                    DispatchMessageW(&raw const message);
                }
            }
        }
    }
}

fn window() -> io::Result<HWND> {
    let name = w!("SurgePresence");
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: null asks for this program's own module.
    let module = unsafe { GetModuleHandleW(null()) };
    let class = WNDCLASSW { lpfnWndProc: Some(heard), hInstance: module, lpszClassName: name, ..Default::default() };
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the class is valid for the call, its name is static and ends with 0. A class that is there already makes
    // this fail, which does not matter: it is the same.
    unsafe {
        RegisterClassW(&raw const class);
    }
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the class is registered, and no pointer is kept.
    let window = unsafe { CreateWindowExW(0, name, name, 0, 0, 0, 0, 0, null_mut(), null_mut(), module, null()) };
    if window.is_null() { Err(io::Error::last_os_error()) } else { Ok(window) }
}

#[expect(unsafe_code, reason = "the system calls it")]
unsafe extern "system" fn heard(window: HWND, message: u32, what: WPARAM, with: LPARAM) -> LRESULT {
    let report = |report| {
        REPORTS.with(|slot| {
            if let Some(reports) = &*slot.borrow() {
                reports.send(report);
            }
        });
    };
    match message {
        WM_WTSSESSION_CHANGE => {
            if u32::try_from(what) == Ok(WTS_SESSION_UNLOCK) {
                report(Report::Disturbed);
            }
            report(Report::Session(session()));
        }
        WM_POWERBROADCAST => match u32::try_from(what) {
            Ok(PBT_APMSUSPEND) => report(Report::Asleep),
            Ok(PBT_APMRESUMEAUTOMATIC | PBT_APMRESUMESUSPEND) => report(Report::Disturbed),
            _ => {}
        },
        WM_TIMECHANGE => report(Report::Disturbed),
        _ => {}
    }
    // SAFETY: passes on what the system gave.
    unsafe { DefWindowProcW(window, message, what, with) }
}

/// Whether this session, and no other, is one that somebody works in: at the console or by a remote desktop.
fn session() -> Session {
    match in_use() {
        Ok((own, all)) if all.contains(&own) && all.len() == 1 => Session::InFront { console: false },
        Ok(_) => Session::Behind,
        Err(error) => Session::Lost(format!("Windows does not tell of sessions: {error}")),
    }
}

/// This session, and all that are in use.
fn in_use() -> io::Result<(u32, Vec<u32>)> {
    let mut own = 0;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: `own` is valid for the call.
    if unsafe { ProcessIdToSessionId(std::process::id(), &raw mut own) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut first, mut count): (*mut WTS_SESSION_INFOW, u32) = (null_mut(), 0);
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: both are valid for the call.
    let listed = unsafe { WTSEnumerateSessionsW(WTS_CURRENT_SERVER_HANDLE, 0, 1, &raw mut first, &raw mut count) };
    if listed == 0 {
        return Err(io::Error::last_os_error());
    }
    // Wine says that it has listed them, and lists none.
    if first.is_null() {
        return Err(io::Error::other("it lists none"));
    }
    #[expect(unsafe_code, reason = "the list is the system's")]
    // SAFETY: the call succeeded: `first`, which is not null, points to `count` entries until it is freed.
    let all = unsafe { std::slice::from_raw_parts(first, count as usize) };
    let active = all.iter().filter(|one| one.State == WTSActive).map(|one| one.SessionId).collect();
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: `first` was allocated by the call above and is not used any more.
    unsafe {
        WTSFreeMemory(first.cast());
    }
    Ok((own, active))
}
