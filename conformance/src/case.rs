//! The cases, as data. All are mandatory; one that needs files that are not there is skipped with the reason.

use std::path::{Path, PathBuf};

use driftline_core::{BackendConfig, ErrorKind, ImageShape, ImageView, Inference, InferenceMut};
use driftline_stats::{Baseline, Statistic, noise_floor};
use safetensors::SafeTensors;

use crate::oracle;
use crate::suite::{Context, IMAGES, Subject, embed, embed_only};
use crate::synthetic::{Image, SyntheticModel, images};
use crate::tolerance::{EXACT, FP32};

/// Rows of the drift case.
const BASELINE_ROWS: u64 = 300;
const WINDOW_ROWS: u64 = 200;

/// Largest difference that the engine may make to a drift statistic.
const STATISTIC_TOLERANCE: f64 = 1e-3;

/// A distance above this many noise floors counts as drift.
const DRIFT_FACTOR: f64 = 3.0;

/// The variable with the folder of `golden.safetensors` and `resnet18_cifar10.pth`.
const DATA: &str = "DRIFTLINE_TEST_DATA";

/// One requirement.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What is required, in a sentence.
    pub requirement: &'static str,
    pub(crate) run: fn(&mut Context<'_>) -> Result<(), String>,
    needs_data: bool,
}

impl Case {
    const fn new(
        name: &'static str,
        requirement: &'static str,
        run: fn(&mut Context<'_>) -> Result<(), String>,
    ) -> Self {
        Self {
            name,
            requirement,
            run,
            needs_data: false,
        }
    }

    /// Why it cannot run here.
    pub fn skip(&self) -> Option<String> {
        (self.needs_data && data_folder().is_none())
            .then(|| format!("{DATA} does not name a folder with golden.safetensors"))
    }
}

/// Every case, in the order they run.
pub const CASES: [Case; 20] = [
    Case::new(
        "info_is_filled_in",
        "name, engine, device, input, dim, classes and threads are those of the model and the configuration",
        info,
    ),
    Case::new(
        "oracle_width_8",
        "embeddings and scores are the oracle's, 32 x 32, base width 8",
        narrow,
    ),
    Case::new(
        "oracle_width_16_not_square",
        "embeddings and scores are the oracle's, 40 x 24, base width 16",
        wide,
    ),
    Case::new(
        "extremes",
        "black and white images give the oracle's embeddings",
        extremes,
    ),
    Case::new(
        "row_order",
        "row i belongs to image i, whatever the order of the batch",
        row_order,
    ),
    Case::new(
        "single_is_batch",
        "an image alone gives what it gives in a batch",
        single_is_batch,
    ),
    Case::new(
        "split_changes_nothing",
        "a batch cut into batches of 7 gives the same rows",
        split,
    ),
    Case::new("empty_batch", "no image is no work", empty),
    Case::new(
        "large_batches",
        "batches of 257 and 1,024 give the same rows",
        large,
    ),
    Case::new(
        "every_value_is_written",
        "every embedding and score of a batch is written",
        written,
    ),
    Case::new(
        "without_scores",
        "embeddings are the same when scores are not asked for",
        without_scores,
    ),
    Case::new(
        "repeatable",
        "the same batch gives the same bits",
        repeatable,
    ),
    Case::new(
        "threads_change_nothing",
        "one and two threads give the same bits",
        threads,
    ),
    Case::new(
        "wrong_input_is_refused",
        "images of another size and buffers of another length are refused",
        wrong_input,
    ),
    Case::new(
        "usable_after_an_error",
        "a refused call leaves the backend as it was",
        after_error,
    ),
    Case::new(
        "not_a_number_is_refused",
        "NaN in the weights is refused by the name of the tensor",
        not_a_number,
    ),
    Case::new(
        "wrong_tensors_are_refused",
        "a missing, an extra and a misshapen tensor are refused by name",
        wrong_tensors,
    ),
    Case::new(
        "unknown_key_is_refused",
        "a model.toml with an unknown key, and one that is not there, are refused",
        unknown_key,
    ),
    Case::new(
        "drift_is_the_same",
        "Jensen-Shannon distance and PSI of shifted images agree with the oracle's, and so does the verdict",
        drift,
    ),
    Case {
        needs_data: true,
        ..Case::new(
            "pytorch_golden",
            "embeddings and scores of 256 real images are PyTorch's in float64",
            golden,
        )
    },
];

fn require(condition: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(message()) }
}

fn info(context: &mut Context<'_>) -> Result<(), String> {
    for subject in [&context.suite.narrow, &context.suite.wide] {
        let backend = context.open(subject, 1)?;
        let info = backend.info();
        require(!info.name.is_empty() && !info.engine.is_empty(), || {
            format!("name or engine is empty: {info:?}")
        })?;
        require(info.input == subject.model.shape, || {
            format!("input is {}", info.input)
        })?;
        require(info.dim == crate::synthetic::DIM, || {
            format!("dim is {}", info.dim)
        })?;
        require(info.classes == subject.model.classes(), || {
            format!("classes are {:?}", info.classes)
        })?;
        require(info.threads == 1, || {
            format!("{} threads, asked for 1", info.threads)
        })?;
    }
    Ok(())
}

fn against_oracle(context: &mut Context<'_>, subject: &Subject) -> Result<(), String> {
    let mut backend = context.open(subject, 2)?;
    let found = embed(backend.as_mut(), &subject.images)?;
    let answers = subject.answers();
    context.compare(backend.as_ref(), &found, |row| &answers[row])
}

fn narrow(context: &mut Context<'_>) -> Result<(), String> {
    against_oracle(context, &context.suite.narrow)
}

fn wide(context: &mut Context<'_>) -> Result<(), String> {
    against_oracle(context, &context.suite.wide)
}

fn extremes(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let bytes = subject.model.shape.bytes();
    let images: Vec<Image> = [0, 255].map(|value| vec![value; bytes]).to_vec();
    let answers = oracle::run(&subject.model, &images, None);
    let mut backend = context.open(subject, 1)?;
    let found = embed(backend.as_mut(), &images)?;
    context.compare(backend.as_ref(), &found, |row| &answers[row])
}

fn row_order(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 2)?;
    let answers = subject.answers();
    // A shift, not a reversal: a backend that reverses its rows must not look right.
    let shifted = |row: usize| (row + 5) % IMAGES;
    let images: Vec<Image> = (0..IMAGES)
        .map(|row| subject.images[shifted(row)].clone())
        .collect();
    let found = embed(backend.as_mut(), &images)?;
    let dim = backend.info().dim;
    for (row, embedding) in found.embeddings.chunks_exact(dim).enumerate() {
        let nearest = (0..IMAGES).min_by(|a, b| {
            let distance = |image: usize| distance(embedding, &answers[image].embedding);
            distance(*a).total_cmp(&distance(*b))
        });
        require(nearest == Some(shifted(row)), || {
            format!(
                "row {row} is the embedding of image {nearest:?}, expected {}",
                shifted(row)
            )
        })?;
    }
    Ok(())
}

fn distance(found: &[f32], expected: &[f64]) -> f64 {
    let pairs = found.iter().zip(expected);
    pairs.map(|(f, e)| (f64::from(*f) - e).powi(2)).sum()
}

/// Compares rows with those of the whole batch, within the class: another batch may sum in another order.
fn like_whole(
    found: &[f32],
    whole: &[f32],
    dim: usize,
    row: impl Fn(usize) -> usize,
) -> Result<(), String> {
    let expected: Vec<Vec<f64>> = whole
        .chunks_exact(dim)
        .map(|row| row.iter().map(|value| f64::from(*value)).collect())
        .collect();
    FP32.compare(found, dim, |at| &expected[row(at)]).map(drop)
}

fn single_is_batch(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 1)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    let dim = backend.info().dim;
    for (row, image) in subject.images.iter().enumerate() {
        let one = embed(backend.as_mut(), std::slice::from_ref(image))?;
        like_whole(&one.embeddings, &whole.embeddings, dim, |_| row)
            .map_err(|message| format!("image {row} alone: {message}"))?;
    }
    Ok(())
}

fn split(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 2)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    let mut parts = Vec::new();
    for images in subject.images.chunks(7) {
        parts.extend(embed(backend.as_mut(), images)?.embeddings);
    }
    require(parts.len() == whole.embeddings.len(), || {
        "rows are missing".to_owned()
    })?;
    like_whole(&parts, &whole.embeddings, backend.info().dim, |row| row)
}

fn empty(context: &mut Context<'_>) -> Result<(), String> {
    let mut backend = context.open(&context.suite.narrow, 1)?;
    embed(backend.as_mut(), &[]).map(drop)
}

fn large(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 2)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    for count in [257, 1024] {
        let images: Vec<Image> = subject.images.iter().cycle().take(count).cloned().collect();
        let found = embed(backend.as_mut(), &images)?;
        like_whole(
            &found.embeddings,
            &whole.embeddings,
            backend.info().dim,
            |row| row % IMAGES,
        )
        .map_err(|message| format!("a batch of {count}: {message}"))?;
    }
    Ok(())
}

fn written(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 2)?;
    for count in [1, 3, IMAGES] {
        let found = embed(backend.as_mut(), &subject.images[..count])?;
        for (what, values) in [("embedding", &found.embeddings), ("score", &found.scores)] {
            let unwritten = values.iter().position(|value| !value.is_finite());
            require(unwritten.is_none(), || {
                format!(
                    "{what} value {unwritten:?} of a batch of {count} is not written or not finite"
                )
            })?;
        }
        for (row, scores) in found
            .scores
            .chunks_exact(backend.info().classes.len())
            .enumerate()
        {
            let sum: f32 = scores.iter().sum();
            require((sum - 1.0).abs() < 1e-5, || {
                format!("the scores of row {row} add to {sum}")
            })?;
        }
    }
    Ok(())
}

fn without_scores(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 1)?;
    let with = embed(backend.as_mut(), &subject.images)?;
    let without = embed_only(backend.as_mut(), &subject.images)?;
    exactly(&without, &with.embeddings, backend.info().dim)
}

fn exactly(found: &[f32], expected: &[f32], dim: usize) -> Result<(), String> {
    let expected: Vec<f64> = expected.iter().map(|value| f64::from(*value)).collect();
    EXACT
        .compare(found, dim, |row| &expected[row * dim..(row + 1) * dim])
        .map(drop)
}

fn repeatable(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.wide;
    let mut backend = context.open(subject, 2)?;
    let first = embed(backend.as_mut(), &subject.images)?;
    let second = embed(backend.as_mut(), &subject.images)?;
    exactly(&second.embeddings, &first.embeddings, backend.info().dim)?;
    let mut other = context.open(subject, 2)?;
    let third = embed(other.as_mut(), &subject.images)?;
    exactly(&third.embeddings, &first.embeddings, backend.info().dim)
}

fn threads(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let images: Vec<Image> = subject.images.iter().cycle().take(100).cloned().collect();
    let mut one = context.open(subject, 1)?;
    let mut two = context.open(subject, 2)?;
    let (one_found, two_found) = (embed(one.as_mut(), &images)?, embed(two.as_mut(), &images)?);
    exactly(&two_found.embeddings, &one_found.embeddings, one.info().dim)
}

fn wrong_input(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 1)?;
    let info = backend.info().clone();
    let image = &subject.images[0];
    let ImageShape { height, width } = info.input;
    let other = ImageShape {
        height: height * 2,
        width: width / 2,
    };
    let (right, turned) = (
        ImageView::new(info.input, image).map_err(|error| error.to_string())?,
        ImageView::new(other, image).map_err(|error| error.to_string())?,
    );
    let classes = info.classes.len();
    for (what, view, embeddings, scores) in [
        ("images of another size", turned, info.dim, classes),
        ("a short embedding buffer", right, info.dim - 1, classes),
        ("a long embedding buffer", right, 2 * info.dim, classes),
        ("a short score buffer", right, info.dim, classes - 1),
    ] {
        let (mut embeddings, mut scores) = (vec![0.0; embeddings], vec![0.0; scores]);
        let mut out = InferenceMut {
            embeddings: &mut embeddings,
            scores: Some(&mut scores),
        };
        match backend.embed(view, &mut out) {
            Ok(()) => return Err(format!("{what}: accepted")),
            Err(error) => require(!error.to_string().is_empty(), || {
                format!("{what}: no message")
            })?,
        }
    }
    Ok(())
}

fn after_error(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let mut backend = context.open(subject, 1)?;
    let before = embed(backend.as_mut(), &subject.images)?;
    let view = ImageView::new(backend.info().input, &subject.images[0])
        .map_err(|error| error.to_string())?;
    let mut none = Inference::default();
    require(backend.embed(view, &mut none.as_mut()).is_err(), || {
        "buffers without room were accepted".to_owned()
    })?;
    let after = embed(backend.as_mut(), &subject.images)?;
    exactly(&after.embeddings, &before.embeddings, backend.info().dim)
}

/// Opens the narrow model after `change`; it must be refused with a message that holds `expected`.
fn refused(
    context: &Context<'_>,
    expected: &str,
    change: impl FnOnce(&mut SyntheticModel),
) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut model = context.suite.narrow.model.clone();
    change(&mut model);
    let path = model
        .write(folder.path())
        .map_err(|error| error.to_string())?;
    is_refused(context, path, expected)
}

fn is_refused(context: &Context<'_>, path: PathBuf, expected: &str) -> Result<(), String> {
    match (context.make)(&BackendConfig::new(path, 1)) {
        Ok(_) => Err(format!(
            "it was opened, expected an error about `{expected}`"
        )),
        Err(error) => {
            let message = error.to_string();
            require(message.contains(expected), || {
                format!("no `{expected}` in the message: {message}")
            })?;
            require(error.kind() != ErrorKind::Internal, || {
                format!("the fault is taken for the backend's own: {message}")
            })
        }
    }
}

const TENSOR: &str = "layer2.1.conv2.weight";

fn not_a_number(context: &mut Context<'_>) -> Result<(), String> {
    refused(context, TENSOR, |model| {
        if let Some(tensor) = model.tensors.get_mut(TENSOR) {
            tensor.values[3] = f64::NAN;
        }
    })
}

fn wrong_tensors(context: &mut Context<'_>) -> Result<(), String> {
    refused(context, TENSOR, |model| {
        model.tensors.remove(TENSOR);
    })?;
    refused(context, "layer5.weight", |model| {
        let extra = model.tensors["fc.2.bias"].clone();
        model.tensors.insert("layer5.weight".to_owned(), extra);
    })?;
    refused(context, TENSOR, |model| {
        // The weights of a narrower network.
        let narrow = SyntheticModel::new(4, model.shape);
        model
            .tensors
            .insert(TENSOR.to_owned(), narrow.tensors[TENSOR].clone());
    })
}

fn unknown_key(context: &mut Context<'_>) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let model = &context.suite.narrow.model;
    let path = model
        .write(folder.path())
        .map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    std::fs::write(&path, text.replace("height", "heigth")).map_err(|error| error.to_string())?;
    is_refused(context, path, "heigth")?;
    is_refused(context, folder.path().join("none.toml"), "none.toml")
}

fn drift(context: &mut Context<'_>) -> Result<(), String> {
    let subject = &context.suite.narrow;
    let shape = subject.model.shape;
    let baseline = images(shape, 1000, BASELINE_ROWS, 1.0);
    let same = images(shape, 2000, WINDOW_ROWS, 1.0);
    let dark = images(shape, 3000, WINDOW_ROWS, 0.5);
    let mut backend = context.open(subject, 2)?;
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for images in [&baseline, &same, &dark] {
        found.push(embed(backend.as_mut(), images)?.embeddings);
        let answers = oracle::run(&subject.model, images, None);
        let values = answers.iter().flat_map(|answer| &answer.embedding);
        expected.push(values.map(|value| *value as f32).collect::<Vec<_>>());
    }
    for (window, name) in [(1, "the same"), (2, "darker")] {
        let ours = statistics(&found[0], &found[window])?;
        let oracles = statistics(&expected[0], &expected[window])?;
        for (ours, oracles, statistic) in [(ours.0, oracles.0, "jsd"), (ours.1, oracles.1, "psi")] {
            require((ours - oracles).abs() <= STATISTIC_TOLERANCE, || {
                format!(
                    "{statistic} of {name} images: {ours}, the oracle's embeddings give {oracles}"
                )
            })?;
        }
        require(ours.2 == oracles.2 && ours.2 == (window == 2), || {
            format!(
                "{name} images: drift {}, the oracle's embeddings say {}",
                ours.2, oracles.2
            )
        })?;
    }
    Ok(())
}

/// Jensen-Shannon distance, PSI, and whether the former is above the noise floor.
fn statistics(baseline: &[f32], window: &[f32]) -> Result<(f64, f64, bool), String> {
    let failed = |error: driftline_core::Error| error.to_string();
    let baseline = Baseline::fit(baseline, crate::synthetic::DIM, 5, 42).map_err(failed)?;
    let mut histogram = baseline.histogram();
    histogram.add(window).map_err(failed)?;
    let values = baseline.statistics(&histogram).map_err(failed)?;
    let floor = noise_floor(baseline.clusters(), histogram.total(), baseline.rows());
    let jsd = values[&Statistic::Jsd];
    Ok((jsd, values[&Statistic::Psi], jsd > DRIFT_FACTOR * floor))
}

fn data_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(DATA)?);
    folder
        .join("golden.safetensors")
        .is_file()
        .then_some(folder)
}

fn golden(context: &mut Context<'_>) -> Result<(), String> {
    let folder = data_folder().ok_or("the folder is gone")?;
    let bytes =
        std::fs::read(folder.join("golden.safetensors")).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
    let tensor = |name: &str| {
        file.tensor(name)
            .map_err(|error| format!("{name}: {error}"))
    };
    let config = BackendConfig::new(Path::new(&folder).join("resnet18_cifar10.pth"), 2);
    let mut backend = (context.make)(&config).map_err(|error| error.to_string())?;
    let pixels = tensor("images")?.data().to_vec();
    let image_bytes = backend.info().input.bytes();
    let images: Vec<Image> = pixels
        .chunks_exact(image_bytes)
        .map(<[u8]>::to_vec)
        .collect();
    let found = embed(backend.as_mut(), &images)?;
    let rows = |name: &str, length: usize| -> Result<Vec<Vec<f64>>, String> {
        let view = tensor(name)?;
        let values: Vec<f64> = view
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect();
        Ok(values.chunks_exact(length).map(<[f64]>::to_vec).collect())
    };
    let (dim, classes) = (backend.info().dim, backend.info().classes.len());
    let answers: Vec<oracle::Answer> = rows("embeddings_f64", dim)?
        .into_iter()
        .zip(rows("probabilities_f64", classes)?)
        .map(|(embedding, scores)| oracle::Answer { embedding, scores })
        .collect();
    require(answers.len() == images.len(), || {
        "the golden file has other numbers of rows".to_owned()
    })?;
    context.compare(backend.as_ref(), &found, |row| &answers[row])
}
