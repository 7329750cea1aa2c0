//! What is known of a model that rows are written to.

use driftline_core::RowSchema;

use crate::catalog::Catalog;
use crate::layout::Layout;

/// What a prepared sink knows.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) layout: Layout,
    pub(crate) schema: RowSchema,
    pub(crate) catalog: Catalog,
}
