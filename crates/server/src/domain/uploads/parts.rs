//! Parts that become one file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use driftline_core::Result;
use driftline_rows::durable::sync_folder;
use uuid::Uuid;

use super::folder::Uploads;
use crate::domain::error::{self, disk};

impl Uploads {
    /// Puts the parts of a file together, in this order, and removes them. Blocks. The file appears under its name
    /// whole and synced. A call for a file that is being put together waits for it, and one with the file in place
    /// changes nothing.
    ///
    /// # Errors
    /// `InvalidData` if a part is missing, `LimitExceeded` if the whole is too large or there is no room for it.
    pub fn join(&self, id: Uuid, parts: &[u32], most: u64) -> Result<u64> {
        let _alone = self.joining.alone(id);
        let whole = self.path(id);
        if let Ok(there) = whole.metadata() {
            return Ok(there.len());
        }
        let partial = self.partial();
        let mut size = 0;
        let joined = self
            .append_parts(id, parts, most, &partial, &mut size)
            .and_then(|()| self.rename(&partial, &whole).map_err(disk));
        if let Err(error) = joined {
            self.release(size);
            // Left behind, it is removed when it is old.
            let _best_effort = std::fs::remove_file(&partial);
            return Err(error);
        }
        sync_folder(&self.folder).map_err(disk)?;
        self.remove_parts(id)?;
        Ok(size)
    }

    /// Writes the parts to a new file. `size` is what it has so far, for which room was taken.
    fn append_parts(
        &self,
        id: Uuid,
        parts: &[u32],
        most: u64,
        to: &Path,
        size: &mut u64,
    ) -> Result<()> {
        let mut file = File::create(to).map_err(disk)?;
        for number in parts {
            let mut part = match File::open(self.part(id, *number)) {
                Ok(part) => part,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let message = format!("part {number} of the file was not uploaded");
                    return Err(error::invalid(message));
                }
                Err(e) => return Err(disk(e)),
            };
            let length = part.metadata().map_err(disk)?.len();
            if length > most - *size {
                return Err(error::too_large(most));
            }
            self.reserve(length)?;
            *size += length;
            let copied = io::copy(&mut (&mut part).take(length), &mut file).map_err(disk)?;
            if copied != length {
                return Err(disk(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        file.flush().and_then(|()| file.sync_all()).map_err(disk)?;
        let written = file.metadata().map_err(disk)?.len();
        if written != *size {
            return Err(disk(io::ErrorKind::WriteZero.into()));
        }
        Ok(())
    }
}
