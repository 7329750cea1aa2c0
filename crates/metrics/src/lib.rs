//! Numbers of a stored model by time bin.
