//! A sink that forgets every row, and misbehaves on request.

use driftline_plugin_sdk::SinkPlugin;
use driftline_plugin_sdk::arrow_array::RecordBatch;
use driftline_plugin_sdk::core::{Ack, EventLabel, MonitorSink, MonitorSpec, Result, SinkInfo};
use schemars::JsonSchema;
use serde::Deserialize;

/// Its options.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    how: String,
}

pub(crate) struct Misbehaving {
    info: SinkInfo,
    how: String,
}

impl MonitorSink for Misbehaving {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish_events(rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        assert!(self.how != "panic_in_publish", "publish panics on request");
        Ok(Ack {
            accepted: match self.how.as_str() {
                "miscount" => u64::MAX,
                _ => rows.num_rows() as u64,
            },
            duplicates: 0,
        })
    }

    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        assert!(self.how != "panic_in_labels", "labels panic on request");
        Ok(Ack {
            accepted: match self.how.as_str() {
                "miscount" => labels.len() as u64 + 1,
                _ => labels.len() as u64,
            },
            duplicates: 0,
        })
    }

    fn flush(&mut self) -> Result<()> {
        assert!(self.how != "panic_in_flush", "flush panics on request");
        Ok(())
    }
}

impl SinkPlugin for Misbehaving {
    const NAME: &'static str = "misbehaving";
    const SUMMARY: &'static str = "a sink that misbehaves on request; options: how";
    type Options = Options;

    fn location(Options { how }: &Options) -> Result<String> {
        assert!(how != "panic_in_open", "open panics on request");
        Ok("nowhere".to_owned())
    }

    fn open(options: Options, _: &MonitorSpec) -> Result<Self> {
        let location = Self::location(&options)?;
        let Options { how } = options;
        assert!(how != "panic_in_prepare", "prepare panics on request");
        Ok(Self {
            info: SinkInfo {
                name: Self::NAME.to_owned(),
                location,
            },
            how,
        })
    }
}
