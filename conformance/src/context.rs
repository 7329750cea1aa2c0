//! What the cases for embedding backends work with: models, images, and what the oracle says about them.

use std::path::PathBuf;
use std::sync::OnceLock;

use driftline_core::{
    BackendConfig, Device, EmbeddingBackend, ErrorKind, ImageShape, ImageView, Inference,
    InferenceMut, Result,
};
use tempfile::TempDir;

use crate::case::Stop;
use crate::oracle::{self, OracleOutput};
use crate::synthetic::{Image, SyntheticModel, images};
use crate::tolerance::{self, Class, Difference};

/// Different images that most cases use.
pub(crate) const IMAGES: usize = 16;

/// A backend's constructor.
pub type MakeBackend<'a> = dyn Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + 'a;

/// A model on disk, and what the oracle says about it.
pub(crate) struct Subject {
    pub(crate) model: SyntheticModel,
    pub(crate) path: PathBuf,
    pub(crate) images: Vec<Image>,
    answers: OnceLock<Vec<OracleOutput>>,
    _folder: TempDir,
}

impl Subject {
    pub(crate) fn new(base_width: usize, shape: ImageShape, count: usize) -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|e| driftline_core::Error::io("write model", &std::env::temp_dir(), e))?;
        let model = SyntheticModel::new(base_width, shape);
        Ok(Self {
            path: model.write(folder.path())?,
            images: images(shape, 0, count as u64, 1.0),
            model,
            answers: OnceLock::new(),
            _folder: folder,
        })
    }

    /// What the oracle gives for the images.
    pub(crate) fn answers(&self) -> &[OracleOutput] {
        self.answers
            .get_or_init(|| oracle::run(&self.model, &self.images, None))
    }
}

/// The models, images and expected outputs that the cases share.
pub(crate) struct Subjects {
    pub(crate) narrow: Subject,
    pub(crate) wide: Subject,
}

impl Subjects {
    /// Writes the synthetic models into temporary folders.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            narrow: Subject::new(
                8,
                ImageShape {
                    height: 32,
                    width: 32,
                },
                IMAGES,
            )?,
            // Not square, so that height and width are not taken for each other.
            wide: Subject::new(
                16,
                ImageShape {
                    height: 40,
                    width: 24,
                },
                IMAGES,
            )?,
        })
    }
}

/// What a case works with.
pub struct BackendContext<'a> {
    pub(crate) subjects: &'a Subjects,
    pub(crate) make: &'a MakeBackend<'a>,
    measured: Difference,
}

impl<'a> BackendContext<'a> {
    /// Of backends that `make` opens.
    pub(crate) fn new(subjects: &'a Subjects, make: &'a MakeBackend<'a>) -> Self {
        Self {
            subjects,
            make,
            measured: Difference::default(),
        }
    }

    /// The worst differences from the oracle so far.
    pub(crate) fn measured(&self) -> Difference {
        self.measured
    }

    pub(crate) fn open(
        &self,
        subject: &Subject,
        threads: usize,
    ) -> Result<Box<dyn EmbeddingBackend>, Stop> {
        self.open_on(subject, threads, Device::Cpu)
    }

    /// Opens the model of `subject`; a backend that says it cannot do that here stops the case as one without its need.
    pub(crate) fn open_on(
        &self,
        subject: &Subject,
        threads: usize,
        device: Device,
    ) -> Result<Box<dyn EmbeddingBackend>, Stop> {
        let config = BackendConfig {
            device,
            ..BackendConfig::new(subject.path.clone(), threads)
        };
        (self.make)(&config).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => Stop::Skipped(error.to_string()),
            _ => Stop::Failed(format!("it does not open the synthetic model: {error}")),
        })
    }

    /// The class that `backend` declares.
    pub(crate) fn class(&self, backend: &dyn EmbeddingBackend) -> Result<Class, String> {
        let precision = backend.info().precision;
        tolerance::of(precision).ok_or_else(|| format!("no class for {precision}"))
    }

    /// Compares embeddings and scores with what the oracle gives for `answers(row)`.
    pub(crate) fn compare<'b>(
        &mut self,
        backend: &dyn EmbeddingBackend,
        found: &Inference,
        answer: impl Fn(usize) -> &'b OracleOutput,
    ) -> Result<(), String> {
        let class = self.class(backend)?;
        let info = backend.info();
        // Measured before it is judged, so that a failure is in the report by its size too.
        for (row, found) in found.embeddings.chunks_exact(info.dim).enumerate() {
            let difference = Difference::of(found, &answer(row).embedding);
            self.measured = self.measured.worst(difference);
        }
        let embedding = |row| answer(row).embedding.as_slice();
        class
            .embeddings
            .compare(&found.embeddings, info.dim, embedding)
            .map_err(|message| format!("embeddings: {message} ({})", class.name))?;
        let scores = |row| answer(row).scores.as_slice();
        class
            .scores
            .compare(&found.scores, info.classes.len(), scores)
            .map_err(|message| format!("scores: {message} ({})", class.name))?;
        Ok(())
    }
}

/// Runs `images` as one batch into buffers of NaN.
pub(crate) fn embed(
    backend: &mut dyn EmbeddingBackend,
    images: &[Image],
) -> Result<Inference, String> {
    let mut out = Inference::default();
    out.reset(backend.info(), images.len());
    let bytes = images.concat();
    let view = ImageView::new(backend.info().input, &bytes).map_err(|error| error.to_string())?;
    backend
        .embed(view, &mut out.as_mut())
        .map_err(|error| format!("a batch of {}: {error}", images.len()))?;
    Ok(out)
}

/// Runs `images` as one batch without asking for scores.
pub(crate) fn embed_only(
    backend: &mut dyn EmbeddingBackend,
    images: &[Image],
) -> Result<Vec<f32>, String> {
    let mut embeddings = vec![f32::NAN; images.len() * backend.info().dim];
    let bytes = images.concat();
    let view = ImageView::new(backend.info().input, &bytes).map_err(|error| error.to_string())?;
    let mut out = InferenceMut {
        embeddings: &mut embeddings,
        scores: None,
    };
    backend
        .embed(view, &mut out)
        .map_err(|error| error.to_string())?;
    Ok(embeddings)
}
