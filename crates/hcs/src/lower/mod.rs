//! From a request to the documents, pure: the same request gives the same texts on every platform.

mod check;
mod container;
mod endpoint;
mod network;
mod process;

pub use check::check;
pub use container::configuration;
pub use endpoint::{Endpoint, EndpointPolicy, endpoint};
pub use process::{Pipes, process_parameters};
