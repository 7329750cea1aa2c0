//! Publishes baseline and events to Fiddler through a durable outbox.
