//! Values of status, kind and flag words.

/// What a function returns.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// A tensor, a string or a pointer is not what it should be.
    pub const INVALID_ARGUMENT: u32 = 1;
    /// The configuration is wrong.
    pub const INVALID_CONFIG: u32 = 2;
    /// It is understood, but cannot be done here.
    pub const UNSUPPORTED: u32 = 3;
    /// Memory, threads or a device ran out.
    pub const RESOURCE: u32 = 4;
    /// A file or the network failed.
    pub const IO: u32 = 5;
    /// The deadline passed.
    pub const TIMEOUT: u32 = 6;
    /// The host asked to stop.
    pub const CANCELLED: u32 = 7;
    /// The plugin panicked; the instance can only be destroyed.
    pub const PANICKED: u32 = 8;
    /// A defect in the plugin.
    pub const INTERNAL: u32 = 9;
}

/// `DlComponent::kind`.
pub mod kind {
    /// Its table is a [`DlEmbeddingTable`](crate::DlEmbeddingTable).
    pub const EMBEDDING: u32 = 1;
    /// Its table is a [`DlTransformTable`](crate::DlTransformTable).
    pub const TRANSFORM: u32 = 2;
    /// Its table is a [`DlSinkTable`](crate::DlSinkTable).
    pub const SINK: u32 = 3;
}

/// What rows belong to, in `DlSinkTable::publish`.
pub mod part {
    /// The baseline.
    pub const BASELINE: u32 = 0;
    /// Events.
    pub const EVENTS: u32 = 1;
}

/// `DlError::flags`.
pub mod error_flags {
    /// The same call may succeed later.
    pub const RETRYABLE: u32 = 1;
    /// The text did not fit.
    pub const TRUNCATED: u32 = 2;
}

/// `DlComponent::capability_bits`.
pub mod capability {
    /// Calls on one instance may run in parallel.
    pub const CONCURRENT: u64 = 1;
    /// Input and output may be the same memory.
    pub const IN_PLACE: u64 = 2;
    /// The same input gives the same bits.
    pub const DETERMINISTIC: u64 = 4;
    /// It cannot work without a GPU.
    pub const NEEDS_GPU: u64 = 8;
}

/// `DlPlugin::flags`.
pub mod plugin_flags {
    /// A panic ends the process.
    pub const PANIC_ABORT: u32 = 1;
    /// It brings its own memory allocator.
    pub const OWN_ALLOCATOR: u32 = 2;
    /// `create` starts threads, which `destroy` joins.
    pub const SPAWNS_THREADS: u32 = 4;
}

/// DLPack's codes for what v1 uses.
pub mod dlpack {
    /// Unsigned integer.
    pub const UINT: u8 = 1;
    /// IEEE float.
    pub const FLOAT: u8 = 2;
    /// Memory of the CPU.
    pub const CPU: i32 = 1;
}

/// Levels of `DlHost::log`.
pub mod level {
    /// It went wrong.
    pub const ERROR: u32 = 1;
    /// The user should know.
    pub const WARN: u32 = 2;
    /// What happens.
    pub const INFO: u32 = 3;
    /// For whoever looks for a defect.
    pub const DEBUG: u32 = 4;
}
