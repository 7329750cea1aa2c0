//! Downloads into a cache.
