//! The servers, which are other processes, and what a process has cost.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use matter_session::rand_core::UnwrapErr;
use matter_session_testing::new_fabric;
use matter_session_testing::program::Result;

use crate::{echo, node};

/// Runs a server until the other process has ended.
pub(crate) fn serve(what: &str, fabric: Option<&str>) -> Result<()> {
    thread::spawn(|| {
        // Nobody writes: this returns when the other process has ended.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    match what {
        "echo-by-one" => echo::serve_by_one(),
        "echo" => echo::serve(),
        "node" => node::serve(fabric.ok_or("a node needs a fabric")?),
        _ => Err(format!("there is no server {what}").into()),
    }
}

/// Tells the other process where this one listens.
pub(crate) fn ready(address: SocketAddr) {
    println!("READY {address}");
}

/// A server in a process of its own. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// An own server ends when this is closed.
    _stdin: Option<ChildStdin>,
}

impl Server {
    /// This program in another process.
    pub(crate) fn own(what: &str, fabric: &Path) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--serve", what, "--fabric"]).arg(fabric);
        Self::start(command)
    }

    /// The responder of the interoperability tests, without its records.
    pub(crate) fn matter_js(fabric: &Path) -> Result<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/matterjs");
        if !directory.join("node_modules").is_dir() {
            return Err("`npm ci` in interop/matterjs first".into());
        }
        // A port that is free, unless somebody takes it at this moment.
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new("node");
        command.arg(directory.join("responder.mjs")).arg("--quiet");
        command.args(["--listen", &address.to_string(), "--fabric"]).arg(fabric);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut server = Self { _stdin: child.stdin.take(), child, address: ([0; 4], 0).into() };
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some(address) = line.strip_prefix("READY ") {
                server.address = address.parse()?;
                // What else it says is read, so that it never waits for that.
                thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        Err("it has ended".into())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time that all threads of a process were on a processor, in user code and in the kernel.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended meanwhile.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// A fabric of the two nodes, in a file.
pub(crate) fn make_fabric() -> Result<PathBuf> {
    let path = env::temp_dir().join(format!("sockets-{}.json", std::process::id()));
    new_fabric::write(&path.to_string_lossy(), &mut UnwrapErr(getrandom::SysRng))?;
    Ok(path)
}
