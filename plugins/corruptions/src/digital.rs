//! Brightness, contrast, saturation, resolution and JPEG.

use fast_image_resize::images::{Image, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr};
use rand_chacha::ChaCha8Rng;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

use crate::corruption::Level;
use crate::picture::Picture;

/// Hue (0..1), saturation and value of a colour.
fn to_hsv(pixel: &[f64]) -> [f64; 3] {
    let (r, g, b) = (pixel[0], pixel[1], pixel[2]);
    let high = r.max(g).max(b);
    let range = high - r.min(g).min(b);
    if range == 0.0 {
        return [0.0, 0.0, high];
    }
    let sixth = if high == r {
        (g - b) / range
    } else if high == g {
        2.0 + (b - r) / range
    } else {
        4.0 + (r - g) / range
    };
    [(sixth / 6.0).rem_euclid(1.0), range / high, high]
}

fn to_rgb([hue, saturation, value]: [f64; 3]) -> [f64; 3] {
    let sixth = (hue * 6.0).floor();
    let part = hue * 6.0 - sixth;
    let p = value * (1.0 - saturation);
    let q = value * (1.0 - part * saturation);
    let t = value * (1.0 - (1.0 - part) * saturation);
    match sixth as u32 % 6 {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

fn map_hsv(image: &Picture, change: impl Fn([f64; 3]) -> [f64; 3]) -> Picture {
    let pixels = image.values.chunks_exact(3);
    let values = pixels.flat_map(|pixel| to_rgb(change(to_hsv(pixel))));
    Picture {
        values: values.collect(),
        ..*image
    }
}

/// The value in HSV, plus a constant.
pub(crate) fn brightness(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let more = level.of([0.05, 0.1, 0.15, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5]);
    map_hsv(image, |[hue, saturation, value]| {
        [hue, saturation, (value + more).clamp(0.0, 1.0)]
    })
}

/// The distance from the mean of each channel, times a factor.
pub(crate) fn contrast(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let factor = level.of([0.75, 0.5, 0.4, 0.3, 0.15], [0.4, 0.3, 0.2, 0.1, 0.05]);
    let mut flat = image.clone();
    for channel in 0..3 {
        let count = (image.height * image.width) as f64;
        let sum: f64 = image.values.iter().skip(channel).step_by(3).sum();
        for value in flat.values.iter_mut().skip(channel).step_by(3) {
            *value = (*value - sum / count) * factor + sum / count;
        }
    }
    flat
}

/// The saturation in HSV, times a factor, plus a constant.
pub(crate) fn saturate(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let (factor, more) = level.of(
        [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)],
        [(0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)],
    );
    map_hsv(image, |[hue, saturation, value]| {
        [hue, (saturation * factor + more).clamp(0.0, 1.0), value]
    })
}

fn from_u8(image: &Picture, bytes: &[u8]) -> Picture {
    Picture::from_bytes(image.height, image.width, bytes)
}

/// Fewer pixels, by a factor, and as many as before again; each time the mean of a box, as Pillow has it.
pub(crate) fn pixelate(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let factor = level.of([0.95, 0.9, 0.85, 0.75, 0.65], [0.6, 0.5, 0.4, 0.3, 0.25]);
    let (width, height) = (image.width as u32, image.height as u32);
    let fewer = |length: u32| ((f64::from(length) * factor) as u32).max(1);
    let bytes: Vec<u8> = image.bytes().collect();
    let resized = |bytes: &[u8], from: (u32, u32), to: (u32, u32)| {
        // Typed, or the compiler would make a resizer for each of the 13 kinds of pixels.
        let from = TypedImageRef::<U8x3>::from_buffer(from.0, from.1, bytes).ok()?;
        let mut out = Image::new(to.0, to.1, PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        let mut pixels = out.typed_image_mut::<U8x3>()?;
        Resizer::new()
            .resize_typed(&from, &mut pixels, &options)
            .ok()?;
        Some(out.into_vec())
    };
    let small = (fewer(width), fewer(height));
    let coarse = resized(&bytes, (width, height), small)
        .and_then(|bytes| resized(&bytes, small, (width, height)));
    // Sizes fit the bytes, so that there is nothing to refuse.
    coarse.map_or_else(|| image.clone(), |bytes| from_u8(image, &bytes))
}

/// A JPEG with colours at half the resolution, written and read again.
pub(crate) fn jpeg(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let quality = level.of([80, 65, 58, 50, 40], [25, 18, 15, 10, 7]);
    let bytes: Vec<u8> = image.bytes().collect();
    let through = || {
        let (width, height) = (
            u16::try_from(image.width).ok()?,
            u16::try_from(image.height).ok()?,
        );
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder
            .encode_image(Halved {
                bytes: &bytes,
                width,
                height,
            })
            .ok()?;
        JpegDecoder::new(ZCursor::new(file)).decode().ok()
    };
    // A JPEG has at most 65,535 pixels a side: a larger image stays as it is.
    through().map_or_else(|| image.clone(), |bytes| from_u8(image, &bytes))
}

/// RGB whose colours are already the means of 2 x 2 pixels: the encoder itself takes every second one.
struct Halved<'a> {
    bytes: &'a [u8],
    width: u16,
    height: u16,
}

impl Halved<'_> {
    fn pixel(&self, y: u16, x: u16) -> (u8, u8, u8) {
        let (y, x) = (y.min(self.height - 1), x.min(self.width - 1));
        let at = (usize::from(y) * usize::from(self.width) + usize::from(x)) * 3;
        rgb_to_ycbcr(self.bytes[at], self.bytes[at + 1], self.bytes[at + 2])
    }
}

impl ImageBuffer for Halved<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let first = y & !1;
        for x in 0..self.width {
            buffers[0].push(self.pixel(y, x).0);
            let left = x & !1;
            // Half of the sums are rounded up and half down, as libjpeg does it.
            let (mut blue, mut red) = (1 + left / 2 % 2, 1 + left / 2 % 2);
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (_, cb, cr) = self.pixel(first + dy, left + dx);
                blue += u16::from(cb);
                red += u16::from(cr);
            }
            buffers[1].push((blue / 4) as u8);
            buffers[2].push((red / 4) as u8);
        }
    }
}
