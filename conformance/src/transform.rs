//! What every drift transform must do.
//!
//! The result is a pure function of parameters, seed, row and image: nothing else about a call may be seen in it.

use driftline_core::{
    DriftTransform, ImageBatch, ImageShape, Result, TransformContext, TransformSpec,
};
use serde_json::{Map, Value, json};

use crate::case::{self, Case, Stop, require};
use crate::report::{CaseReport, ComponentReport, TestedComponent};
use crate::synthetic::{SEED, images};

/// What a transform is made from.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Its parameters by name.
    pub parameters: Map<String, Value>,
    /// What the memory holds that a loaded transform writes to: what follows it was not written.
    pub fill: u8,
}

/// A transform's constructor.
pub type MakeTransform<'a> = dyn Fn(&Configuration) -> Result<Box<dyn DriftTransform>> + 'a;

/// A requirement on drift transforms.
pub type TransformCase = Case<fn(&ConfiguredTransform<'_>) -> Result<(), Stop>>;

/// What a case works with.
pub struct ConfiguredTransform<'a> {
    name: &'a str,
    parameters: &'a Map<String, Value>,
    make: &'a MakeTransform<'a>,
}

const SQUARE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

/// Shapes that are mixed up easily, and small ones.
const SHAPES: [ImageShape; 4] = [
    SQUARE,
    ImageShape {
        height: 40,
        width: 24,
    },
    ImageShape {
        height: 3,
        width: 5,
    },
    ImageShape {
        height: 64,
        width: 64,
    },
];

/// Images that most cases use.
const IMAGES: usize = 9;

/// Every case, in the order they run.
pub const CASES: [TransformCase; 12] = [
    Case::new(
        "info_is_filled_in",
        "its name is the one it was asked for by, and its expression can be read",
        info,
    ),
    Case::new(
        "expression_makes_the_same",
        "what is made from its expression gives the same bytes",
        expression,
    ),
    Case::new("empty_batch", "no image is no work", empty),
    Case::new(
        "shapes",
        "images of every shape keep it, or are refused with a reason",
        shapes,
    ),
    Case::new(
        "every_byte_is_written",
        "every byte of the result is written",
        written,
    ),
    Case::new(
        "repeatable",
        "the same call gives the same bytes, also of another instance",
        repeatable,
    ),
    Case::new(
        "single_is_batch",
        "an image alone gives what it gives in a batch",
        single_is_batch,
    ),
    Case::new(
        "order_changes_nothing",
        "images in another order, with their rows, give the same bytes",
        order,
    ),
    Case::new(
        "at_once",
        "calls from four threads, on one instance and on four, give the same bytes",
        at_once,
    ),
    Case::new(
        "unknown_parameter_is_refused",
        "a parameter that there is not is refused by name",
        unknown_parameter,
    ),
    Case::new(
        "wrong_type_is_refused",
        "a list of lists is no value for a parameter",
        wrong_type,
    ),
    Case::new(
        "usable_after_an_error",
        "a refused call leaves the transform as it was",
        after_error,
    ),
];

/// Runs every case against the transform `name` with `parameters`; `started` is told the name of each case before it
/// runs.
pub fn run(
    name: &str,
    parameters: &Map<String, Value>,
    make: &MakeTransform<'_>,
    started: &dyn Fn(&'static str),
) -> ComponentReport {
    let context = ConfiguredTransform {
        name,
        parameters,
        make,
    };
    let results = CASES.iter().map(|case| {
        started(case.name);
        CaseReport {
            case: case.name,
            outcome: case::outcome(case.needs, None, || (case.run)(&context)),
        }
    });
    ComponentReport::new(TestedComponent::Transform, name, results.collect(), None)
}

impl ConfiguredTransform<'_> {
    fn open_with(
        &self,
        parameters: Map<String, Value>,
        fill: u8,
    ) -> Result<Box<dyn DriftTransform>> {
        (self.make)(&Configuration { parameters, fill })
    }

    fn open(&self) -> Result<Box<dyn DriftTransform>, Stop> {
        self.open_with(self.parameters.clone(), 0)
            .map_err(|error| Stop::Failed(format!("it cannot be made: {error}")))
    }
}

fn batch(shape: ImageShape, rows: &[u64]) -> Result<ImageBatch, String> {
    let bytes: Vec<u8> = rows
        .iter()
        .flat_map(|row| images(shape, *row, 1, 1.0).concat())
        .collect();
    ImageBatch::new(shape, bytes).map_err(|error| error.to_string())
}

/// What the images of `rows` become.
fn apply(
    transform: &dyn DriftTransform,
    shape: ImageShape,
    rows: &[u64],
) -> Result<Vec<u8>, String> {
    let mut images = batch(shape, rows)?;
    let context = TransformContext { seed: SEED, rows };
    transform
        .apply(&mut images, &context)
        .map_err(|error| format!("{} images of {shape}: {error}", rows.len()))?;
    require(
        images.shape() == shape && images.len() == rows.len(),
        || {
            format!(
                "{} images of {shape} became {} of {}",
                rows.len(),
                images.len(),
                images.shape()
            )
        },
    )?;
    Ok(images.as_bytes().to_vec())
}

fn rows() -> Vec<u64> {
    // Not from 0, so that the place in the batch is not taken for the row.
    (100..100 + IMAGES as u64).collect()
}

fn info(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let info = transform.info();
    require(info.name == context.name, || {
        format!("it is `{}`, not `{}`", info.name, context.name)
    })?;
    let specs = TransformSpec::parse_list(&info.expression).map_err(|error| error.to_string())?;
    let [spec] = &specs[..] else {
        return Err(format!("`{}` is not one transform", info.expression).into());
    };
    require(spec.name == context.name, || {
        format!("its expression `{}` has another name", info.expression)
    })?;
    Ok(())
}

fn expression(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let expression = &transform.info().expression;
    let specs = TransformSpec::parse_list(expression).map_err(|error| error.to_string())?;
    let [spec] = &specs[..] else {
        return Err(format!("`{expression}` is not one transform").into());
    };
    require(spec.positional.is_empty(), || {
        format!("`{expression}` has a value without its name")
    })?;
    let again = context
        .open_with(spec.named.clone(), 0)
        .map_err(|error| format!("`{expression}` cannot be made: {error}"))?;
    require(again.info().expression == *expression, || {
        format!(
            "`{expression}` says that it is `{}`",
            again.info().expression
        )
    })?;
    let (found, expected) = (
        apply(again.as_ref(), SQUARE, &rows())?,
        apply(transform.as_ref(), SQUARE, &rows())?,
    );
    require(found == expected, || {
        format!("`{expression}` gives other bytes")
    })?;
    Ok(())
}

fn empty(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let found = apply(context.open()?.as_ref(), SQUARE, &[])?;
    require(found.is_empty(), || "no image became one".to_owned())?;
    Ok(())
}

fn shapes(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    apply(transform.as_ref(), SQUARE, &rows())?;
    for shape in SHAPES {
        let mut images = batch(shape, &rows())?;
        let context = TransformContext {
            seed: SEED,
            rows: &rows(),
        };
        match transform.apply(&mut images, &context) {
            Ok(()) => require(images.shape() == shape && images.len() == IMAGES, || {
                format!("images of {shape} became images of {}", images.shape())
            })?,
            Err(error) => require(!error.to_string().contains("no reason"), || {
                format!("images of {shape} are refused without a reason")
            })?,
        }
    }
    Ok(())
}

fn written(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let of = |fill: u8| {
        let transform = context
            .open_with(context.parameters.clone(), fill)
            .map_err(|error| error.to_string())?;
        apply(transform.as_ref(), SQUARE, &rows())
    };
    let (dark, bright) = (of(0x00)?, of(0xff)?);
    let unwritten = dark.iter().zip(&bright).position(|(a, b)| a != b);
    if let Some(at) = unwritten {
        let image = at / SQUARE.bytes();
        return Err(format!(
            "byte {} of image {image} of {IMAGES} is not written",
            at % SQUARE.bytes()
        )
        .into());
    }
    Ok(())
}

fn repeatable(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let (one, other) = (context.open()?, context.open()?);
    let expected = apply(one.as_ref(), SQUARE, &rows())?;
    for (what, transform) in [("a second call", &one), ("another instance", &other)] {
        require(
            apply(transform.as_ref(), SQUARE, &rows())? == expected,
            || format!("{what} gives other bytes"),
        )?;
    }
    Ok(())
}

fn single_is_batch(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let whole = apply(transform.as_ref(), SQUARE, &rows())?;
    for (row, expected) in rows().into_iter().zip(whole.chunks_exact(SQUARE.bytes())) {
        let alone = apply(transform.as_ref(), SQUARE, &[row])?;
        require(alone == expected, || {
            format!("row {row} gives other bytes alone than in a batch")
        })?;
    }
    Ok(())
}

fn order(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let whole = apply(transform.as_ref(), SQUARE, &rows())?;
    let mut shifted = rows();
    shifted.rotate_left(4);
    let found = apply(transform.as_ref(), SQUARE, &shifted)?;
    let mut expected = whole;
    expected.rotate_left(4 * SQUARE.bytes());
    require(found == expected, || {
        "rows in another order give other bytes".to_owned()
    })?;
    Ok(())
}

fn at_once(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let instances = (0..4)
        .map(|_| context.open())
        .collect::<Result<Vec<_>, Stop>>()?;
    let expected = apply(instances[0].as_ref(), SQUARE, &rows())?;
    for (what, shared) in [("one instance", true), ("four instances", false)] {
        let found = std::thread::scope(|scope| {
            let threads: Vec<_> = instances
                .iter()
                .map(|own| {
                    let transform = if shared { &instances[0] } else { own };
                    scope.spawn(|| apply(transform.as_ref(), SQUARE, &rows()))
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?;
        require(found.iter().all(|found| *found == expected), || {
            format!("{what} in four threads gives other bytes")
        })?;
    }
    Ok(())
}

fn refused(context: &ConfiguredTransform<'_>, name: &str, value: Value) -> Result<(), Stop> {
    let mut parameters = context.parameters.clone();
    parameters.insert(name.to_owned(), value.clone());
    match context.open_with(parameters, 0) {
        Ok(_) => Err(format!("`{name}` = {value} is accepted").into()),
        Err(error) => {
            let message = error.to_string();
            require(message.contains(name), || {
                format!("`{name}` = {value} is refused without its name: {message}")
            })?;
            Ok(())
        }
    }
}

fn unknown_parameter(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    refused(context, "no_such_parameter", json!(1))
}

fn wrong_type(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let expression = &transform.info().expression;
    let specs = TransformSpec::parse_list(expression).map_err(|error| error.to_string())?;
    for name in specs.iter().flat_map(|spec| spec.named.keys()) {
        refused(context, name, json!([[]]))?;
    }
    Ok(())
}

fn after_error(context: &ConfiguredTransform<'_>) -> Result<(), Stop> {
    let transform = context.open()?;
    let expected = apply(transform.as_ref(), SQUARE, &rows())?;
    let mut images = batch(SQUARE, &rows())?;
    let short = TransformContext {
        seed: SEED,
        rows: &rows()[1..],
    };
    // A transform that looks at no row may take this.
    let _ = transform.apply(&mut images, &short);
    let found = apply(transform.as_ref(), SQUARE, &rows())?;
    require(found == expected, || {
        "after a refused call it gives other bytes".to_owned()
    })?;
    Ok(())
}
