//! The exports.

#![allow(
    unsafe_code,
    clippy::missing_safety_doc,
    non_snake_case,
    reason = "the exports have the names and raw parameters of vmcompute.dll"
)]

use std::{ffi::c_void, os::windows::io::IntoRawHandle};

use serde_json::json;
use windows_sys::Win32::System::Com::CoTaskMemAlloc;

use crate::{
    documents,
    state::{Callback, Process, System, end, notify, start, state, watch},
};

const OK: i32 = 0;
const PENDING: i32 = 0xC037_0103_u32.cast_signed();
const INVALID_JSON: i32 = 0xC037_010D_u32.cast_signed();
const NOT_FOUND: i32 = 0xC037_010E_u32.cast_signed();
const EXISTS: i32 = 0xC037_010F_u32.cast_signed();
const STOPPED: i32 = 0xC037_0110_u32.cast_signed();
const GONE: i32 = 0x8007_0490_u32.cast_signed();

type Notify = extern "system" fn(u32, *const c_void, i32, *const u16) -> i32;

/// A text that the caller gave.
fn text(pointer: *const u16) -> String {
    if pointer.is_null() {
        return String::new();
    }
    let mut units = Vec::new();
    // SAFETY: the caller's texts end with NUL.
    while let unit @ 1.. = unsafe { *pointer.add(units.len()) } {
        units.push(unit);
    }
    String::from_utf16_lossy(&units)
}

/// Puts a text where the caller wants it, for the caller to free.
fn put(place: *mut *mut u16, words: &str) {
    if place.is_null() {
        return;
    }
    let units: Vec<u16> = words.encode_utf16().chain([0]).collect();
    // SAFETY: the memory holds the units, and the place is the caller's.
    unsafe {
        let memory = CoTaskMemAlloc(units.len() * 2).cast::<u16>();
        if !memory.is_null() {
            std::ptr::copy_nonoverlapping(units.as_ptr(), memory, units.len());
        }
        *place = memory;
    }
}

fn explain(place: *mut *mut u16, code: i32, words: &str) -> i32 {
    put(
        place,
        &json!({"Error": code, "ErrorMessage": words}).to_string(),
    );
    code
}

fn set<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the place is the caller's.
        unsafe { *place = value };
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsCreateComputeSystem(
    id: *const u16,
    configuration: *const u16,
    _identity: *mut c_void,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let id = text(id);
    let document = match documents::Container::read(&text(configuration)) {
        Ok(document) => document,
        Err(words) => return explain(result, INVALID_JSON, &words),
    };
    if document.name != id {
        return explain(result, INVALID_JSON, "Name is not the id");
    }
    let mut state = state();
    if state
        .systems
        .values()
        .any(|system| system.alive && system.id == id)
    {
        return explain(result, EXISTS, "the id is in use");
    }
    let handle = state.number();
    state.systems.insert(
        handle,
        System {
            id,
            owner: document.owner,
            alive: true,
            callback: None,
        },
    );
    set(place, handle);
    PENDING
}

#[unsafe(no_mangle)]
extern "system" fn HcsOpenComputeSystem(
    id: *const u16,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let id = text(id);
    let state = state();
    let found = state
        .systems
        .iter()
        .find(|(_, system)| system.alive && system.id == id);
    match found {
        Some((handle, _)) => {
            set(place, *handle);
            OK
        }
        None => explain(result, NOT_FOUND, "no such system"),
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsCloseComputeSystem(system: usize) -> i32 {
    let mut state = state();
    match state.systems.get_mut(&system) {
        Some(known) => {
            known.callback = None;
            if !known.alive {
                state.systems.remove(&system);
            }
            OK
        }
        None => GONE,
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsRegisterComputeSystemCallback(
    system: usize,
    function: Notify,
    context: *const c_void,
    place: *mut usize,
) -> i32 {
    let mut state = state();
    let handle = state.number();
    let Some(known) = state.systems.get_mut(&system) else {
        return GONE;
    };
    known.callback = Some(Callback {
        handle,
        function,
        context: context.addr(),
    });
    let callback = known.callback;
    drop(state);
    set(place, handle);
    // The creation that was pending is done.
    notify(callback, 0x2);
    OK
}

#[unsafe(no_mangle)]
extern "system" fn HcsUnregisterComputeSystemCallback(callback: usize) -> i32 {
    for system in state().systems.values_mut() {
        if system
            .callback
            .is_some_and(|known| known.handle == callback)
        {
            system.callback = None;
        }
    }
    OK
}

#[unsafe(no_mangle)]
extern "system" fn HcsStartComputeSystem(
    system: usize,
    _options: *const u16,
    result: *mut *mut u16,
) -> i32 {
    let callback = match state().systems.get(&system) {
        Some(known) if known.alive => known.callback,
        _ => return explain(result, STOPPED, "the system does not run"),
    };
    notify(callback, 0x3);
    PENDING
}

fn stop(system: usize, result: *mut *mut u16) -> i32 {
    match state().systems.get(&system) {
        Some(known) if known.alive => {}
        _ => return explain(result, STOPPED, "the system does not run"),
    }
    end(system);
    PENDING
}

#[unsafe(no_mangle)]
extern "system" fn HcsShutdownComputeSystem(
    system: usize,
    _options: *const u16,
    result: *mut *mut u16,
) -> i32 {
    stop(system, result)
}

#[unsafe(no_mangle)]
extern "system" fn HcsTerminateComputeSystem(
    system: usize,
    _options: *const u16,
    result: *mut *mut u16,
) -> i32 {
    stop(system, result)
}

#[unsafe(no_mangle)]
extern "system" fn HcsGetComputeSystemProperties(
    system: usize,
    _query: *const u16,
    answer: *mut *mut u16,
    result: *mut *mut u16,
) -> i32 {
    match state().systems.get(&system) {
        Some(known) if known.alive => {
            let document = json!({"Id": known.id, "Owner": known.owner, "State": "Running"});
            put(answer, &document.to_string());
            OK
        }
        _ => explain(result, STOPPED, "the system does not run"),
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsEnumerateComputeSystems(
    _query: *const u16,
    answer: *mut *mut u16,
    _result: *mut *mut u16,
) -> i32 {
    let state = state();
    let list: Vec<_> = state
        .systems
        .values()
        .filter(|system| system.alive)
        .map(|system| json!({"Id": system.id, "Owner": system.owner, "State": "Running"}))
        .collect();
    put(answer, &json!(list).to_string());
    OK
}

/// `HCS_PROCESS_INFORMATION`.
#[repr(C)]
struct Information {
    process_id: u32,
    reserved: u32,
    streams: [*mut c_void; 3],
}

#[unsafe(no_mangle)]
extern "system" fn HcsCreateProcess(
    system: usize,
    parameters: *const u16,
    information: *mut Information,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let document = match documents::Process::read(&text(parameters)) {
        Ok(document) => document,
        Err(words) => return explain(result, INVALID_JSON, &words),
    };
    let mut state = state();
    if !state.systems.get(&system).is_some_and(|known| known.alive) {
        return explain(result, STOPPED, "the system does not run");
    }
    let mut child = match start(&document) {
        Ok(child) => child,
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(2) & 0xFFFF;
            return explain(
                result,
                code | 0x8007_0000_u32.cast_signed(),
                &error.to_string(),
            );
        }
    };
    let null = std::ptr::null_mut();
    set(
        information,
        Information {
            process_id: child.id(),
            reserved: 0,
            streams: [
                child.stdin.take().map_or(null, |end| end.into_raw_handle()),
                child
                    .stdout
                    .take()
                    .map_or(null, |end| end.into_raw_handle()),
                child
                    .stderr
                    .take()
                    .map_or(null, |end| end.into_raw_handle()),
            ],
        },
    );
    let handle = state.number();
    let process = Process {
        system,
        pid: child.id(),
        child: Some(child),
        code: None,
        callback: None,
    };
    state.processes.insert(handle, process);
    drop(state);
    set(place, handle);
    watch(handle);
    OK
}

#[unsafe(no_mangle)]
extern "system" fn HcsOpenProcess(
    system: usize,
    pid: u32,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let state = state();
    let mut processes = state.processes.iter();
    match processes.find(|(_, process)| process.system == system && process.pid == pid) {
        Some((handle, _)) => {
            set(place, *handle);
            OK
        }
        None => explain(result, GONE, "no such process"),
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsCloseProcess(process: usize) -> i32 {
    let mut state = state();
    match state.processes.get_mut(&process) {
        Some(known) => {
            known.callback = None;
            if known.code.is_some() {
                state.processes.remove(&process);
            }
            OK
        }
        None => GONE,
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsRegisterProcessCallback(
    process: usize,
    function: Notify,
    context: *const c_void,
    place: *mut usize,
) -> i32 {
    let mut state = state();
    let handle = state.number();
    let Some(known) = state.processes.get_mut(&process) else {
        return GONE;
    };
    let callback = Callback {
        handle,
        function,
        context: context.addr(),
    };
    known.callback = Some(callback);
    let ended = known.code.is_some();
    drop(state);
    set(place, handle);
    if ended {
        notify(Some(callback), 0x1_0000);
    }
    OK
}

#[unsafe(no_mangle)]
extern "system" fn HcsUnregisterProcessCallback(callback: usize) -> i32 {
    for process in state().processes.values_mut() {
        if process
            .callback
            .is_some_and(|known| known.handle == callback)
        {
            process.callback = None;
        }
    }
    OK
}

#[unsafe(no_mangle)]
extern "system" fn HcsTerminateProcess(process: usize, result: *mut *mut u16) -> i32 {
    match state()
        .processes
        .get_mut(&process)
        .map(|known| &mut known.child)
    {
        Some(Some(child)) => {
            // It may have ended by itself.
            let _ = child.kill();
            OK
        }
        _ => explain(result, GONE, "the process has ended"),
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsGetProcessProperties(
    process: usize,
    answer: *mut *mut u16,
    result: *mut *mut u16,
) -> i32 {
    match state().processes.get(&process) {
        Some(known) => {
            let document = json!({
                "ProcessId": known.pid,
                "Exited": known.code.is_some(),
                "ExitCode": known.code.unwrap_or(0),
                "LastWaitResult": 0,
            });
            put(answer, &document.to_string());
            OK
        }
        None => explain(result, GONE, "no such process"),
    }
}

#[unsafe(no_mangle)]
extern "system" fn HcsModifyProcess(
    process: usize,
    settings: *const u16,
    result: *mut *mut u16,
) -> i32 {
    if let Err(words) = documents::Modify::read(&text(settings)) {
        return explain(result, INVALID_JSON, &words);
    }
    match state().processes.get(&process) {
        Some(known) if known.code.is_none() => OK,
        _ => explain(result, GONE, "the process has ended"),
    }
}
