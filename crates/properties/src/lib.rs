//! What an image looks like, in a few numbers.
//!
//! A camera that ages, a lens that fogs, a new codec change these before they change a model's embedding, and each says in a
//! word what happened. They are measured on the image that the model sees: resized, and after any injected drift.
//!
//! | property | unit | what it is |
//! | --- | --- | --- |
//! | `brightness` | 0..=1 | mean luma, `Y = 0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601) |
//! | `contrast` | 0..=0.5 | standard deviation of the luma |
//! | `sharpness` | ln of luma squared, 0..=255 | logarithm of 1 + the variance of the Laplacian of the luma (Pech-Pacheco et al. 2000) |
//! | `noise` | luma, 0..=255 | standard deviation of the noise: median absolute second difference over both axes, scaled as for normal noise (after Immerkaer 1996) |
//! | `saturation` | 0..=1 | mean of `(max - min) / max` over R, G, B |
//! | `red` | 0..=1 | share of red in all light |
//! | `blue` | 0..=1 | share of blue in all light |
//! | `entropy` | bits, 0..=8 | Shannon entropy of the luma's histogram of 256 bins |
//! | `blockiness` | ln of a ratio | logarithm of the mean step of the luma over every eighth column and row against all other steps: above 0 where JPEG's blocks show |

mod measure;

pub use measure::measure;

/// One number about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// Its name, also that of its column.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// Whether a change is told as a share of the baseline; otherwise as a difference.
    pub relative: bool,
}

/// Number of properties.
pub const COUNT: usize = 9;

/// The properties in the order of [`measure`].
pub const PROPERTIES: [Property; COUNT] = [
    property("brightness", "mean luma", true),
    property("contrast", "spread of the luma", true),
    property("sharpness", "logarithm of the Laplacian's variance", false),
    property("noise", "standard deviation of the noise", true),
    property("saturation", "strength of the colours", true),
    property("red", "share of red light", true),
    property("blue", "share of blue light", true),
    property("entropy", "bits of the luma", false),
    property("blockiness", "steps at the edges of JPEG's blocks", false),
];

const fn property(name: &'static str, summary: &'static str, relative: bool) -> Property {
    Property {
        name,
        summary,
        relative,
    }
}

/// The names of [`PROPERTIES`].
pub fn names() -> Vec<String> {
    PROPERTIES.iter().map(|p| p.name.to_owned()).collect()
}
