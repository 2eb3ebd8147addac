//! What is wrong with a request, before the first call is made.

use super::network;
use crate::{
    Dialect, Settings,
    request::{ContainerRequest, Mount, ProcessRequest, Refusal, Resources},
};

/// Weight and maximum of processor time.
const PROCESSOR_RANGE: (i64, i64) = (0, 10_000);

/// Checks everything that can be known to be wrong without asking the service.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(request: &ContainerRequest, settings: &Settings) -> Result<(), Refusal> {
    if request.readonly_root {
        return Err(Refusal::ReadonlyRoot);
    }
    process(&request.process, settings)?;
    if let Some(device) = &request.network {
        network::check(device)?;
    }
    for (what, text) in [
        ("the id", &request.id),
        ("the host name", &request.hostname),
        ("the root", &request.volume_path),
        ("the layer folder", &request.layer_folder),
    ] {
        no_nul(what, text)?;
    }
    for path in &request.layer_paths {
        no_nul("a layer's path", path)?;
    }
    for mount in &request.mounts {
        no_nul("a mount", &mount.source)?;
        no_nul("a mount", &mount.destination)?;
    }
    match settings.dialect {
        Dialect::Docker19 | Dialect::Docker110 | Dialect::Docker112 => Ok(()),
        Dialect::Schema1 | Dialect::Schema2 => today(request, settings),
    }
}

/// Checks a process.
pub(super) fn process(process: &ProcessRequest, settings: &Settings) -> Result<(), Refusal> {
    if process.program().is_empty() {
        return Err(Refusal::NoProgram);
    }
    let knows_users = matches!(settings.dialect, Dialect::Schema1 | Dialect::Schema2);
    if !process.user.is_empty() && !knows_users {
        return Err(Refusal::User(process.user.clone()));
    }
    for argument in &process.arguments {
        no_nul("an argument", argument)?;
    }
    for entry in &process.environment {
        no_nul("an environment variable", entry)?;
    }
    no_nul("the working directory", &process.working_directory)
}

/// Today's documents have fields for what they have no field for: silence would promise what is not kept.
fn today(request: &ContainerRequest, settings: &Settings) -> Result<(), Refusal> {
    if settings.dummy {
        return Err(Refusal::NotExpressible {
            what: "a dummy container".to_owned(),
            why: "services since Windows Server 2016 do not make any",
        });
    }
    resources(&request.resources)?;
    for mount in &request.mounts {
        complete(mount)?;
    }
    if settings.dialect == Dialect::Schema1 {
        if !request.endpoints.namespace.is_empty() {
            return Err(Refusal::NotExpressible {
                what: "a network namespace".to_owned(),
                why: "documents of schema 1 name endpoints",
            });
        }
        for device in &request.devices {
            if let crate::request::Device::Location(path) = device {
                return Err(Refusal::NotExpressible {
                    what: format!("the device at {path}"),
                    why: "documents of schema 1 name device classes",
                });
            }
        }
        return Ok(());
    }
    let only_in_schema_1 = [
        (request.hyperv.is_some(), "Hyper-V isolation"),
        (request.servicing, "a servicing run"),
        (
            !request.credentials.is_empty(),
            "a credential specification",
        ),
        (
            !request.endpoints.ids.is_empty(),
            "an endpoint without a network namespace",
        ),
        (
            request.network.is_some(),
            "a network device without a network namespace",
        ),
        (
            request.resources.storage_size != 0,
            "the size of the system drive",
        ),
    ];
    match only_in_schema_1.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Refusal::NotExpressible {
            what: (*what).to_owned(),
            why: "Hoist sends documents of schema 1 for it",
        }),
        None => Ok(()),
    }
}

fn resources(resources: &Resources) -> Result<(), Refusal> {
    let (least, most) = PROCESSOR_RANGE;
    for (what, value) in [
        ("the weight of processor time", resources.cpu_weight),
        ("the maximum of processor time", resources.cpu_maximum),
    ] {
        if !(least..=most).contains(&value) {
            return Err(Refusal::OutOfRange {
                what,
                value,
                least,
                most,
            });
        }
    }
    let limits = [
        resources.cpu_count != 0,
        resources.cpu_weight != 0,
        resources.cpu_maximum != 0,
    ];
    if limits.iter().filter(|limit| **limit).count() > 1 {
        return Err(Refusal::SeveralProcessorLimits);
    }
    Ok(())
}

fn complete(mount: &Mount) -> Result<(), Refusal> {
    let missing = match (mount.source.is_empty(), mount.destination.is_empty()) {
        (false, false) => return Ok(()),
        (true, _) => "a mount needs a source",
        (false, true) => "a mount needs a destination",
    };
    Err(Refusal::NotExpressible {
        what: format!("the mount of {:?} at {:?}", mount.source, mount.destination),
        why: missing,
    })
}

/// The service takes texts that end at the first NUL: the rest would be lost silently.
fn no_nul(what: &'static str, text: &str) -> Result<(), Refusal> {
    if text.contains('\0') {
        return Err(Refusal::Nul { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HyperV;

    fn request() -> ContainerRequest {
        ContainerRequest {
            process: ProcessRequest {
                arguments: vec!["cmd".to_owned()],
                ..ProcessRequest::default()
            },
            ..ContainerRequest::default()
        }
    }

    #[test]
    fn what_windows_cannot_do_is_refused() {
        let refused = |change: fn(&mut ContainerRequest), dialect| {
            let mut request = request();
            change(&mut request);
            let settings = Settings {
                dialect,
                ..Settings::hoist()
            };
            check(&request, &settings).unwrap_err()
        };
        use Dialect::{Docker110, Schema1, Schema2};
        assert_eq!(
            refused(|r| r.readonly_root = true, Docker110),
            Refusal::ReadonlyRoot
        );
        assert_eq!(
            refused(|r| r.process.arguments.clear(), Schema1),
            Refusal::NoProgram
        );
        assert!(matches!(
            refused(|r| r.process.user = "me".to_owned(), Docker110),
            Refusal::User(_)
        ));
        assert!(matches!(
            refused(|r| r.layer_paths = vec!["C:\\a\0b".to_owned()], Docker110),
            Refusal::Nul { .. }
        ));
        assert!(matches!(
            refused(|r| r.resources.cpu_weight = 10_001, Schema1),
            Refusal::OutOfRange { value: 10_001, .. }
        ));
        assert_eq!(
            refused(
                |r| (r.resources.cpu_weight, r.resources.cpu_count) = (1, 1),
                Schema1
            ),
            Refusal::SeveralProcessorLimits
        );
        assert!(matches!(
            refused(|r| r.hyperv = Some(HyperV::default()), Schema2),
            Refusal::NotExpressible { .. }
        ));
        assert!(matches!(
            refused(|r| r.mounts = vec![Mount::default()], Schema1),
            Refusal::NotExpressible { .. }
        ));
    }

    #[test]
    fn a_user_is_taken_where_documents_know_users() {
        let mut request = request();
        request.process.user = "ContainerUser".to_owned();
        assert_eq!(check(&request, &Settings::hoist()), Ok(()));
    }
}
