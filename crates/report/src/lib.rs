//! A run as a picture and as a page, and a store as the web page that a server shows.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@chart`] | Jensen-Shannon distance by day of a run, as SVG |
//! | [`mod@page`] | a run as one self-contained HTML page that opens offline |
//! | [`site`] | the web page itself: markup, style, script, and what it may do |
//! | [`view`] | what the web page shows, as JSON |
//! | [`numbers`] | its numbers of windows and bins |
//! | [`headline`] | what the numbers say, in one sentence |
//! | [`pictures`] | [`Pictures`]: urls of rows to PNG, from where it is allowed |
//! | [`mod@store_page`] | a store as one self-contained page |

pub mod chart;
pub mod headline;
pub mod numbers;
pub mod page;
pub mod pictures;
pub mod site;
pub mod store_page;
pub mod view;

pub use chart::chart;
pub use page::page;
pub use pictures::Pictures;
pub use store_page::store_page;
