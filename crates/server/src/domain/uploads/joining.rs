//! One thread at a time for each file that is put together.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use uuid::Uuid;

/// Files whose parts are being put together.
#[derive(Debug, Default)]
pub(super) struct Joining {
    files: Mutex<HashSet<Uuid>>,
    joined: Condvar,
}

impl Joining {
    /// Waits until no other thread puts the file together.
    pub(super) fn alone(&self, id: Uuid) -> Alone<'_> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self
            .joined
            .wait_while(files, |files| files.contains(&id))
            .unwrap_or_else(PoisonError::into_inner);
        files.insert(id);
        Alone { joining: self, id }
    }
}

/// Of all threads, only the holder puts a file together.
pub(super) struct Alone<'a> {
    joining: &'a Joining,
    id: Uuid,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let files = self.joining.files.lock();
        files
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        self.joining.joined.notify_all();
    }
}
