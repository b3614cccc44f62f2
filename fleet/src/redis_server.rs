//! A Redis of our own for demonstrations and tests: on a free port of the loopback, in a directory of
//! its own.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant as Clock;
use std::{env, fs, process, thread};

use crate::Outcome;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server. It is killed, and its directory removed, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    directory: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server without data.
    ///
    /// # Errors
    /// There is no program `redis-server`, or it does not start.
    pub fn start() -> Outcome<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fleet-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        // Free until it is closed, and nobody else asks for it in the moment between.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut server = Self { directory, address, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it without warning (`SIGKILL`). What it has written stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again at the same address, with the data that are in its directory.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn restart(&mut self) -> Outcome {
        self.kill();
        // Redis may lose rows in a crash: no claim depends on a disk. `always` loses fewest.
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            // Rows end by their expiry, and are never evicted for others.
            .args(["--maxmemory-policy", "noeviction", "--daemonize", "no", "--dir"])
            .arg(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.map_err(|error| format!("redis-server: {error}"))?);
        let begin = Clock::now();
        while !self.answers() {
            if begin.elapsed() > PATIENCE {
                return Err("redis-server does not start".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Returns true if it has read its data.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let mut answer = [0; 5];
        let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer));
        asked.is_ok() && answer == *b"+PONG"
    }

    /// Removes its data, while it does not run.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn wipe(&mut self) -> Outcome {
        fs::remove_dir_all(&self.directory)?;
        fs::create_dir(&self.directory)?;
        Ok(())
    }

    /// Copies its data to another directory: a backup.
    ///
    /// # Errors
    /// A directory cannot be read or written.
    pub fn back_up(&self, to: &Path) -> Outcome {
        copy(&self.directory, to)
    }

    /// Puts a backup in place of its data, while it does not run.
    ///
    /// # Errors
    /// A directory cannot be read or written.
    pub fn bring_back(&mut self, from: &Path) -> Outcome {
        fs::remove_dir_all(&self.directory)?;
        copy(from, &self.directory)
    }
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // A directory for temporary files is left behind at worst.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
