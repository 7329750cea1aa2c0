//! The store behind an API that Fiddler's clients speak, and a web page.
