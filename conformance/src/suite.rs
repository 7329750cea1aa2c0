//! Runs the cases against a backend.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::OnceLock;

use driftline_core::{
    BackendConfig, EmbeddingBackend, ImageShape, ImageView, Inference, InferenceMut, Result,
};
use tempfile::TempDir;

use crate::case::{CASES, Case};
use crate::oracle::{self, Answer};
use crate::report::{BackendReport, CaseReport, Outcome};
use crate::synthetic::{Image, SyntheticModel, images};
use crate::tolerance::{self, Difference, Tolerance};

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
    fn new(base_width: usize, shape: ImageShape) -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|e| driftline_core::Error::io("write model", &std::env::temp_dir(), e))?;
        let model = SyntheticModel::new(base_width, shape);
        Ok(Self {
            path: model.write(folder.path())?,
            images: images(shape, 0, IMAGES as u64, 1.0),
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
            )?,
            // Not square, so that height and width are not taken for each other.
            wide: Subject::new(
                16,
                ImageShape {
                    height: 40,
                    width: 24,
                },
            )?,
            expected_failures: Vec::new(),
        })
    }

    /// Has these fail without failing the suite.
    #[must_use]
    pub fn expecting(mut self, failures: Vec<ExpectedFailure>) -> Self {
        self.expected_failures = failures;
        self
    }

    /// Runs every case against the backend `name` that `make` opens.
    pub fn run(&self, name: &str, make: &Make<'_>) -> BackendReport {
        let mut measured = Difference::default();
        let cases = CASES
            .iter()
            .map(|case| {
                let (outcome, difference) = self.run_case(case, name, make);
                measured = measured.worst(difference);
                CaseReport {
                    case: case.name,
                    outcome,
                }
            })
            .collect();
        BackendReport::new(name, cases, measured)
    }

    /// Runs one case; a panic in the backend is a failure.
    pub fn run_case(&self, case: &Case, name: &str, make: &Make<'_>) -> (Outcome, Difference) {
        if let Some(reason) = case.skip() {
            return (Outcome::Skipped { reason }, Difference::default());
        }
        let mut context = Context {
            suite: self,
            make,
            measured: Difference::default(),
        };
        let result = catch_unwind(AssertUnwindSafe(|| (case.run)(&mut context)))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", text(panic.as_ref()))));
        let expected = self
            .expected_failures
            .iter()
            .find(|failure| failure.backend == name && failure.case == case.name);
        let outcome = match (result, expected) {
            (Ok(()), None) => Outcome::Passed,
            (Err(message), None) => Outcome::Failed { message },
            (Err(_), Some(failure)) => Outcome::FailedAsExpected {
                reason: failure.reason.clone(),
            },
            (Ok(()), Some(failure)) => Outcome::Failed {
                message: format!("it passed, but was expected to fail: {}", failure.reason),
            },
        };
        (outcome, context.measured)
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
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
    ) -> Result<Box<dyn EmbeddingBackend>, String> {
        (self.make)(&BackendConfig::new(subject.path.clone(), threads))
            .map_err(|error| format!("it does not open the synthetic model: {error}"))
    }

    /// The class that `backend` declares.
    pub(crate) fn tolerance(&self, backend: &dyn EmbeddingBackend) -> Result<Tolerance, String> {
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
        let tolerance = self.tolerance(backend)?;
        let info = backend.info();
        let embedding = |row| answer(row).embedding.as_slice();
        let difference = tolerance.compare(&found.embeddings, info.dim, embedding);
        let difference = difference.map_err(|message| format!("embeddings: {message}"))?;
        self.measured = self.measured.worst(difference);
        let scores = |row| answer(row).scores.as_slice();
        tolerance
            .compare(&found.scores, info.classes.len(), scores)
            .map_err(|message| format!("scores: {message}"))?;
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
