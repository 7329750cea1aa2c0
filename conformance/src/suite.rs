//! Runs the cases against a backend.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use driftline_core::{
    BackendConfig, Device, EmbeddingBackend, Error, ErrorKind, ImageShape, ImageView, Inference,
    InferenceMut, Result,
};
use tempfile::TempDir;

use crate::case::{self, CASES, EmbeddingCase, Stop};
use crate::oracle::{self, Answer};
use crate::report::{CaseReport, ComponentReport, Kind, Outcome};
use crate::synthetic::{Image, SyntheticModel, images};
use crate::tolerance::{self, Class, Difference};

/// Different images that most cases use.
pub(crate) const IMAGES: usize = 16;

/// A backend's constructor.
pub type Make<'a> = dyn Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + 'a;

/// A failure that is known, with the reason; a pass is then a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedFailure {
    /// Name of the backend.
    pub backend: String,
    /// Name of the case.
    pub case: String,
    /// Why, with a link to where it is followed up.
    pub reason: String,
}

/// A model on disk, and what the oracle says about it.
pub(crate) struct Subject {
    pub(crate) model: SyntheticModel,
    pub(crate) path: PathBuf,
    pub(crate) images: Vec<Image>,
    answers: OnceLock<Vec<Answer>>,
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
    pub(crate) fn answers(&self) -> &[Answer] {
        self.answers
            .get_or_init(|| oracle::run(&self.model, &self.images, None))
    }
}

/// The models, images and expected answers that the cases share.
pub struct Suite {
    pub(crate) narrow: Subject,
    pub(crate) wide: Subject,
    expected_failures: Vec<ExpectedFailure>,
}

impl Suite {
    /// Writes the synthetic models into a temporary folder.
    pub fn new() -> Result<Self> {
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
            expected_failures: Vec::new(),
        })
    }

    /// Has these fail without failing the suite.
    ///
    /// # Errors
    /// `InvalidConfig` for a case that there is not.
    pub fn expecting(mut self, failures: Vec<ExpectedFailure>) -> Result<Self> {
        for failure in &failures {
            if CASES.iter().all(|case| case.name != failure.case) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "expect failures",
                    format!("there is no case `{}`", failure.case),
                ));
            }
        }
        self.expected_failures = failures;
        Ok(self)
    }

    /// Runs every case against the backend `name` that `make` opens; `started` is told the name of each case before it
    /// runs.
    pub fn run(
        &self,
        name: &str,
        make: &Make<'_>,
        started: &dyn Fn(&'static str),
    ) -> ComponentReport {
        let mut measured = Difference::default();
        let cases = CASES
            .iter()
            .map(|case| {
                started(case.name);
                let (outcome, difference) = self.run_case(case, name, make);
                measured = measured.worst(difference);
                CaseReport {
                    case: case.name,
                    outcome,
                }
            })
            .collect();
        ComponentReport::new(Kind::Embedding, name, cases, Some(measured))
    }

    /// Runs one case; a panic in the backend is a failure.
    pub fn run_case(
        &self,
        case: &EmbeddingCase,
        name: &str,
        make: &Make<'_>,
    ) -> (Outcome, Difference) {
        let mut context = Context {
            suite: self,
            make,
            measured: Difference::default(),
        };
        let expected = self
            .expected_failures
            .iter()
            .find(|failure| failure.backend == name && failure.case == case.name);
        let outcome = case::outcome(case.needs, expected, || (case.run)(&mut context));
        (outcome, context.measured)
    }
}

/// What a case works with.
pub struct Context<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) make: &'a Make<'a>,
    measured: Difference,
}

impl Context<'_> {
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
        answer: impl Fn(usize) -> &'b Answer,
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

/// Counts of outcomes, by name.
pub(crate) fn tally(cases: &[CaseReport]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for case in cases {
        *counts.entry(case.outcome.name()).or_default() += 1;
    }
    counts
}
