//! What is wrong is refused with a message that says where, and what is right is described as it is.

use std::path::PathBuf;

use driftline_core::{BackendConfig, ErrorKind, ImageShape, ImageView, Inference, InferenceMut};

use super::batches::same;
use crate::case::{Stop, require};
use crate::context::{BackendContext, embed};
use crate::synthetic::SyntheticModel;
pub(super) fn info(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    for subject in [&context.subjects.narrow, &context.subjects.wide] {
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

pub(super) fn wrong_input(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
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
            Ok(()) => return Err(format!("{what}: accepted").into()),
            Err(error) => require(!error.to_string().is_empty(), || {
                format!("{what}: no message")
            })?,
        }
    }
    Ok(())
}

pub(super) fn after_error(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let mut backend = context.open(subject, 1)?;
    let before = embed(backend.as_mut(), &subject.images)?;
    let view = ImageView::new(backend.info().input, &subject.images[0])
        .map_err(|error| error.to_string())?;
    let mut none = Inference::default();
    require(backend.embed(view, &mut none.as_mut()).is_err(), || {
        "buffers without room were accepted".to_owned()
    })?;
    let after = embed(backend.as_mut(), &subject.images)?;
    same(&after, &before, backend.info())?;
    Ok(())
}

/// Opens the narrow model after `change`; it must be refused with a message that holds `expected`.
fn refused(
    context: &BackendContext<'_>,
    expected: &str,
    change: impl FnOnce(&mut SyntheticModel),
) -> Result<(), Stop> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut model = context.subjects.narrow.model.clone();
    change(&mut model);
    let path = model
        .write(folder.path())
        .map_err(|error| error.to_string())?;
    is_refused(context, path, expected)
}

fn is_refused(context: &BackendContext<'_>, path: PathBuf, expected: &str) -> Result<(), Stop> {
    match (context.make)(&BackendConfig::new(path, 1)) {
        Ok(_) => {
            let message = format!("it was opened, expected an error about `{expected}`");
            Err(message.into())
        }
        Err(error) => {
            let message = error.to_string();
            require(message.contains(expected), || {
                format!("no `{expected}` in the message: {message}")
            })?;
            require(error.kind() != ErrorKind::Internal, || {
                format!("the fault is taken for the backend's own: {message}")
            })?;
            Ok(())
        }
    }
}

/// A tensor in the middle of the network.
const TENSOR: &str = "layer2.1.conv2.weight";

pub(super) fn not_a_number(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    refused(context, TENSOR, |model| {
        if let Some(tensor) = model.tensors.get_mut(TENSOR) {
            tensor.values[3] = f64::NAN;
        }
    })
}

pub(super) fn wrong_tensors(context: &mut BackendContext<'_>) -> Result<(), Stop> {
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

pub(super) fn unknown_key(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let model = &context.subjects.narrow.model;
    let path = model
        .write(folder.path())
        .map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    std::fs::write(&path, text.replace("height", "heigth")).map_err(|error| error.to_string())?;
    is_refused(context, path, "heigth")?;
    is_refused(context, folder.path().join("none.toml"), "none.toml")
}
