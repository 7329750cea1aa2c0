//! What drifted: image properties in words, predicted classes, clusters, exemplars, and the accuracy to expect.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `explanation` | [`Explanation`]: all of it |
//! | `properties`, `classes`, `shares` | [`PropertyChange`], [`ClassChange`], [`ShareChange`] |
//! | `exemplars` | the rows that stand for the drift |
//! | `accuracy` | [`ExpectedAccuracy`] |
//! | `doubt` | whether the baseline itself is doubtful |

mod accuracy;
mod classes;
mod doubt;
mod exemplars;
mod explanation;
mod properties;
mod shares;
mod spread;

pub use accuracy::ExpectedAccuracy;
pub use classes::ClassChange;
pub use explanation::Explanation;
pub use properties::PropertyChange;
pub use shares::ShareChange;
