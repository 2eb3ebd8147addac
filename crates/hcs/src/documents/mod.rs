//! The JSON documents that the Host Compute Service takes and gives.
//!
//! Plain serde types: each field has the service's own name, stands where the service's clients put it, and is left out
//! when they leave it out. Which document a request becomes is in [`lower`](crate::lower); nothing here decides
//! anything.

pub mod container;
mod json;
pub mod modify;
pub mod process;
pub mod properties;
pub mod result;
pub mod schema2;

pub use json::to_text;

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
