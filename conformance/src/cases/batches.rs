//! Row i belongs to image i, whatever else is computed before, with or beside it.

use driftline_core::{BackendInfo, Inference};

use crate::case::{Stop, require};
use crate::context::{BackendContext, IMAGES, embed, embed_only};
use crate::synthetic::Image;
use crate::tolerance::{Class, EXACT};
pub(super) fn row_order(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
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
    class: Class,
    info: &BackendInfo,
    found: &Inference,
    whole: &Inference,
    row: impl Fn(usize) -> usize,
) -> Result<(), String> {
    let classes = info.classes.len();
    for (what, tolerance, found, whole, length) in [
        (
            "embeddings",
            class.embeddings,
            &found.embeddings,
            &whole.embeddings,
            info.dim,
        ),
        (
            "scores",
            class.scores,
            &found.scores,
            &whole.scores,
            classes,
        ),
    ] {
        let whole: Vec<f64> = whole.iter().map(|value| f64::from(*value)).collect();
        let expected = |at| &whole[row(at) * length..][..length];
        tolerance
            .compare(found, length, expected)
            .map_err(|message| format!("{what}: {message}"))?;
    }
    Ok(())
}

pub(super) fn single_is_batch(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let mut backend = context.open(subject, 1)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    let class = context.class(backend.as_ref())?;
    for (row, image) in subject.images.iter().enumerate() {
        let one = embed(backend.as_mut(), std::slice::from_ref(image))?;
        like_whole(class, backend.info(), &one, &whole, |_| row)
            .map_err(|message| format!("image {row} alone: {message}"))?;
    }
    Ok(())
}

pub(super) fn split(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let mut backend = context.open(subject, 2)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    let mut parts = Inference::default();
    for images in subject.images.chunks(7) {
        let part = embed(backend.as_mut(), images)?;
        parts.embeddings.extend(part.embeddings);
        parts.scores.extend(part.scores);
    }
    let class = context.class(backend.as_ref())?;
    like_whole(class, backend.info(), &parts, &whole, |row| row)?;
    Ok(())
}

pub(super) fn empty(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let mut backend = context.open(&context.subjects.narrow, 1)?;
    embed(backend.as_mut(), &[])?;
    Ok(())
}

pub(super) fn large(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let mut backend = context.open(subject, 2)?;
    let whole = embed(backend.as_mut(), &subject.images)?;
    let class = context.class(backend.as_ref())?;
    for count in [257, 1024] {
        let images: Vec<Image> = subject.images.iter().cycle().take(count).cloned().collect();
        let found = embed(backend.as_mut(), &images)?;
        like_whole(class, backend.info(), &found, &whole, |row| row % IMAGES)
            .map_err(|message| format!("a batch of {count}: {message}"))?;
    }
    Ok(())
}

pub(super) fn written(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
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

pub(super) fn without_scores(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let mut backend = context.open(subject, 1)?;
    let with = embed(backend.as_mut(), &subject.images)?;
    let without = embed_only(backend.as_mut(), &subject.images)?;
    exactly(&without, &with.embeddings, backend.info().dim)?;
    Ok(())
}

fn exactly(found: &[f32], expected: &[f32], dim: usize) -> Result<(), String> {
    let expected: Vec<f64> = expected.iter().map(|value| f64::from(*value)).collect();
    EXACT
        .compare(found, dim, |row| &expected[row * dim..(row + 1) * dim])
        .map(drop)
}

pub(super) fn same(
    found: &Inference,
    expected: &Inference,
    info: &BackendInfo,
) -> Result<(), String> {
    exactly(&found.embeddings, &expected.embeddings, info.dim)?;
    exactly(&found.scores, &expected.scores, info.classes.len())
        .map_err(|message| format!("scores: {message}"))
}

pub(super) fn repeatable(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.wide;
    let mut backend = context.open(subject, 2)?;
    let first = embed(backend.as_mut(), &subject.images)?;
    let second = embed(backend.as_mut(), &subject.images)?;
    same(&second, &first, backend.info())?;
    let mut other = context.open(subject, 2)?;
    let third = embed(other.as_mut(), &subject.images)?;
    same(&third, &first, backend.info())?;
    Ok(())
}

pub(super) fn threads(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let images: Vec<Image> = subject.images.iter().cycle().take(100).cloned().collect();
    let mut one = context.open(subject, 1)?;
    let mut two = context.open(subject, 2)?;
    let (one_found, two_found) = (embed(one.as_mut(), &images)?, embed(two.as_mut(), &images)?);
    same(&two_found, &one_found, one.info())?;
    Ok(())
}

pub(super) fn two_at_once(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let images = &subject.images;
    let mut backends = [context.open(subject, 1)?, context.open(subject, 1)?];
    let alone = embed(backends[0].as_mut(), images)?;
    let found = std::thread::scope(|scope| {
        let running = backends
            .each_mut()
            .map(|backend| scope.spawn(|| embed(backend.as_mut(), images)));
        running.map(|thread| {
            let joined = thread.join();
            joined.unwrap_or_else(|_| Err("it panicked beside another".to_owned()))
        })
    });
    for found in found {
        same(&found?, &alone, backends[0].info())?;
    }
    Ok(())
}
