//! What can be wrong with a catalog's file.

/// A catalog that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// It is not JSON, or not laid out like a catalog.
    #[error("the catalog cannot be read: {why}")]
    File {
        /// What is wrong, with line and column.
        why: String,
    },
    /// One model's entry is wrong.
    #[error("{family}/{model}: {why}")]
    Entry {
        /// The family it is listed under, as the file spells it.
        family: String,
        /// The model.
        model: String,
        /// What is wrong and how to write it.
        why: String,
    },
}
