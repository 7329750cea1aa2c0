//! ResNet-18 in float64, in plain loops, from the architecture.
//!
//! Convolution 7x7/2 padding 3, batch norm, ReLU, max pool 3x3/2 padding 1; four stages of two basic blocks each, the
//! stages after the first begin with stride 2 and a 1x1 convolution on the shortcut; mean over the plane; `fc.0` (the
//! embedding), ReLU, `fc.2`, softmax. (He et al. 2015, "Deep Residual Learning for Image Recognition"; the names of the
//! tensors are torchvision's.)

use crate::fault::Fault;
use crate::synthetic::{Image, SyntheticModel};

/// Epsilon of every batch norm.
const EPSILON: f64 = 1e-5;

/// What the network gives for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct OracleOutput {
    /// Output of `fc.0`, before the ReLU.
    pub embedding: Vec<f64>,
    /// Softmax of `fc.2`.
    pub scores: Vec<f64>,
}

/// Activations of a batch, `[N, C, H, W]`.
struct Planes {
    n: usize,
    channels: usize,
    height: usize,
    width: usize,
    values: Vec<f64>,
}

/// Runs `model` on `images`, with a fault planted where one is given.
pub fn run(model: &SyntheticModel, images: &[Image], fault: Option<Fault>) -> Vec<OracleOutput> {
    Network { model, fault }.run(images)
}

struct Network<'a> {
    model: &'a SyntheticModel,
    fault: Option<Fault>,
}

impl Network<'_> {
    fn run(&self, images: &[Image]) -> Vec<OracleOutput> {
        if images.is_empty() {
            return Vec::new();
        }
        let mut x = self.conv_norm(&self.input(images), "conv1", "bn1", 2, 3);
        relu(&mut x.values);
        let mut x = self.max_pool(&x);
        for layer in 1..=4 {
            for block in 0..2 {
                let stride = if layer > 1 && block == 0 { 2 } else { 1 };
                x = self.block(&x, &format!("layer{layer}.{block}"), stride);
            }
        }
        let plane = x.height * x.width;
        x.values
            .chunks_exact(x.channels * plane)
            .map(|image| {
                let means: Vec<f64> = image
                    .chunks_exact(plane)
                    .map(|plane| plane.iter().sum::<f64>() / plane.len() as f64)
                    .collect();
                let mut embedding = self.linear("fc.0", &means);
                let mut hidden = embedding.clone();
                relu(&mut hidden);
                let scores = softmax(&self.linear("fc.2", &hidden));
                if self.fault == Some(Fault::ReluApplied) {
                    relu(&mut embedding);
                }
                OracleOutput { embedding, scores }
            })
            .collect()
    }

    /// `(pixel / 255 - mean) / std`.
    fn input(&self, images: &[Image]) -> Planes {
        let model = self.model;
        let plane = model.shape.height * model.shape.width;
        let mut values = Vec::with_capacity(images.len() * 3 * plane);
        for image in images {
            for channel in 0..3 {
                let source = if self.fault == Some(Fault::Bgr) {
                    2 - channel
                } else {
                    channel
                };
                let mean = match self.fault {
                    Some(Fault::MissingMean) => 0.0,
                    _ => model.mean[channel],
                };
                values.extend((0..plane).map(|at| {
                    let pixel = f64::from(image[3 * at + source]) / 255.0;
                    (pixel - mean) / model.std[channel]
                }));
            }
        }
        Planes {
            n: images.len(),
            channels: 3,
            height: model.shape.height,
            width: model.shape.width,
            values,
        }
    }

    fn block(&self, x: &Planes, name: &str, stride: usize) -> Planes {
        let part = |part: &str| format!("{name}.{part}");
        let mut y = self.conv_norm(x, &part("conv1"), &part("bn1"), stride, 1);
        relu(&mut y.values);
        let mut y = self.conv_norm(&y, &part("conv2"), &part("bn2"), 1, 1);
        let projected;
        let shortcut = if stride == 2 {
            projected = self.conv_norm(x, &part("downsample.0"), &part("downsample.1"), 2, 0);
            &projected
        } else {
            x
        };
        for (y, x) in y.values.iter_mut().zip(&shortcut.values) {
            *y += x;
        }
        relu(&mut y.values);
        y
    }

    /// A convolution without bias and the batch norm after it.
    fn conv_norm(
        &self,
        x: &Planes,
        conv: &str,
        norm: &str,
        stride: usize,
        padding: usize,
    ) -> Planes {
        let mut y = self.conv(x, conv, stride, padding);
        let (gamma, beta) = (self.values(norm, "weight"), self.values(norm, "bias"));
        let plane = y.height * y.width;
        for channel in 0..y.channels {
            let (mean, variance) = if self.fault == Some(Fault::BatchNormTraining) {
                moments(&y, channel)
            } else {
                let mean = self.values(norm, "running_mean")[channel];
                (mean, self.values(norm, "running_var")[channel])
            };
            let scale = gamma[channel] / (variance + EPSILON).sqrt();
            for image in 0..y.n {
                let start = (image * y.channels + channel) * plane;
                for value in &mut y.values[start..start + plane] {
                    *value = (*value - mean) * scale + beta[channel];
                }
            }
        }
        y
    }

    fn conv(&self, x: &Planes, name: &str, stride: usize, padding: usize) -> Planes {
        let tensor = self.model.tensor(&format!("{name}.weight"));
        let [out, channels, kernel, _] = tensor.shape[..] else {
            unreachable!("convolution weights have four dimensions")
        };
        let side = |side: usize| (side + 2 * padding - kernel) / stride + 1;
        let (height, width) = (side(x.height), side(x.width));
        // Off by one: everything is padded before the image and nothing after it.
        let before = match self.fault {
            Some(Fault::PaddingOffByOne) if padding == 1 => 2,
            _ => padding,
        };
        let mut values = vec![0.0; x.n * out * height * width];
        let weights: Vec<f64> = tensor.values.iter().map(|w| self.factor(*w)).collect();
        let inputs: Vec<f64> = x.values.iter().map(|x| self.factor(*x)).collect();
        for image in 0..x.n {
            for o in 0..out {
                let y = &mut values[(image * out + o) * height * width..][..height * width];
                for c in 0..channels {
                    let plane = &inputs[(image * channels + c) * x.height * x.width..]
                        [..x.height * x.width];
                    let taps = &weights[(o * channels + c) * kernel * kernel..][..kernel * kernel];
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let weight = taps[ky * kernel + kx];
                            for oy in 0..height {
                                let Some(iy) = (oy * stride + ky).checked_sub(before) else {
                                    continue;
                                };
                                if iy >= x.height {
                                    continue;
                                }
                                for ox in 0..width {
                                    let Some(ix) = (ox * stride + kx).checked_sub(before) else {
                                        continue;
                                    };
                                    if ix < x.width {
                                        y[oy * width + ox] += weight * plane[iy * x.width + ix];
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        Planes {
            n: x.n,
            channels: out,
            height,
            width,
            values,
        }
    }

    fn max_pool(&self, x: &Planes) -> Planes {
        let (height, width) = ((x.height - 1) / 2 + 1, (x.width - 1) / 2 + 1);
        let mut values = Vec::with_capacity(x.n * x.channels * height * width);
        for plane in x.values.chunks_exact(x.height * x.width) {
            for oy in 0..height {
                for ox in 0..width {
                    let rows = (2 * oy).saturating_sub(1)..(2 * oy + 2).min(x.height);
                    let columns = (2 * ox).saturating_sub(1)..(2 * ox + 2).min(x.width);
                    let window = rows.flat_map(|y| {
                        columns
                            .clone()
                            .map(move |column| plane[y * x.width + column])
                    });
                    values.push(window.fold(f64::NEG_INFINITY, f64::max));
                }
            }
        }
        Planes {
            n: x.n,
            channels: x.channels,
            height,
            width,
            values,
        }
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.values(name, "weight"), self.values(name, "bias"));
        let rows = weight.chunks_exact(x.len()).zip(bias);
        rows.map(|(row, bias)| {
            let products = row.iter().zip(x);
            let products = products.map(|(w, x)| self.factor(*w) * self.factor(*x));
            products.sum::<f64>() + bias
        })
        .collect()
    }

    /// A factor of a product: as it is, or rounded by the fault.
    fn factor(&self, value: f64) -> f64 {
        match self.fault {
            Some(Fault::Rounding(bits)) => rounded(value, bits),
            _ => value,
        }
    }

    fn values(&self, name: &str, part: &str) -> &[f64] {
        &self.model.tensor(&format!("{name}.{part}")).values
    }
}

/// Mean and variance of a channel over the batch, as batch norm takes them in training.
fn moments(y: &Planes, channel: usize) -> (f64, f64) {
    let plane = y.height * y.width;
    let count = (y.n * plane) as f64;
    let of_channel =
        || (0..y.n).flat_map(|image| &y.values[(image * y.channels + channel) * plane..][..plane]);
    let mean = of_channel().sum::<f64>() / count;
    let variance = of_channel()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance)
}

fn relu(values: &mut [f64]) {
    for value in values {
        *value = value.max(0.0);
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponents: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = exponents.iter().sum();
    exponents.iter().map(|exponent| exponent / sum).collect()
}

/// The nearest f32 with `kept` of its 23 bits after the leading one.
fn rounded(value: f64, kept: u32) -> f64 {
    let unit = 1 << (23 - kept);
    let bits = (value as f32).to_bits();
    f64::from(f32::from_bits((bits + unit / 2) & !(unit - 1)))
}
