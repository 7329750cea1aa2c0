//! Faults of backends: the suite must catch every one.

/// What can be wrong with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The rows of a batch come back in another order.
    RowOrder,
    /// The embedding is taken after the ReLU.
    ReluApplied,
    /// The mean is not subtracted from the input.
    MissingMean,
    /// Channels are read as blue, green, red.
    Bgr,
    /// All the padding lies before the image.
    PaddingOffByOne,
    /// Batch norm normalises by the batch.
    BatchNormTraining,
    /// The last row of a batch is not written.
    UnwrittenRow,
    /// Products round their factors to so many bits after the leading one: 10 are TF32 and float16, 7 bfloat16.
    Rounding(u32),
}

impl Fault {
    /// All of them, with the name of the case that is meant to catch each.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::RowOrder, "row_order"),
        (Self::ReluApplied, "oracle_width_8"),
        (Self::MissingMean, "oracle_width_8"),
        (Self::Bgr, "oracle_width_8"),
        (Self::PaddingOffByOne, "oracle_width_16_not_square"),
        (Self::BatchNormTraining, "single_is_batch"),
        (Self::UnwrittenRow, "every_value_is_written"),
        (Self::Rounding(10), "oracle_width_8"),
    ];
}
