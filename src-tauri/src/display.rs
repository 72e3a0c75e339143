//! What must be right before a window system can be used: a display that answers, and a renderer that paints.

use anyhow::Context;

/// Checks that windows can be shown.
///
/// # Errors
/// When there is no display, with what to use instead.
#[cfg(target_os = "linux")]
pub(crate) fn prepare() -> anyhow::Result<()> {
    restart_without_dmabuf()?;
    gtk::init().ok().context(
        "no display answers (DISPLAY or WAYLAND_DISPLAY). Start it inside a desktop session; \
         on a machine without one, `surge run` contributes without a window",
    )
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare() -> anyhow::Result<()> {
    Ok(())
}

/// WebKitGTK's DMA-BUF renderer leaves windows blank with NVIDIA's driver. Only its environment can turn it off, before
/// GTK starts; so the program starts itself again with the variable set, which needs no `unsafe`.
#[cfg(target_os = "linux")]
fn restart_without_dmabuf() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    let nvidia = std::path::Path::new("/proc/driver/nvidia/version").exists();
    if !nvidia || std::env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe().context("finding this program")?;
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(VARIABLE, "1").exec();
    Err(error).context("starting again for NVIDIA's driver")
}
