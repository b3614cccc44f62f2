//! Frames over the socket at which the emulator serves its UART.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use firmware::frame::{self, HEADER, kind};

use super::Result;

/// Its clones write whole frames, too; one alone may read.
#[derive(Clone)]
pub(crate) struct Line {
    reader: Arc<UnixStream>,
    writer: Arc<Mutex<UnixStream>>,
}

impl Line {
    /// Connects as soon as the emulator is there.
    pub(crate) fn connect(path: &str, patience: Duration) -> Result<Self> {
        let until = Instant::now() + patience;
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    let writer = Arc::new(Mutex::new(stream.try_clone()?));
                    return Ok(Self { reader: Arc::new(stream), writer });
                }
                Err(error) if Instant::now() >= until => {
                    return Err(format!("{path}: {error}").into());
                }
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    pub(crate) fn send(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let body = parts.concat();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&[&frame::header(kind, body.len())[..], &body].concat())
    }

    /// The next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut header = [0; HEADER];
        match (&*self.reader).read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let len = frame::body_len(header).ok_or("a frame of a length that none has")?;
        let mut body = vec![0; len];
        (&*self.reader).read_exact(&mut body)?;
        Ok(Some((header[2], body)))
    }

    /// Waits until the node says that it was reset.
    pub(crate) fn await_reset(&mut self) -> Result<()> {
        while let Some((kind, _)) = self.next()? {
            if kind == kind::AWAKE {
                return Ok(());
            }
        }
        Err("the node has gone".into())
    }

    /// Sends a request and waits until the node says that it is done.
    pub(crate) fn request(&mut self, kind: u8, parts: &[&[u8]]) -> Result<()> {
        self.send(kind, parts)?;
        while let Some((answer, body)) = self.next()? {
            if answer == kind::DONE && body[..] == [kind, 1] {
                return Ok(());
            }
            if answer == kind::DONE {
                return Err(format!("the node refused request {kind}").into());
            }
        }
        Err("the node has gone".into())
    }
}
