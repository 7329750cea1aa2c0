//! Images of any kind to RGB pixels of one shape.

use std::io::Cursor;

use driftline_core::image::CHANNELS;
use driftline_core::{ImageShape, Resize};
use fast_image_resize::images::{Image, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::memory::{Reserved, reserve};

/// Most pixels of an image that is decoded; more is refused before any is allocated.
const MAX_PIXELS: u64 = 64 << 20;

/// What images are turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Height and width of every image that comes out.
    pub shape: ImageShape,
    /// How an image of another size is brought to `shape`, with the antialiased bilinear filter of Pillow; one that
    /// has it already is not touched.
    pub resize: Resize,
}

impl DecodeOptions {
    /// A JPEG, PNG or WebP file as u8 `[H, W, 3]` RGB of [`DecodeOptions::shape`], or what is wrong with it; see [`rgb`].
    pub(crate) fn encoded(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let decoded = rgb(bytes, Some(self.shape))?;
        self.resized(decoded.height, decoded.width, decoded.pixels)
    }

    /// u8 `[height, width, channels]` pixels, grey (1 channel) or RGB (3), as RGB of [`DecodeOptions::shape`].
    pub(crate) fn pixels(&self, from: ImageShape, pixels: Vec<u8>) -> Result<Vec<u8>, String> {
        check_size(from.height as u64, from.width as u64)?;
        let size = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
        let (height, width) = (size(from.height)?, size(from.width)?);
        let bytes = from.bytes() as u64 + resize_bytes(height.into(), width.into(), self.shape);
        let _memory = reserve(bytes)?;
        self.resized(height, width, coloured(from, pixels)?)
    }

    fn resized(&self, height: u32, width: u32, rgb: Vec<u8>) -> Result<Vec<u8>, String> {
        let to = self.shape;
        if (height as usize, width as usize) == (to.height, to.width) {
            return Ok(rgb);
        }
        let size = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
        // Typed, or the compiler would make a resizer for each of the 13 kinds of pixels.
        let source =
            TypedImageRef::<U8x3>::from_buffer(width, height, &rgb).map_err(|e| e.to_string())?;
        let mut pixels = Image::new(size(to.width)?, size(to.height)?, PixelType::U8x3);
        let mut target = pixels
            .typed_image_mut::<U8x3>()
            .ok_or("the image has other pixels")?;
        let mut options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        if self.resize == Resize::Crop {
            let (left, top, box_width, box_height) = centre(height, width, to);
            options = options.crop(left, top, box_width, box_height);
        }
        Resizer::new()
            .resize_typed(&source, &mut target, &options)
            .map_err(|e| format!("the image cannot be resized: {e}"))?;
        Ok(pixels.into_vec())
    }
}

/// Grey (1 channel) or RGB (3) pixels as RGB.
pub(crate) fn coloured(from: ImageShape, pixels: Vec<u8>) -> Result<Vec<u8>, String> {
    let rgb = if pixels.len() * CHANNELS == from.bytes() {
        pixels.iter().flat_map(|&grey| [grey; CHANNELS]).collect()
    } else {
        pixels
    };
    if rgb.len() != from.bytes() {
        return Err(format!("{} bytes do not make a {from} image", rgb.len()));
    }
    Ok(rgb)
}

/// The part of a source image (left, top, width, height, in pixels) that is seen when it is scaled until it just
/// covers `to`, to whole pixels, and the centre is cut out. Resizing this part alone gives the same result without
/// making the whole scaled image, which could be huge for a very flat source.
fn centre(height: u32, width: u32, to: ImageShape) -> (f64, f64, f64, f64) {
    let (height, width) = (f64::from(height), f64::from(width));
    let (to_height, to_width) = (to.height as f64, to.width as f64);
    let scale = (to_height / height).max(to_width / width);
    // A product such as 31.999... is the 32 it stands for.
    let whole = |scaled: f64, least: f64| (scaled + 1e-6).floor().max(least);
    let (tall, wide) = (
        whole(height * scale, to_height),
        whole(width * scale, to_width),
    );
    let cut = |source: f64, scaled: f64, kept: f64| {
        let start = ((scaled - kept) / 2.0).round_ties_even();
        let length = (kept * source / scaled).min(source);
        ((start * source / scaled).min(source - length), length)
    };
    let (top, box_height) = cut(height, tall, to_height);
    let (left, box_width) = cut(width, wide, to_width);
    (left, top, box_width, box_height)
}

/// An image as its file holds it.
pub(crate) struct Decoded {
    pub(crate) height: u32,
    pub(crate) width: u32,
    /// u8 `[height, width, 3]` RGB.
    pub(crate) pixels: Vec<u8>,
    /// Set aside for decoding, and for bringing the image to the shape that was said.
    _memory: Reserved,
}

/// A JPEG, PNG or WebP file that will be brought to `shape`, or what is wrong with it.
///
/// As Pillow's `convert("RGB")`: grey is repeated, alpha is dropped, a palette is looked up. 16-bit channels are
/// scaled to 8. An orientation in the metadata is not applied.
pub(crate) fn rgb(bytes: &[u8], shape: Option<ImageShape>) -> Result<Decoded, String> {
    let broken = |e: ImageError| match e {
        ImageError::Unsupported(_) => format!("not a JPEG, PNG or WebP image: {e}"),
        ImageError::Limits(_) => format!("the image is too large: {e}"),
        _ => format!("the image is broken: {e}"),
    };
    if bytes.is_empty() {
        return Err("the image is empty".to_owned());
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| e.to_string())?;
    let format = reader.format();
    if format.is_none() {
        return Err("not a JPEG, PNG or WebP image".to_owned());
    }
    // The decoder would fill the missing part of a JPEG with grey.
    if format == Some(ImageFormat::Jpeg) && !jpeg_is_whole(bytes) {
        return Err("the JPEG ends early".to_owned());
    }
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (high, wide) = (u64::from(height), u64::from(width));
    check_size(high, wide)?;
    let mut needed = decoder.total_bytes() + working_bytes(format, bytes, high * wide);
    if decoder.color_type() != ColorType::Rgb8 {
        needed += high * wide * CHANNELS as u64;
    }
    needed += shape.map_or(0, |shape| resize_bytes(high, wide, shape));
    let memory = reserve(needed)?;
    let pixels = DynamicImage::from_decoder(decoder)
        .map_err(broken)?
        .into_rgb8()
        .into_raw();
    Ok(Decoded {
        height,
        width,
        pixels,
        _memory: memory,
    })
}

/// What the decoder of a format holds beside the pixels that it gives, at most.
fn working_bytes(format: Option<ImageFormat>, bytes: &[u8], pixels: u64) -> u64 {
    match format {
        // A copy of the file; coefficients of 16 bits, of up to four components.
        Some(ImageFormat::Jpeg) => {
            let kept = if jpeg_keeps_coefficients(bytes) { 8 } else { 0 };
            bytes.len() as u64 + kept * pixels
        }
        // An animation has a canvas, a frame and its transparency; a frame may say another size than the file.
        Some(ImageFormat::WebP) => {
            let extended = bytes.get(12..16) == Some(b"VP8X");
            let canvas = if extended { 12 } else { 6 };
            canvas * pixels + 2 * webp_frame_pixels(bytes)
        }
        _ => 0,
    }
}

/// Pixels of the largest lossy frame of a WebP file, as the frames say themselves.
fn webp_frame_pixels(bytes: &[u8]) -> u64 {
    let mut largest = 0;
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, content)) = rest.split_at_checked(8) {
        let (name, length) = head.split_at(4);
        let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
        if let (b"VP8 ", Some(&[a, b, c, d])) = (name, content.get(6..10)) {
            let side = |low, high| u64::from(u16::from_le_bytes([low, high]) & 0x3fff);
            largest = largest.max(side(a, b) * side(c, d));
        }
        // A frame of an animation begins with 16 bytes of its own, then holds chunks.
        let inside = if name == b"ANMF" {
            16
        } else {
            length + length % 2
        };
        rest = content.get(inside..).unwrap_or_default();
    }
    largest
}

/// What bringing an image to another shape takes: the result, the image between the two passes, and the weights of both.
fn resize_bytes(height: u64, width: u64, to: ImageShape) -> u64 {
    let (to_height, to_width) = (to.height as u64, to.width as u64);
    if (height, width) == (to_height, to_width) {
        return 0;
    }
    let between = (width * to_height).max(to_width * height);
    let weights = 32 * (height + width + to_height + to_width);
    (to_height * to_width + between) * CHANNELS as u64 + weights
}

fn check_size(height: u64, width: u64) -> Result<(), String> {
    if height == 0 || width == 0 {
        return Err(format!("the image has no pixels ({height}x{width})"));
    }
    if height.saturating_mul(width) > MAX_PIXELS {
        return Err(format!(
            "the image is too large: {height}x{width} pixels, at most {MAX_PIXELS} are decoded"
        ));
    }
    Ok(())
}

/// The markers of a JPEG up to its first scan, each with what follows its length; the scan's has all that is left.
fn jpeg_segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            match *rest {
                // Fill bytes before a marker.
                [0xff, 0xff, ..] => rest = &rest[1..],
                [0xff, marker, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let content = rest.get(4..).unwrap_or_default();
                    rest = match marker {
                        SCAN => &[],
                        _ => rest.get(2 + length..).unwrap_or_default(),
                    };
                    return Some((marker, content));
                }
                _ => return None,
            }
        }
    })
}

const SCAN: u8 = 0xda;
const PROGRESSIVE_FRAME: u8 = 0xc2;

/// Whether an end-of-image marker follows the first scan; within scan data 0xff is never followed by 0xd9.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    jpeg_segments(bytes).any(|(marker, content)| {
        marker == SCAN && content.windows(2).any(|pair| pair == [0xff, 0xd9])
    })
}

/// Whether the decoder keeps the coefficients of the whole image: it is progressive, or its first scan has not all of its
/// components.
fn jpeg_keeps_coefficients(bytes: &[u8]) -> bool {
    let mut components = 0;
    jpeg_segments(bytes).any(|(marker, content)| match (marker, content) {
        (PROGRESSIVE_FRAME, _) => true,
        (0xc0 | 0xc1, [_, _, _, _, _, count, ..]) => {
            components = components.max(*count);
            false
        }
        (SCAN, [count, ..]) => *count < components,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: ImageShape = ImageShape {
        height: 32,
        width: 32,
    };

    #[test]
    fn the_centre_is_that_of_resize_then_crop() {
        // 64x100 scales to 32x50; columns 9..41 are kept.
        assert_eq!(centre(64, 100, SQUARE), (18.0, 0.0, 64.0, 64.0));
        // 100x64 likewise, upright.
        assert_eq!(centre(100, 64, SQUARE), (0.0, 18.0, 64.0, 64.0));
        // A very flat one stays inside the source.
        let (left, top, width, height) = centre(1, 60_000_000, SQUARE);
        assert!(left >= 0.0 && left + width <= 60_000_000.0);
        assert_eq!((top, height), (0.0, 1.0));
    }

    #[test]
    fn pixels_are_checked_before_they_are_used() {
        let options = DecodeOptions {
            shape: SQUARE,
            resize: Resize::Stretch,
        };
        assert_eq!(options.pixels(SQUARE, vec![7; 1024]), Ok(vec![7; 3 * 1024]));
        assert!(options.pixels(SQUARE, vec![7; 1023]).is_err());
        let huge = ImageShape {
            height: 1 << 20,
            width: 1 << 20,
        };
        assert!(
            options
                .pixels(huge, Vec::new())
                .unwrap_err()
                .contains("too large")
        );
    }
}
