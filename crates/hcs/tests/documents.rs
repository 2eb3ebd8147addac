//! Whole documents of today: what an OCI spec with everything in it becomes, letter for letter (fields in the order of the service's own
//! clients), and the utility VM of Hyper-V isolation by schema 2.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails"
)]

use std::collections::BTreeMap;

use hoist_hcs::{
    Dialect, Guid, Settings,
    documents::schema2::{
        Attachment, BootEntry, Chipset, ComputeSystem, ComputeTopology, Container, Devices,
        GuestOs, HostedSystem, HvSocket, HvSocketConfig, RegistryChanges, RegistryKey,
        RegistryValue, SCHEMA_2_1, ScsiController, Storage, Uefi, VirtualMachine,
        VirtualMachineMemory, VirtualMachineProcessor, VirtualSmb, VirtualSmbShare,
        VirtualSmbShareOptions,
    },
    lower,
    request::ContainerRequest,
};
use hoist_spec::oci::Spec;
use serde_json::{Value, json};

/// A spec with these differences: members of the `windows` section, and those that go.
fn spec(windows: &Value) -> Spec {
    let mut section = json!({
        "layerFolders": ["D:\\eng\\layers\\4", "D:\\eng\\layers\\1", "D:\\eng\\layers\\c1f0"],
        "ignoreFlushesDuringBoot": true,
        "resources": {
            "memory": {"limit": 536_870_912},
            "cpu": {"maximum": 2500},
            "storage": {"iops": 2000, "bps": 1_048_576},
        },
        "network": {
            "allowUnqualifiedDNSQuery": true,
            "DNSSearchList": ["corp.example", "lab.example"],
        },
    });
    merge(&mut section, windows);
    let spec = json!({
        "ociVersion": "1.2.0",
        "process": {"args": ["cmd"], "cwd": "C:\\", "user": {"uid": 0, "gid": 0}},
        "hostname": "web-1",
        "root": {"path": "\\\\?\\Volume{0b1c2d3e-0000-4000-8000-00000000abcd}\\"},
        "mounts": [
            {"source": "D:\\data", "destination": "C:\\data", "options": ["ro"]},
            {"source": "\\\\.\\pipe\\broker", "destination": "\\\\.\\pipe\\broker"},
        ],
        "windows": section,
    });
    serde_json::from_value(spec).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn document(spec: &Spec, dialect: Dialect) -> Result<String, String> {
    let settings = Settings {
        dialect,
        ..Settings::hoist()
    };
    let request = ContainerRequest::from_spec("c1f0", spec).unwrap();
    let layers = ["4", "1"].map(Guid::of_layer_name);
    lower::configuration(&request, &layers, &[], &settings).map_err(|refusal| refusal.to_string())
}

const LAYERS: [&str; 2] = [
    "{\"ID\":\"bd9c3ef9-f239-59b5-a27e-15c523b1d149\",\"Path\":\"D:\\\\eng\\\\layers\\\\4\"}",
    "{\"ID\":\"65ed1907-894d-50ff-bdcb-cc63fb515966\",\"Path\":\"D:\\\\eng\\\\layers\\\\1\"}",
];

#[test]
fn everything_that_schema_1_knows_is_sent_in_its_order_and_spelling() {
    let more = json!({
        "credentialSpec": {"CmsPlugins": ["ActiveDirectory"]},
        "devices": [{"id": "5B45201D-F2F2-4F3B-85BB-30FF1F953599", "idType": "class"}],
        "servicing": true,
        "resources": {"storage": {"sandboxSize": 21_474_836_480_u64}},
        "network": {
            "endpointList": ["7c1e0e52-6d7e-4c0e-9d57-1a2b3c4d5e6f"],
            "networkSharedContainerName": "c0",
        },
    });
    let layers = LAYERS.join(",");
    let rest = concat!(
        r#""Credentials":"{\"CmsPlugins\":[\"ActiveDirectory\"]}","ProcessorMaximum":2500,"StorageIOPSMaximum":2000,"#,
        r#""StorageBandwidthMaximum":1048576,"StorageSandboxSize":21474836480,"MemoryMaximumInMB":512,"HostName":"web-1","#,
        r#""MappedDirectories":[{"HostPath":"D:\\data","ContainerPath":"C:\\data","ReadOnly":true,"BandwidthMaximum":0,"#,
        r#""IOPSMaximum":0,"CreateInUtilityVM":false}],"MappedPipes":[{"HostPath":"\\\\.\\pipe\\broker","ContainerPipeName":"broker"}],"#,
        r#""HvPartition":false,"NetworkSharedContainerName":"c0","EndpointList":["7c1e0e52-6d7e-4c0e-9d57-1a2b3c4d5e6f"],"#,
        r#""Servicing":true,"AllowUnqualifiedDNSQuery":true,"DNSSearchList":"corp.example,lab.example","#,
        r#""AssignedDevices":[{"InterfaceClassGuid":"5B45201D-F2F2-4F3B-85BB-30FF1F953599"}]}"#,
    );
    let begin = concat!(
        r#"{"SystemType":"Container","Name":"c1f0","Owner":"hoist","VolumePath":"\\\\?\\Volume{0b1c2d3e-0000-4000-8000-00000000abcd}","#,
        r#""IgnoreFlushesDuringBoot":true,"LayerFolderPath":"D:\\eng\\layers\\c1f0","#,
    );
    assert_eq!(
        document(&spec(&more), Dialect::Schema1).unwrap(),
        format!("{begin}\"Layers\":[{layers}],{rest}")
    );
}

#[test]
fn hyper_v_isolation_by_schema_1_has_a_utility_vm_and_no_volume() {
    // Read from a bundle it may also be `utilityVMPath`, as the OCI runtime spec has it.
    let more = json!({"hyperv": {"utilityVmPath": "D:\\eng\\layers\\1\\UtilityVM"}});
    let text = document(&spec(&more), Dialect::Schema1).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["HvPartition"], true);
    let image = json!({"ImagePath": "D:\\eng\\layers\\1\\UtilityVM"});
    assert_eq!(document["HvRuntime"], image);
    assert_eq!(document.get("VolumePath"), None);
}

#[test]
fn everything_that_schema_2_knows_is_sent_in_its_order_and_spelling() {
    let more = json!({
        "devices": [
            {"id": "5B45201D-F2F2-4F3B-85BB-30FF1F953599", "idType": "class"},
            {"id": "PCIROOT(0)#PCI(0100)", "idType": "vpci-location-path"},
        ],
        "network": {"networkNamespace": "3f9d0a51-2f7b-4a53-8d0e-6b5a4c3d2e1f"},
    });
    let layers = LAYERS
        .map(|layer| layer.replace("\"ID\"", "\"Id\""))
        .join(",");
    let begin = r#"{"Owner":"hoist","SchemaVersion":{"Major":2,"Minor":1},"Container":{"GuestOs":{"HostName":"web-1"},"Storage":"#;
    let rest = concat!(
        r#""Path":"\\\\?\\Volume{0b1c2d3e-0000-4000-8000-00000000abcd}\\","QoS":{"IopsMaximum":2000,"BandwidthMaximum":1048576}},"#,
        r#""MappedDirectories":[{"HostPath":"D:\\data","ContainerPath":"C:\\data","ReadOnly":true}],"#,
        r#""MappedPipes":[{"ContainerPipeName":"broker","HostPath":"\\\\.\\pipe\\broker"}],"Memory":{"SizeInMB":512},"#,
        r#""Processor":{"Maximum":2500},"Networking":{"AllowUnqualifiedDnsQuery":true,"DnsSearchList":"corp.example,lab.example","#,
        r#""Namespace":"3f9d0a51-2f7b-4a53-8d0e-6b5a4c3d2e1f"},"RegistryChanges":{"AddValues":[{"Key":{"Hive":"System","#,
        r#""Name":"ControlSet001\\Control"},"Name":"WaitToKillServiceTimeout","Type":"String","StringValue":"2147483647"}]},"#,
        r#""AssignedDevices":[{"InterfaceClassGuid":"5B45201D-F2F2-4F3B-85BB-30FF1F953599"},{"Type":"DeviceInstance","#,
        r#""LocationPath":"PCIROOT(0)#PCI(0100)"}]},"ShouldTerminateOnLastHandleClosed":true}"#,
    );
    assert_eq!(
        document(&spec(&more), Dialect::Schema2).unwrap(),
        format!("{begin}{{\"Layers\":[{layers}],{rest}")
    );
}

#[test]
fn what_a_schema_has_no_field_for_is_refused_by_name() {
    let location = json!({"devices": [{"id": "PCIROOT(0)", "idType": "vpci-location-path"}]});
    let namespace = json!({"network": {"networkNamespace": "3f9d0a51"}});
    let both = json!({"resources": {"cpu": {"shares": 500}}});
    for (more, dialect, word) in [
        (&location, Dialect::Schema1, "PCIROOT(0)"),
        (&namespace, Dialect::Schema1, "network namespace"),
        (&json!({"hyperv": {}}), Dialect::Schema2, "Hyper-V"),
        (&json!({"servicing": true}), Dialect::Schema2, "servicing"),
        (
            &json!({"credentialSpec": {"a": 1}}),
            Dialect::Schema2,
            "credential",
        ),
        (
            &json!({"network": {"endpointList": ["e"]}}),
            Dialect::Schema2,
            "endpoint",
        ),
        (
            &json!({"resources": {"storage": {"sandboxSize": 1}}}),
            Dialect::Schema2,
            "system drive",
        ),
        (&both, Dialect::Schema1, "processor"),
        (&both, Dialect::Schema2, "processor"),
    ] {
        let refused = document(&spec(more), dialect).unwrap_err();
        assert!(refused.contains(word), "{refused}");
    }
}

fn system(owner: &str) -> ComputeSystem {
    ComputeSystem {
        owner: owner.to_owned(),
        schema_version: SCHEMA_2_1,
        hosting_system_id: String::new(),
        hosted_system: None,
        container: None,
        virtual_machine: None,
        should_terminate_on_last_handle_closed: true,
    }
}

/// The example of the reference, "UVM document".
#[test]
fn a_utility_vm_is_described_as_the_service_s_clients_describe_it() {
    let share = VirtualSmbShare {
        name: "os".to_owned(),
        path: r"D:\eng\layers\1\UtilityVM\Files".to_owned(),
        options: VirtualSmbShareOptions {
            read_only: true,
            share_read: true,
            cache_io: true,
            pseudo_oplocks: true,
            take_backup_privilege: true,
        },
    };
    let disk = Attachment {
        kind: "VirtualDisk",
        path: r"D:\eng\layers\c2\vm\sandbox.vhdx".to_owned(),
    };
    let controller = ScsiController {
        attachments: BTreeMap::from([("0".to_owned(), disk)]),
    };
    let machine = VirtualMachine {
        stop_on_reset: true,
        chipset: Chipset {
            uefi: Uefi {
                boot_this: BootEntry {
                    device_type: "VmbFs",
                    device_path: r"\EFI\Microsoft\Boot\bootmgfw.efi",
                },
            },
        },
        compute_topology: ComputeTopology {
            memory: VirtualMachineMemory {
                size_in_mb: 1024,
                allow_overcommit: true,
                enable_hot_hint: true,
            },
            processor: VirtualMachineProcessor { count: 2 },
        },
        registry_changes: RegistryChanges {
            add_values: vec![RegistryValue {
                key: RegistryKey {
                    hive: "System",
                    name: r"CurrentControlSet\Services\gns",
                },
                name: "EnableCompartmentNamespace",
                kind: "DWord",
                string_value: "",
                dword_value: 1,
            }],
        },
        devices: Devices {
            hv_socket: HvSocket {
                hv_socket_config: HvSocketConfig {
                    default_bind_security_descriptor: "D:P(A;;FA;;;SY)(A;;FA;;;BA)",
                },
            },
            virtual_smb: VirtualSmb {
                direct_file_mapping_in_mb: 1024,
                shares: vec![share],
            },
            scsi: BTreeMap::from([(
                "df6d0690-79e5-55b6-a5ec-c1e2f77f580a".to_owned(),
                controller,
            )]),
        },
    };
    let document = serde_json::to_value(ComputeSystem {
        virtual_machine: Some(machine),
        ..system("engine")
    });
    let expected = json!({
        "Owner": "engine", "SchemaVersion": {"Major": 2, "Minor": 1}, "ShouldTerminateOnLastHandleClosed": true,
        "VirtualMachine": {
            "StopOnReset": true,
            "Chipset": {"Uefi": {"BootThis": {"DeviceType": "VmbFs", "DevicePath": "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"}}},
            "ComputeTopology": {
                "Memory": {"SizeInMB": 1024, "AllowOvercommit": true, "EnableHotHint": true}, "Processor": {"Count": 2},
            },
            "RegistryChanges": {"AddValues": [{
                "Key": {"Hive": "System", "Name": "CurrentControlSet\\Services\\gns"},
                "Name": "EnableCompartmentNamespace", "Type": "DWord", "DWordValue": 1,
            }]},
            "Devices": {
                "HvSocket": {"HvSocketConfig": {"DefaultBindSecurityDescriptor": "D:P(A;;FA;;;SY)(A;;FA;;;BA)"}},
                "VirtualSmb": {"DirectFileMappingInMB": 1024, "Shares": [{
                    "Name": "os", "Path": "D:\\eng\\layers\\1\\UtilityVM\\Files",
                    "Options": {
                        "ReadOnly": true, "ShareRead": true, "CacheIo": true, "PseudoOplocks": true, "TakeBackupPrivilege": true,
                    },
                }]},
                "Scsi": {"df6d0690-79e5-55b6-a5ec-c1e2f77f580a": {"Attachments": {
                    "0": {"Type": "VirtualDisk", "Path": "D:\\eng\\layers\\c2\\vm\\sandbox.vhdx"},
                }}},
            },
        },
    });
    assert_eq!(document.unwrap(), expected);
}

#[test]
fn a_container_in_a_utility_vm_names_its_host() {
    let container = Container {
        guest_os: Some(GuestOs {
            host_name: "web-1".to_owned(),
        }),
        storage: Storage::default(),
        ..Container::default()
    };
    let document = serde_json::to_value(ComputeSystem {
        hosting_system_id: "c1f0@vm".to_owned(),
        hosted_system: Some(HostedSystem {
            schema_version: SCHEMA_2_1,
            container,
        }),
        ..system("hoist")
    });
    let expected = json!({
        "Owner": "hoist", "SchemaVersion": {"Major": 2, "Minor": 1}, "ShouldTerminateOnLastHandleClosed": true,
        "HostingSystemId": "c1f0@vm",
        "HostedSystem": {
            "SchemaVersion": {"Major": 2, "Minor": 1},
            "Container": {"GuestOs": {"HostName": "web-1"}, "Storage": {}},
        },
    });
    assert_eq!(document.unwrap(), expected);
}
