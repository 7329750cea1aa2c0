//! A plugin of this SDK under hosts that know less, and more, than it does.

#![allow(clippy::unwrap_used)]

use driftline_plugin_sdk::abi::{DlError, DlHost, DlStr};
use driftline_plugin_sdk::core::{
    DriftTransform, ImageBatch, Result, TransformContext, TransformInfo,
};
use driftline_plugin_sdk::{TransformPlugin, export_plugin};

/// No parameters.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {}

struct Same(TransformInfo);

impl DriftTransform for Same {
    fn info(&self) -> &TransformInfo {
        &self.0
    }

    fn apply(&self, _: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        Ok(())
    }
}

impl TransformPlugin for Same {
    const NAME: &'static str = "same";
    const SUMMARY: &'static str = "the image as it is";
    type Parameters = Parameters;

    fn new(Parameters {}: Parameters) -> Result<Self> {
        Ok(Self(TransformInfo {
            name: "same".to_owned(),
            expression: "same".to_owned(),
        }))
    }
}

export_plugin! { transforms: [Same] }

fn host(struct_size: u32) -> DlHost {
    DlHost {
        struct_size,
        abi_minor: 0,
        host_name: DlStr::new("another"),
        host_version: DlStr::new("9.9.9"),
        // Behind the end of a small struct there may be anything.
        ctx: std::ptr::dangling_mut(),
        log: None,
    }
}

#[test]
fn hosts_with_smaller_and_larger_structs_get_the_same_plugin() {
    for host in [4, 8, 40, size_of::<DlHost>() as u32, 4096].map(host) {
        let mut error = DlError {
            struct_size: 16,
            code: 0,
            flags: 0,
            cap: 0,
            text: std::ptr::null_mut(),
            len: 0,
        };
        // SAFETY: both live for the call; nothing is logged after it.
        let plugin = unsafe { driftline_plugin_v1(&host, &mut error).as_ref() }.unwrap();
        assert_eq!(plugin.component_count, 1);
        // SAFETY: the plugin has one component, whose name is a constant.
        let name = unsafe { (*plugin.components).name.read() };
        assert_eq!(name, Ok("same"));
        assert_eq!(error.code, 0);
    }
}
