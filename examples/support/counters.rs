//! The counters of group messages, over restarts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use matter_session::group::{CounterStore, GroupCounter, StoreError};
use serde_json::{Value, json};

use super::Result;

/// The bounds of both counters: in a JSON file, or in memory alone, where they last as long as the
/// program. A node that lives longer than one run must keep them: a counter that is used twice under
/// one key gives both messages away, and receivers drop the second.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    path: Option<PathBuf>,
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    data: Option<u64>,
    control: Option<u64>,
}

impl Bounds {
    const fn of(&mut self, counter: GroupCounter) -> &mut Option<u64> {
        match counter {
            GroupCounter::Data => &mut self.data,
            GroupCounter::Control => &mut self.control,
        }
    }

    fn read(text: &[u8]) -> io::Result<Self> {
        let file: Value = serde_json::from_slice(text)?;
        if !file.is_object() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bound = |name| match &file[name] {
            Value::Null => Ok(None),
            value => value.as_u64().map(Some).ok_or(io::ErrorKind::InvalidData),
        };
        Ok(Self { data: bound("data")?, control: bound("control")? })
    }

    /// Replaces the file in one step, so that a power cut leaves the old or the new one.
    fn write(self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        let Self { data, control } = self;
        write!(file, "{}", json!({ "data": data, "control": control }))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // On Unix the new name is there for good when its directory is.
        if cfg!(unix) {
            let directory = path.parent().filter(|directory| *directory != Path::new(""));
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

impl Counters {
    /// Opens a file, which need not exist yet. A damaged one is an error, not a new beginning.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bounds = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bounds::default()),
            read => read.and_then(|text| Bounds::read(&text)),
        };
        let bounds = bounds.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: Some(path.to_owned()), bounds })
    }
}

impl CounterStore for Counters {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        Ok(*self.bounds.of(counter))
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        let mut bounds = self.bounds;
        *bounds.of(counter) = Some(bound);
        if let Some(path) = &self.path {
            bounds.write(path).map_err(|error| {
                eprintln!("{}: {error}", path.display());
                StoreError
            })?;
        }
        self.bounds = bounds;
        Ok(())
    }
}
