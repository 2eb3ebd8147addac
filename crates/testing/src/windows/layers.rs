//! Layers of a real Windows image for the tests on the real service.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

/// The variable that asks for the real service.
const REAL: &str = "HOIST_TEST_REAL_HCS";
/// The variable that names the containers' own layer folders.
const FOLDERS: &str = "HOIST_TEST_HCS_LAYER_FOLDERS";
/// The variable that names their volumes.
const VOLUMES: &str = "HOIST_TEST_HCS_VOLUMES";
/// The file in a layer folder that lists its parents, the base last.
const CHAIN: &str = "layerchain.json";
/// Where a container finds the folder with the tests' program.
pub(super) const INSIDE: &str = "C:/hoist-test";

/// A container's own layer and what is below it.
#[derive(Debug)]
struct Layer {
    folder: String,
    parents: Vec<String>,
    /// Where it is mounted; without one the container is isolated by Hyper-V, which mounts it itself.
    volume: Option<String>,
}

/// The layers that containers get in turn.
#[derive(Debug)]
pub struct Layers {
    list: Vec<Layer>,
    next: AtomicUsize,
}

impl Layers {
    /// Whether `HOIST_TEST_REAL_HCS=1` asks for the real service instead of the double.
    pub fn are_asked_for() -> bool {
        env::var_os(REAL).is_some_and(|value| value == "1")
    }

    /// Those that the environment names.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn of_the_environment() -> Result<Self, String> {
        let list = |name| {
            env::var(name)
                .ok()
                .map(|value| value.split(';').map(str::to_owned).collect::<Vec<_>>())
                .filter(|list| list.iter().all(|part| !part.is_empty()))
        };
        let folders = list(FOLDERS).ok_or_else(|| {
            format!(
                "{REAL}=1 needs {FOLDERS}: folders of prepared container layers with a {CHAIN} in each, with ; between them \
                 (docs/windows.md says how to make some)"
            )
        })?;
        let volumes = list(VOLUMES);
        Self::new(&folders, volumes.as_deref())
    }

    fn new(folders: &[String], volumes: Option<&[String]>) -> Result<Self, String> {
        if volumes.is_some_and(|volumes| volumes.len() != folders.len()) {
            return Err(format!(
                "{VOLUMES} must name one volume for each folder of {FOLDERS}"
            ));
        }
        let list = folders.iter().enumerate().map(|(number, folder)| {
            let volume = volumes.and_then(|volumes| volumes.get(number).cloned());
            Layer::read(folder, volume)
        });
        Ok(Self {
            list: list.collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Puts the next of them and the folder `program` into a spec.
    pub(super) fn give(&self, oci: &mut Value, program: &Path) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let layer = &self.list[number % self.list.len()];
        let mut folders = layer.parents.clone();
        folders.push(layer.folder.clone());
        oci["windows"]["layerFolders"] = json!(folders);
        oci["mounts"] = json!([{
            "source": program,
            "destination": INSIDE.replace('/', "\\"),
        }]);
        let volume = layer.volume.clone().unwrap_or_default();
        if layer.volume.is_none() {
            oci["windows"]["hyperv"] = json!({});
        }
        oci["root"] = json!({"path": volume});
        volume.into()
    }
}

impl Layer {
    fn read(folder: &str, volume: Option<String>) -> Result<Self, String> {
        let chain = Path::new(folder).join(CHAIN);
        let parents = fs::read_to_string(&chain)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}, of {FOLDERS}: {error}", chain.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            parents,
            volume,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(chain: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        if let Some(chain) = chain {
            fs::write(folder.path().join(CHAIN), chain).unwrap();
        }
        folder
    }

    #[test]
    fn layers_are_given_in_turn_with_their_parents_and_the_tests_program() {
        let (one, two) = (
            folder(Some(r#"["p1","base"]"#)),
            folder(Some(r#"["base"]"#)),
        );
        let folders: Vec<String> = [&one, &two]
            .iter()
            .map(|folder| folder.path().to_string_lossy().into_owned())
            .collect();
        let volumes = [r"\\?\Volume{1}\".to_owned(), r"\\?\Volume{2}\".to_owned()];
        let layers = Layers::new(&folders, Some(&volumes)).unwrap();
        for number in [0, 1, 0] {
            let mut oci = json!({"windows": {}});
            let root = layers.give(&mut oci, Path::new("program"));
            assert_eq!(root, Path::new(&volumes[number]));
            let given = oci["windows"]["layerFolders"].as_array().unwrap();
            assert_eq!(given.last().unwrap(), &json!(folders[number]));
            assert_eq!(given.len(), 3 - number);
            assert_eq!(oci["mounts"][0]["destination"], r"C:\hoist-test");
            assert!(oci["windows"]["hyperv"].is_null());
        }
        let layers = Layers::new(&folders, None).unwrap();
        let mut oci = json!({"windows": {}});
        assert_eq!(layers.give(&mut oci, Path::new("program")), Path::new(""));
        assert!(oci["windows"]["hyperv"].is_object());
    }

    #[test]
    fn what_is_missing_is_named() {
        let bare = folder(None);
        let folders = [bare.path().to_string_lossy().into_owned()];
        let error = Layers::new(&folders, None).unwrap_err();
        assert!(error.contains(CHAIN) && error.contains(FOLDERS), "{error}");
        let error = Layers::new(&folders, Some(&[])).unwrap_err();
        assert!(error.contains(VOLUMES), "{error}");
        let damaged = folder(Some("{"));
        assert!(Layers::new(&[damaged.path().to_string_lossy().into_owned()], None).is_err());
    }
}
