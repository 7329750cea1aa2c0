//! candle's tensors behind the trait.

use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, Error, ErrorKind, ImageView, InferenceMut,
    Precision, Result,
};
use driftline_kernels::Instructions;

use crate::candle::{VERSION, failed};
use crate::chosen::chosen;
use crate::fused::{self, Fused};
use crate::layers::Layers;
use crate::opened::{Opened, notes, precision};

pub(crate) const NAME: &str = "candle";

/// ResNet-18 on the CPU with candle's tensors: one fused operation, in fp32 or with bf16 factors, or candle's own operations
/// in fp32.
///
/// | option | default | meaning |
/// | --- | --- | --- |
/// | `fused` | `true` | one operation made from `driftline-kernels`; `false`: layer by layer in candle's own operations |
pub struct CandleBackend {
    info: BackendInfo,
    way: Way,
}

enum Way {
    Fused(Box<Fused>),
    Layers(Layers),
}

impl CandleBackend {
    /// Reads the model. The fused operation is compiled for this processor, see [`chosen`].
    ///
    /// # Errors
    /// `InvalidConfig` for an option that is not in the table, `Unsupported` for a device or a precision that the way does not
    /// have.
    pub fn open(config: &BackendConfig) -> Result<Self> {
        if is_fused(config)? {
            Self::fused(config, chosen(precision(config))?)
        } else {
            Self::layers(config)
        }
    }

    /// Reads the model and compiles the fused operation for an instruction set.
    pub fn fused(config: &BackendConfig, instructions: Instructions) -> Result<Self> {
        let opened = Opened::new(NAME, config)?;
        let way = Way::Fused(Box::new(Fused::new(opened.compile(instructions)?)?));
        let engine = fused::engine(instructions);
        Ok(Self {
            info: opened.info(NAME, engine, notes(instructions)),
            way,
        })
    }

    /// Reads the model as layers of candle.
    pub fn layers(config: &BackendConfig) -> Result<Self> {
        if precision(config) != Precision::Fp32 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!(
                    "candle's own operations compute in fp32 only, not in {}",
                    precision(config)
                ),
            )
            .remedy("use `backend.precision=fp32`, or leave `backend.options.fused` at true"));
        }
        let opened = Opened::new(NAME, config)?;
        let layers = Layers::new(&opened.network, &opened.preprocessing, config.threads)?;
        Ok(Self {
            info: opened.info(NAME, VERSION.to_owned(), Vec::new()),
            way: Way::Layers(layers),
        })
    }
}

/// The option `fused`; any other is refused.
fn is_fused(config: &BackendConfig) -> Result<bool> {
    let refuse = |message: String| {
        Err(
            Error::new(ErrorKind::InvalidConfig, "open backend", message)
                .with("backend", NAME)
                .remedy("it has one option, `fused`, which is true or false"),
        )
    };
    let mut fused = true;
    for (option, value) in &config.options {
        fused = match (option.as_str(), value.as_bool()) {
            ("fused", Some(value)) => value,
            ("fused", None) => return refuse(format!("the option `fused` is {value}")),
            (other, _) => return refuse(format!("there is no option `{other}`")),
        };
    }
    Ok(fused)
}

impl EmbeddingBackend for CandleBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        if images.is_empty() {
            return Ok(());
        }
        match &mut self.way {
            Way::Fused(fused) => fused.embed(images, out),
            Way::Layers(layers) => layers.embed(images, out),
        }
        .map_err(|cause| failed("embed", cause))
    }
}
