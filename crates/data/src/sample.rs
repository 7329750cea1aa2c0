//! The procedural sample data set: small textured scenes of ten classes, made in code.
//!
//! A scene is a surface with one of ten textures in two colours, lit unevenly, often half hidden by a plain object,
//! and seen through a noisy camera. Colours, contrast, scale, phase, rotation, light, object and noise are drawn for
//! each image. The repeat of a texture is a few pixels, so that much of what tells the classes apart is fine detail.
//!
//! A row is a pure function of (generator version, split, row). It uses additions, multiplications, divisions and
//! square roots of f32 alone, which round alike on every machine.

use driftline_core::image::CHANNELS;
use driftline_core::{
    Error, ErrorKind, ImageShape, ImageSource, Label, Result, SourceBatch, SourceInfo,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::fingerprint::Fingerprint;
use crate::rows::{RawImage, RawRow, RawRows, RowSource};
use crate::{DecodeOptions, Split};

/// Names of the classes; the position is the number of the class.
pub const CLASSES: [&str; 10] = [
    "bricks", "checks", "clouds", "dots", "grain", "rings", "stripes", "waves", "weave", "zigzag",
];

/// Height and width of the scenes as they are made.
pub const SHAPE: ImageShape = ImageShape {
    height: SIDE,
    width: SIDE,
};

/// Rises with every change that alters a pixel.
pub const GENERATOR_VERSION: u32 = 1;

const SIDE: usize = 32;

/// The sample data set as a source.
///
/// Rows are independent draws with all classes equally likely; `train` and `test` share none. Labels are names, and
/// the url of a row reads `sample/train/00042-bricks.png`.
pub struct SampleSource(RowSource);

impl SampleSource {
    /// The first `rows` rows of a split, brought from [`SHAPE`] to the shape of `decode`.
    ///
    /// # Errors
    /// `InvalidConfig` when the shape of `decode` has no pixels.
    pub fn open(split: Split, rows: u64, decode: &DecodeOptions) -> Result<Self> {
        if decode.shape.bytes() == 0 {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "open images",
                format!("images of {} pixels have no content", decode.shape),
            )
            .with("source", format!("sample#{split}")));
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.part("sample");
        fingerprint.part(GENERATOR_VERSION.to_le_bytes());
        fingerprint.part(split.to_string());
        fingerprint.part(rows.to_le_bytes());
        let info = SourceInfo {
            location: format!("sample#{split}"),
            rows,
            fingerprint: fingerprint.finish(),
        };
        Ok(Self(RowSource::new(
            info,
            decode,
            Scenes { split, next: 0 },
        )))
    }
}

impl ImageSource for SampleSource {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>> {
        self.0.next_batch(rows)
    }

    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.0.skip_rows(rows)
    }
}

struct Scenes {
    split: Split,
    next: u64,
}

impl RawRows for Scenes {
    fn next_row(&mut self) -> Result<Option<RawRow>> {
        let row = self.next;
        self.next += 1;
        let (class, pixels) = scene(self.split, row);
        let name = CLASSES[class];
        Ok(Some(RawRow {
            image: RawImage::Pixels(SHAPE, pixels),
            label: Some(Label::Name(name.to_owned())),
            url: format!("sample/{}/{row:05}-{name}.png", self.split),
        }))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.next += rows;
        Ok(())
    }
}

/// One row: the number of its class, and u8 `[32, 32, 3]` RGB.
pub fn scene(split: Split, row: u64) -> (usize, Vec<u8>) {
    let mut draw = Draw::new(split, row);
    let class = draw.below(CLASSES.len() as u32) as usize;
    let surface = Surface::new(class, &mut draw);
    let light = Light::new(&mut draw);
    let object = Object::new(&mut draw);
    let noise = draw.between(2.0, 10.0);
    let mut pixels = Vec::with_capacity(SHAPE.bytes());
    for at in 0..SIDE * SIDE {
        // From the centre of the image to the centre of the pixel.
        let centre = SIDE as f32 / 2.0 - 0.5;
        let (x, y) = ((at % SIDE) as f32 - centre, (at / SIDE) as f32 - centre);
        let colour = object.over(surface.colour(x, y), x, y);
        let brightness = light.at(x, y);
        let grey_noise = noise * draw.bell();
        for channel in colour {
            let value = channel * brightness * 255.0 + grey_noise + 0.4 * noise * draw.bell();
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    (class, pixels)
}

/// Draws from the stream of one row.
struct Draw(ChaCha8Rng);

impl Draw {
    fn new(split: Split, row: u64) -> Self {
        let mut seed = [0; 32];
        let text = format!("driftline sample {GENERATOR_VERSION} {split}");
        for (to, from) in seed.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(row);
        Self(rng)
    }

    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// Uniform in 0..1.
    fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A direction, as (cosine, sine) from the rational form of the circle.
    fn direction(&mut self) -> (f32, f32) {
        let t = self.between(-1.0, 1.0);
        let (cosine, sine) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        if self.chance(0.5) {
            (cosine, sine)
        } else {
            (-sine, cosine)
        }
    }

    /// Nearly normal with mean 0 and variance 1: the sum of four uniform bytes.
    fn bell(&mut self) -> f32 {
        let sum: i32 = self.0.next_u32().to_le_bytes().map(i32::from).iter().sum();
        (sum - 510) as f32 / 147.8
    }

    fn colour(&mut self, value: (f32, f32)) -> Colour {
        let (hue, saturation) = (self.unit(), self.between(0.08, 0.5));
        let value = self.between(value.0, value.1);
        [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|primary| {
            let away = triangle(hue - primary);
            value * (1.0 - saturation * (6.0 * away - 1.0).clamp(0.0, 1.0))
        })
    }
}

/// RGB, 0..=1.
type Colour = [f32; CHANNELS];

fn mix(from: Colour, to: Colour, part: f32) -> Colour {
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * part)
}

/// The pattern that gives a class its name.
#[derive(Clone, Copy)]
enum Texture {
    Bricks,
    Checks,
    Clouds,
    Dots,
    Grain,
    Rings,
    Stripes,
    Waves,
    Weave,
    Zigzag,
}

const TEXTURES: [Texture; CLASSES.len()] = [
    Texture::Bricks,
    Texture::Checks,
    Texture::Clouds,
    Texture::Dots,
    Texture::Grain,
    Texture::Rings,
    Texture::Stripes,
    Texture::Waves,
    Texture::Weave,
    Texture::Zigzag,
];

/// A textured surface that fills the image.
struct Surface {
    texture: Texture,
    /// Pixels to one repeat of the texture.
    period: f32,
    direction: (f32, f32),
    phase: (f32, f32),
    /// Part of a repeat that is of the first colour, or bend of a line.
    form: f32,
    salt: u32,
    colours: [Colour; 2],
    /// What both colours fade to along `fade`.
    haze: Colour,
    fade: (f32, f32),
}

impl Surface {
    fn new(class: usize, draw: &mut Draw) -> Self {
        let texture = TEXTURES[class];
        let (low, high) = match texture {
            Texture::Bricks => (5.0, 8.0),
            Texture::Checks => (5.0, 9.0),
            Texture::Clouds => (9.0, 14.0),
            Texture::Dots => (4.5, 7.5),
            Texture::Grain => (9.0, 14.0),
            Texture::Rings | Texture::Stripes | Texture::Waves | Texture::Zigzag => (3.4, 6.5),
            Texture::Weave => (7.0, 10.0),
        };
        let light = draw.colour((0.62, 1.0));
        let contrast = draw.between(0.3, 0.75);
        let dark = mix(light, draw.colour((0.1, 0.5)), contrast);
        let colours = if draw.chance(0.5) {
            [light, dark]
        } else {
            [dark, light]
        };
        let (fade, strength) = (draw.direction(), draw.between(0.0, 0.018));
        Self {
            texture,
            period: draw.between(low, high),
            direction: draw.direction(),
            phase: (draw.between(-9.0, 9.0), draw.between(-9.0, 9.0)),
            form: draw.unit(),
            salt: draw.0.next_u32(),
            colours,
            haze: draw.colour((0.5, 0.95)),
            fade: (fade.0 * strength, fade.1 * strength),
        }
    }

    fn colour(&self, x: f32, y: f32) -> Colour {
        let (cosine, sine) = self.direction;
        let u = (cosine * x + sine * y) / self.period + self.phase.0;
        let v = (cosine * y - sine * x) / self.period + self.phase.1;
        let [first, second] = self.colours;
        let haze = 0.25 + self.fade.0 * x + self.fade.1 * y;
        mix(
            mix(first, second, self.pattern(u, v, x, y)),
            self.haze,
            haze.max(0.0),
        )
    }

    /// How much of the second colour there is, 0..=1, at (`u`, `v`) in repeats and (`x`, `y`) in pixels. An edge is
    /// as soft as a pixel.
    fn pattern(&self, u: f32, v: f32, x: f32, y: f32) -> f32 {
        let edge = |inside: f32| (inside * self.period + 0.5).clamp(0.0, 1.0);
        let line = |across: f32, width: f32| edge(width / 2.0 - triangle(across));
        match self.texture {
            Texture::Bricks => {
                let course = v.floor();
                let along = u / 2.0 + course / 2.0;
                let mortar = (0.5 - triangle(v)).min(2.0 * (0.5 - triangle(along)));
                let shade = 0.3 * lattice(along.floor() as i32, course as i32, self.salt);
                edge(mortar - 0.11) * (1.0 - shade)
            }
            Texture::Checks => {
                let side =
                    |across: f32| ((0.5 - 2.0 * triangle(across)) * self.period).clamp(-1.0, 1.0);
                0.5 + 0.5 * side(u) * side(v)
            }
            Texture::Clouds => self.clouds(u, v),
            Texture::Dots => {
                let column = v.floor() * 0.5;
                let (du, dv) = (fraction(u + column) - 0.5, fraction(v) - 0.5);
                edge(0.27 + 0.08 * self.form - (du * du + dv * dv).sqrt())
            }
            Texture::Grain => {
                let side = 1.0 + 0.9 * self.form;
                let (column, row) = ((x / side + 64.0).floor(), (y / side + 64.0).floor());
                0.45 * self.clouds(u, v) + 0.55 * lattice(column as i32, row as i32, !self.salt)
            }
            Texture::Rings => {
                // The centre stays inside the image or near it.
                let (x, y) = (x - 1.3 * self.phase.0, y - 1.3 * self.phase.1);
                let radius = (x * x + y * y).sqrt() / self.period;
                line(radius, 0.4 + 0.2 * self.form)
            }
            Texture::Stripes => line(u, 0.35 + 0.3 * self.form),
            Texture::Waves => {
                let along = triangle(v / 2.6);
                // A triangle wave with its corners rounded.
                let bend = along * along * (6.0 - 8.0 * along);
                line(u + bend * (0.8 + 0.4 * self.form), 0.5)
            }
            Texture::Weave => {
                let over = (u.floor() + v.floor()) as i32 & 1 == 0;
                let (across, along) = if over { (u, v) } else { (v, u) };
                let strand = edge(0.5 - triangle(across * 2.0) - 0.1);
                strand * (0.55 + 0.9 * (0.5 - triangle(along))).min(1.0)
            }
            Texture::Zigzag => {
                let bend = 2.0 * triangle(v / 2.6);
                line(u + bend * (0.9 + 0.4 * self.form), 0.5)
            }
        }
    }

    /// Smooth noise in two octaves.
    fn clouds(&self, u: f32, v: f32) -> f32 {
        let octave = |u: f32, v: f32, salt: u32| {
            let (column, row) = (u.floor(), v.floor());
            let corner =
                |right: i32, down: i32| lattice(column as i32 + right, row as i32 + down, salt);
            let ease = |t: f32| t * t * (3.0 - 2.0 * t);
            let (across, down) = (ease(u - column), ease(v - row));
            let top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * across;
            let bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * across;
            top + (bottom - top) * down
        };
        let sum = 0.65 * octave(u, v, self.salt) + 0.35 * octave(2.0 * u, 2.0 * v, self.salt ^ 1);
        (1.6 * sum - 0.3).clamp(0.0, 1.0)
    }
}

/// Light that falls off to one side and to the corners.
struct Light {
    slope: (f32, f32),
    level: f32,
    vignette: f32,
}

impl Light {
    fn new(draw: &mut Draw) -> Self {
        let (direction, strength) = (draw.direction(), draw.between(-0.012, 0.012));
        Self {
            slope: (direction.0 * strength, direction.1 * strength),
            level: draw.between(0.85, 1.1),
            vignette: draw.between(0.0, 0.0006),
        }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        self.level + self.slope.0 * x + self.slope.1 * y - self.vignette * (x * x + y * y)
    }
}

/// A plain disc or box in front of the surface, with a shadow to its lower right.
struct Object {
    /// Zero where there is none.
    radius: f32,
    round: bool,
    centre: (f32, f32),
    direction: (f32, f32),
    colour: Colour,
}

impl Object {
    fn new(draw: &mut Draw) -> Self {
        let radius = draw.between(4.0, 8.5);
        Self {
            radius: if draw.chance(0.6) { radius } else { 0.0 },
            round: draw.chance(0.6),
            centre: (draw.between(-15.0, 15.0), draw.between(-15.0, 15.0)),
            direction: draw.direction(),
            colour: draw.colour((0.35, 1.0)),
        }
    }

    /// How much of a pixel the object covers, 0..=1.
    fn cover(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.centre.0, y - self.centre.1);
        let distance = if self.round {
            (x * x + y * y).sqrt()
        } else {
            let (cosine, sine) = self.direction;
            (cosine * x + sine * y)
                .abs()
                .max((cosine * y - sine * x).abs())
                * 1.15
        };
        (self.radius - distance + 0.5).clamp(0.0, 1.0)
    }

    fn over(&self, behind: Colour, x: f32, y: f32) -> Colour {
        if self.radius == 0.0 {
            return behind;
        }
        let shadowed = behind.map(|channel| channel * (1.0 - 0.45 * self.cover(x - 1.6, y - 1.6)));
        let shade = 1.0 - 0.016 * ((x - self.centre.0) + (y - self.centre.1));
        mix(
            shadowed,
            self.colour.map(|channel| channel * shade),
            self.cover(x, y),
        )
    }
}

fn fraction(x: f32) -> f32 {
    x - x.floor()
}

/// Distance to the nearest whole number, 0..=0.5.
fn triangle(x: f32) -> f32 {
    (x - (x + 0.5).floor()).abs()
}

/// A value 0..1 that is fixed for each cell of a plane.
fn lattice(column: i32, row: i32, salt: u32) -> f32 {
    let mut bits =
        salt ^ (column as u32).wrapping_mul(0x9e37_79b1) ^ (row as u32).wrapping_mul(0x85eb_ca77);
    for _ in 0..2 {
        bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    }
    ((bits ^ (bits >> 16)) >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_core::Resize;

    fn options(side: usize) -> DecodeOptions {
        DecodeOptions {
            shape: ImageShape {
                height: side,
                width: side,
            },
            resize: Resize::Stretch,
        }
    }

    fn all(source: &mut SampleSource, batch: usize) -> (Vec<u8>, Vec<driftline_core::SourceRow>) {
        let (mut pixels, mut rows) = (Vec::new(), Vec::new());
        while let Some(next) = source.next_batch(batch).unwrap() {
            assert!(next.skipped.is_empty());
            pixels.extend_from_slice(next.images.as_bytes());
            rows.extend(next.rows);
        }
        (pixels, rows)
    }

    #[test]
    fn rows_do_not_depend_on_batches_or_on_what_was_skipped() {
        let open = || SampleSource::open(Split::Test, 50, &options(32)).unwrap();
        let (pixels, rows) = all(&mut open(), 7);
        assert_eq!((pixels, rows.len()), (all(&mut open(), 50).0, 50));
        let mut late = open();
        late.skip_rows(41).unwrap();
        let (end, end_rows) = all(&mut late, 4);
        assert_eq!(end, all(&mut open(), 3).0[41 * SHAPE.bytes()..]);
        assert_eq!(end_rows, rows[41..]);
    }

    #[test]
    fn a_row_is_named_by_split_number_and_class() {
        let (_, rows) = all(
            &mut SampleSource::open(Split::Train, 43, &options(32)).unwrap(),
            43,
        );
        let class = CLASSES[scene(Split::Train, 42).0];
        assert_eq!(rows[42].label, Some(Label::Name(class.to_owned())));
        assert_eq!(rows[42].url, format!("sample/train/00042-{class}.png"));
        assert_eq!(rows[42].row, 42);
    }

    #[test]
    fn splits_and_lengths_have_fingerprints_of_their_own() {
        let fingerprint = |split, rows| {
            let source = SampleSource::open(split, rows, &options(32)).unwrap();
            source.info().fingerprint.clone()
        };
        assert_eq!(fingerprint(Split::Train, 9), fingerprint(Split::Train, 9));
        assert_ne!(fingerprint(Split::Train, 9), fingerprint(Split::Train, 10));
        assert_ne!(fingerprint(Split::Train, 9), fingerprint(Split::Test, 9));
        assert_ne!(scene(Split::Train, 0).1, scene(Split::Test, 0).1);
    }

    #[test]
    fn all_classes_are_about_equally_frequent() {
        let mut counts = [0; CLASSES.len()];
        for row in 0..2_000 {
            counts[scene(Split::Train, row).0] += 1;
        }
        assert!(
            counts.iter().all(|count| (140..260).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn scenes_are_resized_to_the_input_of_a_model() {
        let mut source = SampleSource::open(Split::Train, 3, &options(48)).unwrap();
        let batch = source.next_batch(3).unwrap().unwrap();
        assert_eq!(batch.images.shape(), options(48).shape);
        assert!(SampleSource::open(Split::Train, 3, &options(0)).is_err());
    }

    /// Changes with the pixels: raise [`GENERATOR_VERSION`] and train the sample model again.
    #[test]
    fn the_pixels_are_those_of_this_version() {
        let mut fingerprint = Fingerprint::default();
        for row in 0..500 {
            fingerprint.part(scene(Split::Train, row).1);
        }
        assert_eq!(fingerprint.finish(), PINNED);
    }

    const PINNED: &str = "6c1ca6df23dd38f63bcddf95a7ea4864a1c9e47d76bf60233d7db6c9dfdb2f78";
}
