//! Tools and who decides about them.

use super::{CacheControl, Extra, Json, Opaque};

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Tool {
    /// One that the caller runs.
    Function(Function),
    /// One that the provider runs or defines: web search, code execution, MCP
    /// servers. Kept as it is and offered to the same dialect only.
    Provider(Opaque),
}

impl Tool {
    /// The name of a function; providers' tools have their own ways.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Function(function) => Some(&function.name),
            Self::Provider(_) => None,
        }
    }
}

impl From<Function> for Tool {
    fn from(function: Function) -> Self {
        Self::Function(function)
    }
}

/// A function that the model may ask the caller to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// 1 to 128 characters out of `a-z A-Z 0-9 . : _ -`; OpenAI takes 64, and
    /// only Gemini `.` and `:`.
    pub name: String,
    /// Tells the model when and how to use it.
    pub description: Option<String>,
    /// JSON Schema of the arguments, an object.
    pub parameters: Json,
    /// Whether arguments must follow the schema to the letter. `None` leaves
    /// the provider's default, which differs: OpenAI Responses is strict,
    /// OpenAI Chat is not.
    pub strict: Option<bool>,
    /// Whether a prompt cache should end here.
    pub cache: Option<CacheControl>,
    /// What is not modelled.
    pub extra: Extra,
}

impl Function {
    /// A function with its arguments' schema.
    pub fn new(name: impl Into<String>, parameters: Json) -> Self {
        let name = name.into();
        Self { name, description: None, parameters, strict: None, cache: None, extra: Extra::new() }
    }

    /// Tells the model when and how to use it.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

/// Whether the model must, may or must not call a tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named(String),
    /// Only these tools may be called, though others are defined.
    Allowed {
        /// Whether one of them must be.
        required: bool,
        /// Their names.
        names: Vec<String>,
    },
    /// A choice only one dialect has.
    Opaque(Opaque),
}
