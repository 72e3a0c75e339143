//! BOINC's client with a project of ours, where it is installed: a server with one endless task, and a program for it
//! that is linked to BOINC's library.
//!
//! Its preferences are the ones that yield soonest: idle after 6 s, which is its least, and no work while in use.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::executable;
use crate::network::{Running, wait_for};
use crate::ports::Port;
use crate::process;

const BURNER: &str = include_str!("burner.cpp");

/// Of the client's control port.
const PASSWORD: &str = "bench";

const PREFERENCES: &str = "<global_preferences><run_if_user_active>0</run_if_user_active><idle_time_to_run>0.1</idle_time_to_run>\
    <suspend_cpu_usage>0</suspend_cpu_usage><cpu_usage_limit>100</cpu_usage_limit><max_ncpus_pct>100</max_ncpus_pct>\
    <run_on_batteries>1</run_on_batteries><suspend_if_no_recent_input>0</suspend_if_no_recent_input>\
    <leave_apps_in_memory>1</leave_apps_in_memory></global_preferences>";

pub(super) struct Boinc {
    pub(super) version: String,
    client: Running,
    folder: PathBuf,
    port: Port,
    _server: Port,
}

impl Boinc {
    /// `None` where it is not installed.
    pub(super) fn start(folder: &Path, display: &str) -> Result<Option<Self>> {
        let Ok(version) = Command::new("boinc").arg("--version").output() else { return Ok(None) };
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        fs::create_dir_all(folder)?;
        let Some(burner) = burner(folder)? else { return Ok(None) };
        let (port, server_port) = (Port::free(), Port::free());
        let server = server_port.number();
        serve(server)?;
        let options = "<ncpus>1</ncpus><skip_cpu_benchmarks>1</skip_cpu_benchmarks><dont_contact_ref_site>1</dont_contact_ref_site>\
            <no_info_fetch>1</no_info_fetch><no_gpus>1</no_gpus><start_delay>0</start_delay>";
        fs::write(folder.join("cc_config.xml"), format!("<cc_config><options>{options}</options></cc_config>"))?;
        fs::write(folder.join("gui_rpc_auth.cfg"), PASSWORD)?;
        fs::write(folder.join("global_prefs_override.xml"), PREFERENCES)?;
        let project = folder.join(format!("projects/127.0.0.1_{server}"));
        fs::create_dir_all(&project)?;
        executable::copy(&burner, &project.join("burner"));
        fs::write(project.join("app_info.xml"), APP)?;
        let log = fs::File::create(folder.join("client.log"))?;
        let client = Command::new("boinc")
            .args(["--allow_multiple_clients", "--no_gpus", "--gui_rpc_port", &port.number().to_string(), "--dir"])
            .arg(folder)
            .current_dir(folder)
            .env("DISPLAY", display)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let boinc = Self { version, client: Running(client), folder: folder.to_owned(), port, _server: server_port };
        wait_for("BOINC's client", || boinc.command(&["--get_cc_status"]).is_ok().then_some(()));
        boinc.command(&["--project_attach", &format!("http://127.0.0.1:{server}/"), "bench"])?;
        boinc.run(false)?;
        Ok(Some(boinc))
    }

    pub(super) fn client(&self) -> u32 {
        self.client.0.id()
    }

    pub(super) fn tasks(&self) -> Vec<u32> {
        process::children(self.client())
    }

    /// Lets it work by its preferences, or not at all.
    pub(super) fn run(&self, run: bool) -> Result<()> {
        self.command(&["--set_run_mode", if run { "auto" } else { "never" }])
    }

    fn command(&self, args: &[&str]) -> Result<()> {
        let host = format!("127.0.0.1:{}", self.port.number());
        let mut command = Command::new("boinccmd");
        command.args(["--host", &host, "--passwd", PASSWORD]).args(args).current_dir(&self.folder);
        let done = command.output().context("boinccmd is missing: it comes with boinc-client")?;
        ensure!(done.status.success(), "boinccmd {args:?}: {}", String::from_utf8_lossy(&done.stderr).trim());
        Ok(())
    }
}

impl Drop for Boinc {
    fn drop(&mut self) {
        // Its task ends with it; what does not leave in order is killed with `client`.
        let _ = self.command(&["--quit"]);
        for task in self.tasks() {
            if let Some(pid) = rustix::process::Pid::from_raw(task.cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// The task's program; `None` without BOINC's library or a compiler.
fn burner(folder: &Path) -> Result<Option<PathBuf>> {
    let (source, program) = (folder.join("burner.cpp"), folder.join("burner"));
    fs::write(&source, BURNER)?;
    let mut compiler = Command::new("g++");
    compiler.arg("-O2").arg(&source).arg("-o").arg(&program).args(["-lboinc_api", "-lboinc", "-lpthread"]);
    let Ok(done) = compiler.stderr(Stdio::null()).status() else { return Ok(None) };
    Ok(done.success().then_some(program))
}

const APP: &str = "<app_info><app><name>burner</name></app><file_info><name>burner</name><executable/></file_info>\
    <app_version><app_name>burner</app_name><version_num>100</version_num><avg_ncpus>1</avg_ncpus><flops>1e9</flops>\
    <file_ref><file_name>burner</file_name><main_program/></file_ref></app_version></app_info>";

/// The project: a page that names the scheduler, and a scheduler that has one task.
fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::spawn(move || {
        let mut given = false;
        for stream in listener.incoming().flatten() {
            // A connection that breaks is tried again by the client.
            let _ = answer(stream, port, &mut given);
        }
    });
    Ok(())
}

fn answer(mut stream: TcpStream, port: u16, given: &mut bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let url = format!("http://127.0.0.1:{port}/");
    let body = if first.starts_with("POST") {
        let task = if std::mem::replace(given, true) { String::new() } else { task() };
        format!(
            "<scheduler_reply><scheduler_version>720</scheduler_version><master_url>{url}</master_url>\
             <request_delay>86400</request_delay><project_name>bench</project_name><user_name>bench</user_name>\
             <userid>1</userid><teamid>0</teamid><hostid>1</hostid>{task}</scheduler_reply>\n"
        )
        .replace("><", ">\n<")
    } else if first.contains("get_project_config") {
        format!(
            "<project_config>\n<name>bench</name>\n<master_url>{url}</master_url>\n<web_rpc_url_base>{url}</web_rpc_url_base>\n\
             <min_passwd_length>1</min_passwd_length>\n<platforms>\n<platform>x86_64-pc-linux-gnu</platform>\n</platforms>\n</project_config>\n"
        )
    } else {
        format!(
            "<html><head><title>bench</title></head><body>\n<!--\n<scheduler>{url}sched</scheduler>\n-->\n</body></html>\n"
        )
    };
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn task() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let deadline = now + 7 * 86_400;
    format!(
        "<app><name>burner</name><user_friendly_name>burner</user_friendly_name></app>\
         <workunit><name>burn_{now}</name><app_name>burner</app_name><version_num>100</version_num>\
         <rsc_fpops_est>6e13</rsc_fpops_est><rsc_fpops_bound>6e16</rsc_fpops_bound><rsc_memory_bound>5e7</rsc_memory_bound>\
         <rsc_disk_bound>5e7</rsc_disk_bound></workunit>\
         <result><name>burn_{now}_0</name><wu_name>burn_{now}</wu_name><platform>x86_64-pc-linux-gnu</platform>\
         <version_num>100</version_num><plan_class></plan_class><report_deadline>{deadline}</report_deadline></result>"
    )
}
