//! The cases for embedding backends, as data.

use crate::case::{Case, Stop};
use crate::context::BackendContext;

mod agreement;
mod batches;
mod refusals;

/// A requirement on embedding backends.
pub type EmbeddingCase = Case<fn(&mut BackendContext<'_>) -> Result<(), Stop>>;

/// Every case for embedding backends, in the order they run.
pub const CASES: [EmbeddingCase; 23] = [
    Case::new(
        "info_is_filled_in",
        "name, engine, device, input, dim, classes and threads are those of the model and the configuration",
        refusals::info,
    ),
    Case::new(
        "oracle_width_8",
        "embeddings and scores are the oracle's, 32 x 32, base width 8",
        agreement::narrow,
    ),
    Case::new(
        "oracle_width_16_not_square",
        "embeddings and scores are the oracle's, 40 x 24, base width 16",
        agreement::wide,
    ),
    Case::new(
        "extremes",
        "black and white images give the oracle's embeddings",
        agreement::extremes,
    ),
    Case::new(
        "row_order",
        "row i belongs to image i, whatever the order of the batch",
        batches::row_order,
    ),
    Case::new(
        "single_is_batch",
        "an image alone gives what it gives in a batch",
        batches::single_is_batch,
    ),
    Case::new(
        "split_changes_nothing",
        "a batch cut into batches of 7 gives the same rows",
        batches::split,
    ),
    Case::new("empty_batch", "no image is no work", batches::empty),
    Case::new(
        "large_batches",
        "batches of 257 and 1,024 give the same rows",
        batches::large,
    ),
    Case::new(
        "every_value_is_written",
        "every embedding and score of a batch is written",
        batches::written,
    ),
    Case::new(
        "without_scores",
        "embeddings are the same when scores are not asked for",
        batches::without_scores,
    ),
    Case::new(
        "repeatable",
        "the same batch gives the same bits",
        batches::repeatable,
    ),
    Case::new(
        "threads_change_nothing",
        "one and two threads give the same bits",
        batches::threads,
    ),
    Case::new(
        "two_at_once",
        "two backends that run at the same time give the bits that one alone gives",
        batches::two_at_once,
    ),
    Case::new(
        "wrong_input_is_refused",
        "images of another size and buffers of another length are refused",
        refusals::wrong_input,
    ),
    Case::new(
        "usable_after_an_error",
        "a refused call leaves the backend as it was",
        refusals::after_error,
    ),
    Case::new(
        "not_a_number_is_refused",
        "NaN in the weights is refused by the name of the tensor",
        refusals::not_a_number,
    ),
    Case::new(
        "wrong_tensors_are_refused",
        "a missing, an extra and a misshapen tensor are refused by name",
        refusals::wrong_tensors,
    ),
    Case::new(
        "unknown_key_is_refused",
        "a model.toml with an unknown key, and one that is not there, are refused",
        refusals::unknown_key,
    ),
    Case::new(
        "drift_is_the_same",
        "Jensen-Shannon distance and PSI of shifted images agree with the oracle's, and so does the verdict",
        agreement::drift,
    ),
    Case {
        needs: Some("PyTorch's answers for real weights"),
        ..Case::new(
            "pytorch_golden",
            "embeddings and scores of 256 real images are PyTorch's in float64",
            agreement::pytorch,
        )
    },
    Case {
        needs: Some("images of 224 x 224"),
        ..Case::new(
            "large_images",
            "embeddings and scores are the oracle's, 224 x 224",
            agreement::large_images,
        )
    },
    Case {
        needs: Some("a CUDA device"),
        ..Case::new(
            "cuda",
            "embeddings and scores are the oracle's on the first CUDA device, which the backend says it uses",
            agreement::cuda,
        )
    },
];
