//! The images of a run of a given size: five eighths for the baseline, an eighth for each of three weeks.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use driftline::data::{Split, sample};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const WRITTEN_AT_ONCE: u64 = 1_000;

/// Where they are, and the model that knows them.
pub struct Images {
    pub count: u64,
    pub baseline: String,
    pub week: String,
    pub model: String,
}

impl Images {
    /// `count` images, in `folder` where they are not a whole file of the real ones.
    pub fn of(count: u64, folder: &Path) -> Result<Self> {
        let (baseline, week) = (count * 5 / 8, count / 8);
        let file = |name: &str| folder.join(format!("{name}-{count}.parquet"));
        let (train, test) = (file("train"), file("test"));
        let path = |path: &Path| path.display().to_string();
        let Some(data) = std::env::var_os("DRIFTLINE_TEST_DATA") else {
            write_sample(Split::Train, baseline, &train)?;
            write_sample(Split::Test, week, &test)?;
            return Ok(Self {
                count,
                baseline: path(&train),
                week: path(&test),
                model: "sample".to_owned(),
            });
        };
        let data = Path::new(&data);
        let first = |name: &str, rows, target: &Path| {
            let whole = data.join(name);
            let part = write_first(&whole, rows, target).with_context(|| path(&whole))?;
            Ok::<_, anyhow::Error>(path(if part { target } else { &whole }))
        };
        Ok(Self {
            count,
            baseline: first("cifar10-train.parquet", baseline, &train)?,
            week: first("cifar10-test.parquet", week, &test)?,
            model: path(&data.join("resnet18_cifar10.pth")),
        })
    }
}

/// Writes the first rows of a file to another one, if it has more.
fn write_first(whole: &Path, rows: u64, target: &Path) -> Result<bool> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(whole)?)?;
    if builder.metadata().file_metadata().num_rows() as u64 <= rows {
        return Ok(false);
    }
    let mut writer = ArrowWriter::try_new(File::create(target)?, builder.schema().clone(), None)?;
    for batch in builder.with_limit(rows as usize).build()? {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(true)
}

/// Writes the first rows of the sample data as PNG files in Parquet.
fn write_sample(split: Split, rows: u64, target: &Path) -> Result<()> {
    let mut writer = None;
    for first in (0..rows).step_by(WRITTEN_AT_ONCE as usize) {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for row in first..rows.min(first + WRITTEN_AT_ONCE) {
            let (class, pixels) = sample::scene(split, row);
            let (width, height) = (sample::SHAPE.width as u32, sample::SHAPE.height as u32);
            let mut png = Vec::new();
            PngEncoder::new(&mut png).write_image(
                &pixels,
                width,
                height,
                ExtendedColorType::Rgb8,
            )?;
            images.push(png);
            labels.push(sample::CLASSES[class]);
        }
        let images: ArrayRef = Arc::new(BinaryArray::from_iter_values(images));
        let labels: ArrayRef = Arc::new(StringArray::from(labels));
        let batch = RecordBatch::try_from_iter([("image", images), ("label", labels)])?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ArrowWriter::try_new(
                File::create(target)?,
                batch.schema(),
                None,
            )?),
        };
        writer.write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}
