//! A run as a picture and as a page.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@chart`] | Jensen-Shannon distance by day, as SVG |
//! | [`mod@page`] | the run as one self-contained HTML page that opens offline |

pub mod chart;
pub mod page;

pub use chart::chart;
pub use page::page;
