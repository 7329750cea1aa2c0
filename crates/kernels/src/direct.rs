//! Convolution as products of the input itself: output positions that see the same taps make one product.

use std::collections::{BTreeMap, BTreeSet};

use driftline_core::Result;

use crate::gather::Gather;
use crate::kernel::Kernels;
use crate::plane::{Plane, Planes, Window};
use crate::product::{Finish, Product, ROWS_BEYOND, Segment};
use crate::resnet18::Conv;
use crate::team::Share;
use crate::weight::Weight;

/// A convolution without padding in its products.
pub(crate) struct Direct {
    classes: Vec<Class>,
    /// One for all classes, or for gathered rows one for each.
    weights: Vec<Weight>,
    columns: usize,
    /// Values of gathered rows, for loops that need them side by side.
    pub(crate) gathered: usize,
}

/// Output positions that see the same taps.
struct Class {
    /// The values of a row, on the input.
    segments: Vec<Segment>,
    /// For each image and position, where the first tap lies on the input.
    input_rows: Vec<u32>,
    /// For each image and position, where the result belongs.
    output_rows: Vec<u32>,
    /// Positions in one image.
    positions: usize,
    /// Index of its weights.
    weight: usize,
    gathered: Option<Gathered>,
}

/// Rows of a class in memory of their own.
struct Gathered {
    /// Where the rows start.
    start: usize,
    rows: Vec<u32>,
    segment: [Segment; 1],
}

impl Direct {
    pub(crate) fn new(
        conv: Conv<'_>,
        input: Plane,
        output: Plane,
        images: usize,
        kernels: &Kernels,
    ) -> Result<Self> {
        let window = Window::of(conv);
        // Lines of taps on the plane, as [line, first tap, taps], for the positions that have them.
        let mut lines: BTreeMap<Vec<[usize; 3]>, Vec<(u32, u32)>> = BTreeMap::new();
        for (y, x) in output.positions() {
            let (rows, top) = window.on(y, input.height);
            let (columns, left) = window.on(x, input.width);
            let taps = rows.clone().map(|row| {
                let tap = row * window.size + columns.start;
                [row - rows.start, tap, columns.len()]
            });
            lines
                .entry(taps.collect())
                .or_default()
                .push((input.at(top, left), output.at(y, x)));
        }
        let of = |taps: &[usize]| weight(conv, taps, input.channels, output.channels, kernels);
        let taps = |lines: &[[usize; 3]]| -> Vec<usize> {
            let taps = lines.iter().flat_map(|[_, tap, taps]| *tap..tap + taps);
            taps.collect()
        };
        let all: BTreeSet<usize> = lines.keys().flat_map(|lines| taps(lines)).collect();
        let all = Vec::from_iter(all);
        let mut weights = Vec::new();
        if kernels.gather.is_none() {
            weights.push(of(&all)?);
        }
        let mut gathered = 0;
        let mut classes = Vec::new();
        for (lines, positions) in lines {
            if kernels.gather.is_some() {
                weights.push(of(&taps(&lines))?);
            }
            let weight = weights.len() - 1;
            let depth = weights[weight].depth;
            let rows = |of: fn(&(u32, u32)) -> u32, plane: Plane| -> Vec<u32> {
                (0..images)
                    .flat_map(|image| {
                        let start = (image * plane.values()) as u32;
                        positions.iter().map(move |position| start + of(position))
                    })
                    .collect()
            };
            let class = Class {
                segments: lines
                    .iter()
                    .map(|[line, tap, taps]| Segment {
                        input: (line * input.width * input.channels) as u32,
                        weight: (all.partition_point(|other| other < tap) * input.channels) as u32,
                        depth: (taps * input.channels) as u32,
                    })
                    .collect(),
                input_rows: rows(|at| at.0, input),
                output_rows: rows(|at| at.1, output),
                positions: positions.len(),
                weight,
                gathered: kernels.gather.map(|_| Gathered {
                    start: gathered,
                    rows: (0..images * positions.len())
                        .map(|row| (row * depth) as u32)
                        .collect(),
                    segment: [Segment::whole(depth)],
                }),
            };
            if class.gathered.is_some() {
                gathered += images * positions.len() * depth;
            }
            classes.push(class);
        }
        let beyond = weights
            .iter()
            .map(|weight| ROWS_BEYOND * weight.depth)
            .max();
        gathered += beyond.filter(|_| gathered > 0).unwrap_or(0);
        Ok(Self {
            classes,
            weights,
            columns: output.channels,
            gathered,
        })
    }

    /// Convolves `images` images. As unsafe as the run of a convolution; `memory` has room
    /// for the gathered rows.
    pub(crate) unsafe fn run(
        &self,
        kernels: &Kernels,
        planes: Planes,
        memory: [*mut f32; 2],
        images: usize,
        finish: Finish,
        share: &Share<'_>,
    ) {
        // A row has all channels, those of other workers too.
        share.wait();
        let memory = memory[share.turn()];
        // SAFETY: rows lie inside the planes and the memory, segments inside the weights.
        unsafe {
            if let Some(gather) = kernels.gather {
                for class in &self.classes {
                    if let Some(gathered) = &class.gathered {
                        let rows = share.part(images * class.positions);
                        gather(&Gather {
                            input: planes.input,
                            input_rows: &class.input_rows[rows.clone()],
                            segments: &class.segments,
                            output: memory.cast::<u16>().add(gathered.start),
                            output_rows: &gathered.rows[rows],
                            depth: self.weights[class.weight].depth,
                        });
                    }
                }
                share.wait();
            }
            for class in &self.classes {
                let rows = images * class.positions;
                let weight = &self.weights[class.weight];
                let (input, input_rows, segments) = match &class.gathered {
                    Some(gathered) => {
                        let start = memory.cast::<u16>().add(gathered.start);
                        (
                            start.cast_const().cast(),
                            &gathered.rows,
                            &gathered.segment[..],
                        )
                    }
                    None => (planes.input, &class.input_rows, &class.segments[..]),
                };
                (kernels.product)(&Product {
                    input,
                    input_rows: &input_rows[..rows],
                    segments,
                    weight: weight.start(0),
                    depth: weight.depth,
                    output: planes.output,
                    output_rows: &class.output_rows[..rows],
                    panels: kernels.panels(self.columns, share),
                    columns: self.columns,
                    finish,
                });
            }
        }
    }
}

/// The weights of `taps`, each with all channels.
fn weight(
    conv: Conv<'_>,
    taps: &[usize],
    channels: usize,
    columns: usize,
    kernels: &Kernels,
) -> Result<Weight> {
    let depth = kernels.deep(taps.len() * channels);
    let mut matrix = vec![0.0; depth * columns];
    let of_filter = conv.kernel * conv.kernel;
    for (place, tap) in taps.iter().enumerate() {
        for channel in 0..conv.in_channels {
            let row = &mut matrix[(place * channels + channel) * columns..][..columns];
            for (out, to) in row.iter_mut().enumerate().take(conv.out_channels) {
                *to = conv.weight[(out * conv.in_channels + channel) * of_filter + tap];
            }
        }
    }
    Weight::new(&[matrix], columns, kernels)
}
