//! A database that survives what goes wrong with its disk: it is opened again after an error, and
//! a panic of the database is an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::Database;

pub(crate) type Error = Box<dyn core::error::Error>;

/// After a failed write redb refuses every call until it is opened again. Over a damaged file it
/// can panic.
pub(crate) struct Guarded {
    open: Box<dyn Fn() -> Result<Database, Error>>,
    database: Option<Database>,
}

impl Guarded {
    /// Opens the database at once, so that an error here is of the file.
    pub(crate) fn new(open: impl Fn() -> Result<Database, Error> + 'static) -> Result<Self, Error> {
        let mut guarded = Self { open: Box::new(open), database: None };
        guarded.attempt(|_| Ok(()))?;
        Ok(guarded)
    }

    /// Runs a transaction. After an error the database is opened again for the next one.
    pub(crate) fn attempt<T>(
        &mut self,
        act: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = caught(|| {
            let database = match self.database.take() {
                Some(database) => database,
                None => checked((self.open)()?)?,
            };
            act(self.database.insert(database))
        });
        if result.is_err() {
            let failed = self.database.take();
            // Closing writes, too, and may fail for the same reason.
            let _ = caught(|| {
                drop(failed);
                Ok(())
            });
        }
        result
    }
}

/// What is damaged is found by its checksums, all of them, and not when it is read.
fn checked(mut database: Database) -> Result<Database, Error> {
    match database.check_integrity()? {
        true => Ok(database),
        false => Err("the database is damaged".into()),
    }
}

/// Nothing that a panic leaves behind is used again: the database is dropped.
fn caught<T>(act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err("the database panicked".into()))
}
