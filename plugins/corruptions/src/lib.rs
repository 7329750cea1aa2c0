//! The 19 corruptions of ImageNet-C and CIFAR-10-C (Hendrycks and Dietterich, 2019) as drift transforms, each with a
//! `severity` from 1 to 5.
//!
//! Images of at most 32 x 32 pixels take the constants of CIFAR-10-C, larger ones those of ImageNet-C; both are listed
//! with each family. Values are in 0..=1 in between and are cut off, not rounded, to u8 at the end, as the originals are.
//! Noise is drawn from (seed, family, row) alone.
//!
//! | module | families |
//! | --- | --- |
//! | `noise` | gaussian, shot, impulse, speckle |
//! | `blur` | gaussian, defocus, glass, motion, zoom |
//! | `weather` | snow, frost, fog |
//! | `spatter` | spatter |
//! | `digital` | brightness, contrast, saturate, pixelate, jpeg |
//! | `elastic` | elastic |
//! | `corruption` | what all have in common |
//! | `picture`, `plasma` | filters and samples of an image; fractal noise |

mod blur;
mod corruption;
mod digital;
mod elastic;
mod noise;
mod picture;
mod plasma;
mod spatter;
mod weather;

use corruption::{Corruption, Family, Level};
use driftline_plugin_sdk::export_plugin;
use picture::Picture;
use rand_chacha::ChaCha8Rng;

macro_rules! families {
    ($($family:ident $name:literal $summary:literal $corrupt:path,)*) => {
        $(
            struct $family;

            impl Family for $family {
                const NAME: &'static str = $name;
                const SUMMARY: &'static str = $summary;

                fn corrupt(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
                    $corrupt(image, level, random)
                }
            }
        )*

        export_plugin! { transforms: [$(Corruption<$family>),*] }
    };
}

families! {
    GaussianNoise "gaussian_noise" "noise of a sensor in poor light; severity=3" noise::gaussian,
    ShotNoise "shot_noise" "noise of counted photons; severity=3" noise::shot,
    ImpulseNoise "impulse_noise" "salt and pepper; severity=3" noise::impulse,
    SpeckleNoise "speckle_noise" "noise that grows with brightness; severity=3" noise::speckle,
    GaussianBlur "gaussian_blur_c" "blur with a Gaussian of any width; severity=3" blur::gaussian,
    DefocusBlur "defocus_blur" "an image out of focus; severity=3" blur::defocus,
    GlassBlur "glass_blur" "an image behind frosted glass; severity=3" blur::glass,
    MotionBlur "motion_blur" "a camera that moves; severity=3" blur::motion,
    ZoomBlur "zoom_blur" "a camera that comes closer; severity=3" blur::zoom,
    Snow "snow" "falling snow; severity=3" weather::snow,
    Frost "frost" "ice on the lens; severity=3" weather::frost,
    Fog "fog" "fog of uneven thickness; severity=3" weather::fog,
    Spatter "spatter" "rain or mud on the lens; severity=3" spatter::spatter,
    Brightness "brightness_c" "a brighter image; severity=3" digital::brightness,
    Contrast "contrast" "a flatter image; severity=3" digital::contrast,
    Saturate "saturate" "paler or stronger colours; severity=3" digital::saturate,
    Elastic "elastic_transform" "an image that is stretched here and there; severity=3" elastic::elastic,
    Pixelate "pixelate" "an image of lower resolution; severity=3" digital::pixelate,
    Jpeg "jpeg_compression" "a JPEG of low quality; severity=3" digital::jpeg,
}
