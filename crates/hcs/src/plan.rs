//! A start as a value: the calls that it makes, with their documents, in order.
//!
//! The driver takes the documents it sends from the same plan that `hoist plan` prints.

use serde_json::{Map, Value, json};

use crate::{
    Dialect, Guid, Settings,
    lower::{self, Endpoint, Pipes},
    path,
    request::{ContainerRequest, Refusal},
};

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The export of `vmcompute.dll`.
    pub function: &'static str,
    /// Its arguments by name. A document is given parsed, under its name, and as the exact text, under its name with `_text`.
    pub arguments: Map<String, Value>,
    /// What it is for.
    pub words: String,
}

/// How a container will be made and run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    request: ContainerRequest,
    settings: Settings,
    endpoint: Option<Endpoint>,
    parameters: String,
    pipes: Pipes,
}

impl Plan {
    /// Plans `request` with a pipe for standard input or not.
    ///
    /// # Errors
    /// What Windows has no way to do; nothing was called.
    pub fn new(
        request: ContainerRequest,
        stdin: bool,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        lower::check(&request, settings)?;
        let pipes = first_pipes(&request, stdin, settings.dialect);
        let parameters = lower::process_parameters(&request.process, "", pipes, settings)?;
        let endpoint = match settings.dialect {
            Dialect::Schema1 => lower::endpoint(&request)?,
            _ => None,
        };
        Ok(Self {
            request,
            settings: settings.clone(),
            endpoint,
            parameters,
            pipes,
        })
    }

    /// What was asked for.
    pub fn request(&self) -> &ContainerRequest {
        &self.request
    }

    /// The names of which `NameToGuid` is asked: the last part of each layer's path.
    pub fn layer_names(&self) -> impl Iterator<Item = &str> {
        self.request
            .layer_paths
            .iter()
            .map(|path| path::last_part(path))
    }

    /// The endpoint to be made first, where a network device is asked for.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// The document that makes the system, for layers and endpoints of these ids.
    ///
    /// # Errors
    /// None that [`Plan::new`] has not found before.
    pub fn configuration(&self, layers: &[Guid], endpoints: &[String]) -> Result<String, Refusal> {
        lower::configuration(&self.request, layers, endpoints, &self.settings)
    }

    /// The document that makes its first process.
    pub fn process_parameters(&self) -> &str {
        &self.parameters
    }

    /// The pipes of its first process.
    pub fn pipes(&self) -> Pipes {
        self.pipes
    }

    /// Every call of a run that ends well.
    ///
    /// # Errors
    /// None that [`Plan::new`] has not found before.
    pub fn steps(&self) -> Result<Vec<Step>, Refusal> {
        let mut steps = Vec::new();
        let mut layers = Vec::new();
        for name in self.layer_names() {
            let guid = Guid::of_layer_name(name);
            steps.push(
                Step::new(
                    "NameToGuid",
                    format!("ask for the id of layer {name}: {guid}"),
                )
                .with("name", name),
            );
            layers.push(guid);
        }
        let mut endpoints = Vec::new();
        if let Some(endpoint) = &self.endpoint {
            steps.push(
                Step::new(
                    "HNSCall",
                    format!("make an endpoint on {}", endpoint.virtual_network_name),
                )
                .with("method", "POST")
                .with("path", "/endpoints/")
                .with_document("object", &document(endpoint)?),
            );
            endpoints.push(ENDPOINT_TO_COME.to_owned());
        }
        let configuration = self.configuration(&layers, &endpoints)?;
        match self.settings.dialect {
            Dialect::Docker19 | Dialect::Docker110 => self.flat_steps(&mut steps, &configuration),
            Dialect::Docker112 | Dialect::Schema1 | Dialect::Schema2 => {
                self.hcs_steps(&mut steps, &configuration);
            }
        }
        Ok(steps)
    }

    fn flat_steps(&self, steps: &mut Vec<Step>, configuration: &str) {
        let id = self.request.id.as_str();
        let step = |function, words: String| Step::new(function, words).with("id", id);
        let stop = if self.settings.force_kill {
            "TerminateComputeSystem"
        } else {
            "ShutdownComputeSystem"
        };
        steps.extend([
            step("CreateComputeSystem", format!("make the system {id}"))
                .with_document("configuration", configuration),
            step("StartComputeSystem", format!("start the system {id}")),
            step(
                "CreateProcessWithStdHandlesInComputeSystem",
                format!("start {}", self.request.process.program()),
            )
            .with_document("params", &self.parameters)
            .with("stdin", self.pipes.stdin)
            .with("stdout", self.pipes.stdout)
            .with("stderr", self.pipes.stderr),
            step(
                "WaitForProcessInComputeSystem",
                "wait until it has ended".to_owned(),
            )
            .with("timeout", u32::MAX),
            step(stop, format!("end the system {id}")).with("timeout", u32::MAX),
        ]);
    }

    fn hcs_steps(&self, steps: &mut Vec<Step>, configuration: &str) {
        let id = self.request.id.as_str();
        let (system, process) = ("system-1", "process-1");
        let of_system =
            |function, words: String| Step::new(function, words).with("computeSystem", system);
        let of_process =
            |function, words: &str| Step::new(function, words).with("process", process);
        let options = self.options();
        steps.extend([
            Step::new("HcsCreateComputeSystem", format!("make the system {id}"))
                .with("id", id)
                .with_document("configuration", configuration)
                .with("identity", false),
            of_system(
                "HcsRegisterComputeSystemCallback",
                "hear what becomes of it".to_owned(),
            ),
            of_system("HcsStartComputeSystem", format!("start the system {id}"))
                .with("options", options.clone()),
            of_system(
                "HcsCreateProcess",
                format!("start {}", self.request.process.program()),
            )
            .with_document("processParameters", &self.parameters),
            of_process("HcsRegisterProcessCallback", "hear when it ends"),
            of_process("HcsGetProcessProperties", "read its exit code"),
            Step::new("HcsUnregisterProcessCallback", "hear no more of it")
                .with("callbackHandle", "callback-2"),
            of_process("HcsCloseProcess", "let go of the process"),
        ]);
        if asks_for_updates(self.settings.dialect) && !self.request.servicing {
            steps.push(
                of_system(
                    "HcsGetComputeSystemProperties",
                    "ask whether updates wait to be installed".to_owned(),
                )
                .with_document(
                    "propertyQuery",
                    crate::documents::properties::PENDING_UPDATES_QUERY,
                ),
            );
        }
        let stop = if self.settings.force_kill {
            "HcsTerminateComputeSystem"
        } else {
            "HcsShutdownComputeSystem"
        };
        steps.extend([
            of_system(stop, format!("end the system {id}")).with("options", options),
            Step::new("HcsUnregisterComputeSystemCallback", "hear no more of it")
                .with("callbackHandle", "callback-1"),
            of_system("HcsCloseComputeSystem", "let go of the system".to_owned()),
        ]);
    }

    /// Clients of Docker 1.12's time passed no options, those of today pass empty ones.
    fn options(&self) -> Value {
        match self.settings.dialect {
            Dialect::Docker112 => Value::Null,
            _ => "".into(),
        }
    }
}

/// What stands in a printed document for the id that the host networking service gives.
const ENDPOINT_TO_COME: &str = "{id of the endpoint}";

/// Services since build 16299 no longer tell of updates.
pub(crate) fn asks_for_updates(dialect: Dialect) -> bool {
    dialect == Dialect::Docker112
}

/// The execution drivers made a pipe for standard input only where there was any; since then the process always gets one, which is
/// closed where nothing comes.
fn first_pipes(request: &ContainerRequest, stdin: bool, dialect: Dialect) -> Pipes {
    let console = request.process.console;
    match dialect {
        Dialect::Docker19 | Dialect::Docker110 => Pipes {
            stdin,
            stdout: true,
            stderr: !console,
        },
        Dialect::Docker112 => Pipes {
            stdin: !request.servicing,
            stdout: !request.servicing,
            stderr: !console && !request.servicing,
        },
        Dialect::Schema1 | Dialect::Schema2 => Pipes {
            stdin: stdin && !request.servicing,
            stdout: !request.servicing,
            stderr: !console && !request.servicing,
        },
    }
}

fn document<T: serde::Serialize>(value: &T) -> Result<String, Refusal> {
    crate::documents::to_text(value).map_err(|_| Refusal::NotExpressible {
        what: "the endpoint".to_owned(),
        why: "it has no form in JSON",
    })
}

impl Step {
    fn new(function: &'static str, words: impl Into<String>) -> Self {
        Self {
            function,
            arguments: Map::new(),
            words: words.into(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    fn with_document(self, name: &str, text: &str) -> Self {
        let parsed = serde_json::from_str(text).unwrap_or(Value::Null);
        self.with(name, parsed).with(&format!("{name}_text"), text)
    }

    /// The step as one JSON object: `function`, `arguments`, `words`.
    pub fn to_json(&self) -> Value {
        json!({
            "function": self.function,
            "arguments": self.arguments,
            "words": self.words,
        })
    }
}

#[cfg(test)]
mod tests {
    use hoist_spec::{Command, ProcessConfig};

    use super::*;

    fn functions(dialect: Dialect) -> Vec<&'static str> {
        let command = Command::new()
            .id("c1")
            .layer(r"C:\layers\4")
            .process(ProcessConfig::new("cmd"));
        let settings = Settings::docker(dialect);
        let request = ContainerRequest::from_command(&command, &settings);
        let steps = Plan::new(request, false, &settings)
            .unwrap()
            .steps()
            .unwrap();
        steps.iter().map(|step| step.function).collect()
    }

    #[test]
    fn a_plan_names_the_calls_that_were_recorded() {
        assert_eq!(
            functions(Dialect::Docker110),
            [
                "NameToGuid",
                "CreateComputeSystem",
                "StartComputeSystem",
                "CreateProcessWithStdHandlesInComputeSystem",
                "WaitForProcessInComputeSystem",
                "ShutdownComputeSystem",
            ]
        );
        assert_eq!(
            functions(Dialect::Docker112),
            [
                "NameToGuid",
                "HcsCreateComputeSystem",
                "HcsRegisterComputeSystemCallback",
                "HcsStartComputeSystem",
                "HcsCreateProcess",
                "HcsRegisterProcessCallback",
                "HcsGetProcessProperties",
                "HcsUnregisterProcessCallback",
                "HcsCloseProcess",
                "HcsGetComputeSystemProperties",
                "HcsShutdownComputeSystem",
                "HcsUnregisterComputeSystemCallback",
                "HcsCloseComputeSystem",
            ]
        );
    }
}
