//! Size and offsets of every struct on 64-bit machines, from one list.
//!
//! The list is checked against the Rust structs when this crate is built, and becomes the `DL_LAYOUT` lines of
//! `include/driftline_plugin.h`, which are checked when a plugin in C is built.

use crate::{
    DlCall, DlComponent, DlEmbeddingTable, DlError, DlHost, DlLeadingTable, DlPlugin, DlSinkTable,
    DlStr, DlTensor, DlTensorMut, DlTransformTable, DlWriter,
};

/// The layout of one struct, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Name of the struct.
    pub name: &'static str,
    /// Its size.
    pub size: usize,
    /// Its members and their offsets, in order.
    pub members: &'static [(&'static str, usize)],
}

macro_rules! layouts {
    ($($name:ident = $size:literal { $($member:ident = $offset:literal),* $(,)? })*) => {
        /// All structs.
        pub const LAYOUTS: &[Layout] = &[$(Layout {
            name: stringify!($name),
            size: $size,
            members: &[$((stringify!($member), $offset)),*],
        }),*];

        #[cfg(target_pointer_width = "64")]
        const _: () = {
            $(
                assert!(size_of::<$name>() == $size);
                $(assert!(std::mem::offset_of!($name, $member) == $offset);)*
            )*
        };
    };
}

layouts! {
    DlStr = 16 { ptr = 0, len = 8 }
    DlError = 32 { struct_size = 0, code = 4, flags = 8, cap = 12, text = 16, len = 24 }
    DlWriter = 24 { struct_size = 0, ctx = 8, write = 16 }
    DlTensor = 48 {
        struct_size = 0, dtype_code = 4, dtype_bits = 5, dtype_lanes = 6, device_type = 8, device_id = 12, ndim = 16,
        shape = 24, strides = 32, data = 40,
    }
    DlTensorMut = 48 {
        struct_size = 0, dtype_code = 4, dtype_bits = 5, dtype_lanes = 6, device_type = 8, device_id = 12, ndim = 16,
        shape = 24, strides = 32, data = 40,
    }
    DlCall = 48 {
        struct_size = 0, flags = 4, batch_id = 8, seed = 16, deadline_ns = 24, rows = 32, row_count = 40,
    }
    DlHost = 56 {
        struct_size = 0, abi_minor = 4, host_name = 8, host_version = 24, ctx = 40, log = 48,
    }
    DlComponent = 104 {
        struct_size = 0, kind = 4, name = 8, version = 24, summary = 40, config_schema_json = 56,
        capabilities_json = 72, capability_bits = 88, vtable = 96,
    }
    DlPlugin = 112 {
        struct_size = 0, abi_minor = 4, flags = 8, name = 16, version = 32, license = 48, target = 64, build_info = 80,
        component_count = 96, component_stride = 100, components = 104,
    }
    DlLeadingTable = 40 { struct_size = 0, validate = 8, create = 16, destroy = 24, health = 32 }
    DlTransformTable = 56 {
        struct_size = 0, validate = 8, create = 16, destroy = 24, health = 32, apply = 40, describe = 48,
    }
    DlEmbeddingTable = 80 {
        struct_size = 0, validate = 8, create = 16, destroy = 24, health = 32, dim = 40, classes = 48, limits = 56,
        embed = 64, describe = 72,
    }
    DlSinkTable = 80 {
        struct_size = 0, validate = 8, create = 16, destroy = 24, health = 32, prepare = 40, publish = 48, flush = 56,
        describe = 64, publish_labels = 72,
    }
}

/// The `DL_LAYOUT` lines of the header.
pub fn header_lines() -> String {
    let mut lines = String::new();
    for layout in LAYOUTS {
        lines.push_str(&format!("DL_SIZE({}, {});\n", layout.name, layout.size));
        for (member, offset) in layout.members {
            lines.push_str(&format!(
                "DL_OFFSET({}, {member}, {offset});\n",
                layout.name
            ));
        }
    }
    lines
}
