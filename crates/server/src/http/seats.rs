//! Who may be connected. Clients that sent the token keep their seats; of the others the one that is there longest leaves
//! when there is no room for a new connection, so that strangers never keep a client out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

/// Files that stay free for jobs, uploads and the database, where the limit of open files allows it.
const FILES_OF_JOBS: u64 = 256;

/// As many seats as are `wanted`, or as a process with `open_files` has room for beside its jobs.
pub(crate) fn number(wanted: usize, open_files: Option<u64>) -> usize {
    let Some(open_files) = open_files else {
        return wanted;
    };
    let room = open_files - FILES_OF_JOBS.min(open_files / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// The seats of a server.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    most_strangers: usize,
    taken: Mutex<Taken>,
    freed: Notify,
    open: Gauge<i64, AtomicI64>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Connections that sent the token.
    known: usize,
    /// The others, the oldest first, and how each is told to leave.
    strangers: BTreeMap<u64, Arc<Notify>>,
    /// Strangers that were told to leave and are still there.
    leaving: usize,
}

impl Seats {
    /// `most` seats, of which clients without the token have three quarters at most. `open` shows how many are taken.
    pub(crate) fn new(most: usize, open: Gauge<i64, AtomicI64>) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_strangers: (most - most / 4).max(1),
            taken: Mutex::default(),
            freed: Notify::new(),
            open,
        })
    }

    /// A seat for a new connection, or `None` if clients with the token have them all.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Seat> {
        loop {
            if let Some(seat) = self.find()? {
                return Some(seat);
            }
            // The one that was told to leave does so at once.
            self.freed.notified().await;
        }
    }

    /// `Some(None)` while somebody leaves.
    fn find(self: &Arc<Self>) -> Option<Option<Seat>> {
        let mut taken = self.taken();
        let strangers = taken.strangers.len() + taken.leaving;
        if strangers < self.most_strangers && taken.known + strangers < self.most {
            let number = taken.next;
            taken.next += 1;
            let leave = Arc::new(Notify::new());
            taken.strangers.insert(number, Arc::clone(&leave));
            self.open.inc();
            return Some(Some(Seat(Arc::new(Place {
                seats: Arc::clone(self),
                number,
                leave,
                known: AtomicBool::new(false),
            }))));
        }
        if taken.leaving == 0 {
            let (_, oldest) = taken.strangers.pop_first()?;
            oldest.notify_one();
            taken.leaving += 1;
        }
        Some(None)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seat of a connection; it is free again when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    seats: Arc<Seats>,
    number: u64,
    leave: Arc<Notify>,
    known: AtomicBool,
}

impl Seat {
    /// The connection sent the token, and keeps its seat from now on.
    pub(crate) fn keep(&self) {
        let place = &*self.0;
        if place.known.load(Ordering::Acquire) {
            return;
        }
        let mut taken = place.seats.taken();
        if taken.strangers.remove(&place.number).is_some() {
            taken.known += 1;
            place.known.store(true, Ordering::Release);
        }
    }

    /// Waits until the connection has to make room.
    pub(crate) async fn lost(&self) {
        self.0.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if self.known.load(Ordering::Acquire) {
            taken.known -= 1;
        } else if taken.strangers.remove(&self.number).is_none() {
            taken.leaving -= 1;
        }
        drop(taken);
        self.seats.open.dec();
        self.seats.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seats_leave_files_for_jobs() {
        assert_eq!(number(1_000, None), 1_000);
        assert_eq!(number(1_000, Some(20_000)), 1_000);
        assert_eq!(number(1_000, Some(1_024)), 768);
        assert_eq!(number(1_000, Some(64)), 32);
        assert_eq!(number(1_000, Some(0)), 0);
    }

    #[tokio::test]
    async fn the_oldest_stranger_makes_room_and_clients_with_the_token_stay() {
        let seats = Seats::new(4, Gauge::default());
        let client = seats.take().await.unwrap();
        client.keep();
        let mut strangers = Vec::new();
        for _ in 0..3 {
            strangers.push(seats.take().await.unwrap());
        }
        assert_eq!(seats.open.get(), 4);
        let oldest = strangers.remove(0);
        let left = tokio::spawn(async move {
            oldest.lost().await;
            drop(oldest);
        });
        let newest = seats.take().await.unwrap();
        left.await.unwrap();
        assert_eq!(seats.open.get(), 4);
        // One that was told to leave may show the token too late.
        let late = strangers.remove(0);
        let waiting = tokio::spawn({
            let seats = Arc::clone(&seats);
            async move { seats.take().await.unwrap() }
        });
        late.lost().await;
        late.keep();
        drop(late);
        let last = waiting.await.unwrap();
        for seat in strangers.iter().chain([&newest, &last]) {
            seat.keep();
        }
        assert!(seats.take().await.is_none());
        let silent = tokio::time::timeout(Duration::from_millis(20), client.lost());
        assert!(silent.await.is_err());
        drop((client, strangers, newest, last));
        assert_eq!(seats.open.get(), 0);
        assert!(seats.take().await.is_some());
    }
}
