//! What is known of models: what they can do, and what they cost.
//!
//! A provider's API does not say whether a model takes images or what a token
//! costs, so both are written down, in one dated file with its sources:
//! `data/models.json`. It is a help, not an authority:
//!
//! - **Absent is unknown, and unknown is possible.** A model that is not in
//!   the file is assumed to be able to do everything; the provider's own error
//!   corrects that. Only what is listed as refused should keep a request back.
//! - **No price is better than a wrong one.** What could not be sourced has no
//!   price, and its cost is unknown, never 0.
//! - **A caller knows better.** [`Catalog::overlaid`] and [`PriceTable::with`]
//!   replace entries; a caller's file has the same format as ours.
//!
//! # Names
//!
//! A model is looked up under the name it is sent with. First the name as it
//! is, then without what hosts put before it (`models/`, `anthropic/`,
//! `publishers/google/models/`, `us.anthropic.`), then without what versions
//! put behind it (`-20250929`, `-2025-04-14`, `@20250929`, `-latest`,
//! `-preview-05-20`, `-v1:0`). What is left has to be a known name letter by
//! letter: `gpt-4.1-mini` is found as itself, and `gpt-4.1-foo` not at all.
//! A vendor in the name (`anthropic/...`) counts for more than the family of
//! the API it is sent to.
//!
//! Where a name says that somebody else sells the model on terms of their own
//! (a Bedrock region, a fine-tuned model), it has the model's capabilities and
//! no price. Bedrock's `global.` costs what the vendor asks.
//!
//! # What a price leaves out
//!
//! Everything that is not a token: searches, storage of caches, code run on
//! the provider's side. Surcharges for a region. Images in the output, and the
//! difference between cached audio and cached text (both are `cache_read`).

mod capability;
mod cost;
mod date;
mod error;
mod file;
mod fit;
mod names;
mod price;
mod rates;
mod table;

pub use capability::{Answer, Capabilities, Control, Feature, ReasoningSupport};
pub use cost::{Amount, Cost, NanoDollars, Unpriced};
pub use date::{Date, DateError};
pub use error::CatalogError;
pub use price::{Price, Ratio, RatioError, Service};
pub use rates::{Bucket, Rate, Rates};
pub use table::{Catalog, PriceTable};
