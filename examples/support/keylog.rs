//! `--keylog FILE`: the keys of this node's sessions, for `matter-trace`. **Whoever reads the file
//! reads the sessions**: for test networks alone.

use std::io;

use matter_session::context::Services;

/// Where keys are logged; by default nowhere.
#[derive(Debug, Default)]
pub(crate) struct KeyFile {
    #[cfg(feature = "keylog")]
    file: Option<file::Lines>,
}

#[cfg(not(feature = "keylog"))]
impl KeyFile {
    pub(crate) fn create(_: &str) -> io::Result<Self> {
        let missing = "keys are logged by programs with the feature `keylog` alone";
        Err(io::Error::new(io::ErrorKind::Unsupported, missing))
    }

    #[allow(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) fn equip<'a>(&'a self, services: Services<'a>) -> Services<'a> {
        services
    }
}

#[cfg(feature = "keylog")]
impl KeyFile {
    /// Makes the file, which its owner alone can read, or adds to one.
    pub(crate) fn create(path: &str) -> io::Result<Self> {
        eprintln!("{path} will hold the keys of all sessions: delete it after use");
        Ok(Self { file: Some(file::Lines::open(path)?) })
    }

    pub(crate) fn equip<'a>(&'a self, services: Services<'a>) -> Services<'a> {
        match &self.file {
            Some(file) => services.with_hazmat_key_log(file),
            None => services,
        }
    }
}

#[cfg(feature = "keylog")]
mod file {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};

    use matter_session::keylog::{KeyLog, KeyLogEntry};

    #[derive(Debug)]
    pub(super) struct Lines(File);

    impl Lines {
        pub(super) fn open(path: &str) -> io::Result<Self> {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path).map(Self)
        }
    }

    impl KeyLog for Lines {
        fn log(&self, entry: &KeyLogEntry) {
            // One call for the whole line: several programs may add to one file.
            let line = format!("{}\n", entry.line());
            if let Err(error) = (&self.0).write_all(line.as_bytes()) {
                eprintln!("a key was not logged: {error}");
            }
        }
    }
}
