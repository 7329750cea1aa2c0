//! Checked batches of u8 images.

use crate::{Error, ErrorKind, Result};

/// Channels of every image in driftline: red, green, blue.
pub const CHANNELS: usize = 3;

/// Height and width of the images in a batch, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

impl ImageShape {
    /// Bytes of one image: `height * width * 3`.
    pub fn bytes(self) -> usize {
        self.height * self.width * CHANNELS
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// How an image of another size is brought to the input size of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// To exactly height x width, whatever the aspect ratio.
    #[default]
    Stretch,
    /// The image is scaled until it just covers height x width, then its centre is cut out.
    Crop,
}

fn check(shape: ImageShape, bytes: usize) -> Result<usize> {
    let image = shape.bytes();
    if image == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "make image batch",
            format!("images of {shape} pixels have no content"),
        ));
    }
    if !bytes.is_multiple_of(image) {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "make image batch",
            format!("{bytes} bytes are not a whole number of {shape} RGB images of {image} bytes"),
        ));
    }
    Ok(bytes / image)
}

/// Owned images, u8 `[N, H, W, 3]`, RGB, 0..=255, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBatch {
    shape: ImageShape,
    data: Vec<u8>,
}

impl ImageBatch {
    /// Takes `data` as images of `shape`; refuses a length that is not a whole number of images.
    pub fn new(shape: ImageShape, data: Vec<u8>) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape, data })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.data.len() / self.shape.bytes()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Height and width.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All bytes, image after image.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The images one by one, to be changed in place.
    pub fn images_mut(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        let bytes = self.shape.bytes();
        self.data.chunks_exact_mut(bytes)
    }

    /// A borrowed view of all images.
    pub fn view(&self) -> ImageView<'_> {
        ImageView {
            shape: self.shape,
            data: &self.data,
        }
    }
}

/// Borrowed images, u8 `[N, H, W, 3]`, RGB, 0..=255, row-major.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    shape: ImageShape,
    data: &'a [u8],
}

impl<'a> ImageView<'a> {
    /// Views `data` as images of `shape`; refuses a length that is not a whole number of images.
    pub fn new(shape: ImageShape, data: &'a [u8]) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape, data })
    }

    /// Number of images.
    pub fn len(self) -> usize {
        self.data.len() / self.shape.bytes()
    }

    /// Whether there is no image.
    pub fn is_empty(self) -> bool {
        self.data.is_empty()
    }

    /// Height and width.
    pub fn shape(self) -> ImageShape {
        self.shape
    }

    /// All bytes, image after image.
    pub fn as_bytes(self) -> &'a [u8] {
        self.data
    }

    /// The images one by one.
    pub fn images(self) -> std::slice::ChunksExact<'a, u8> {
        self.data.chunks_exact(self.shape.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 2,
        width: 2,
    };

    #[test]
    fn a_partial_image_is_refused_with_both_sizes() {
        let error = ImageBatch::new(SHAPE, vec![0; 13]).unwrap_err();
        assert_eq!(
            error.message(),
            "13 bytes are not a whole number of 2x2 RGB images of 12 bytes"
        );
        assert!(ImageView::new(SHAPE, &[0; 11]).is_err());
    }

    #[test]
    fn an_empty_shape_is_refused() {
        let shape = ImageShape {
            height: 0,
            width: 4,
        };
        assert!(ImageBatch::new(shape, vec![]).is_err());
    }

    #[test]
    fn images_come_in_order() {
        let batch = ImageBatch::new(SHAPE, (0..24).collect()).unwrap();
        assert_eq!(batch.len(), 2);
        let firsts: Vec<u8> = batch.view().images().map(|image| image[0]).collect();
        assert_eq!(firsts, [0, 12]);
    }
}
