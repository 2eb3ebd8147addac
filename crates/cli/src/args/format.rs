//! `--format`, which several commands have alike.

use std::marker::PhantomData;

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::format::{ListFormat, Listed, ReportFormat, inspect_format, list_format, report_help};

/// How a list of `L` is written.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct ListOptions<L: Listed> {
    /// How to write the list: table, json or a template
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = list_format(),
        hide_possible_values = true,
        default_value = "table",
        long_help = L::FIELDS.help()
    )]
    pub format: ListFormat,
    #[arg(skip)]
    of: PhantomData<L>,
}

impl<L: Listed> ListOptions<L> {
    /// The list as it is asked for; each of `things` is an object with the fields of `L`.
    pub(crate) fn write(&self, things: &[Value]) -> Result<String, Failure> {
        L::FIELDS.write(&self.format, things)
    }
}

/// How all that is known is written.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct InspectOptions {
    /// How to write it: json or a template ({{.Id}})
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_parser = inspect_format(),
        hide_possible_values = true,
        default_value = "json",
        long_help = report_help("json", "one thing after the other, as JSON has it")
    )]
    pub format: ReportFormat,
}
