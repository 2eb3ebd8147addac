//! The exports: parameters into a request, a reply into the caller's places.

#![allow(
    unsafe_code,
    clippy::missing_safety_doc,
    non_snake_case,
    reason = "the exports have the names and raw parameters of vmcompute.dll"
)]

use std::ffi::c_void;

use windows_sys::{Win32::System::Com::CoTaskMemAlloc, core::GUID};

use crate::{
    documents,
    link::{self, Function},
    protocol::{Reply, Request},
};

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

fn set<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the place is the caller's.
        unsafe { *place = value };
    }
}

fn request(function: &str, handle: usize, texts: &[*const u16]) -> Request {
    Request {
        function: function.to_owned(),
        handle,
        texts: texts.iter().map(|pointer| text(*pointer)).collect(),
        ..Request::default()
    }
}

/// Asks, and puts the result document where the caller wants it.
fn ask(request: Request, result: *mut *mut u16) -> Reply {
    let reply = link::call(request);
    if let Some(document) = &reply.document {
        put(result, document);
    }
    reply
}

/// Whether there is something for the caller's places.
fn is_good(reply: &Reply) -> bool {
    reply.hresult >= 0 || reply.hresult.cast_unsigned() == 0xC037_0103
}

/// An export of a handle, a document and a result.
macro_rules! with_document {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "system" fn $name(
            handle: usize,
            document: *const u16,
            result: *mut *mut u16,
        ) -> i32 {
            ask(request(stringify!($name), handle, &[document]), result).hresult
        }
    )*};
}

with_document! {
    HcsStartComputeSystem
    HcsShutdownComputeSystem
    HcsTerminateComputeSystem
    HcsPauseComputeSystem
    HcsResumeComputeSystem
    HcsModifyComputeSystem
    HcsSignalProcess
    HcsModifyProcess
}

/// An export of a handle alone.
macro_rules! with_handle {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "system" fn $name(handle: usize) -> i32 {
            link::call(request(stringify!($name), handle, &[])).hresult
        }
    )*};
}

with_handle! {
    HcsCloseComputeSystem
    HcsCloseProcess
}

/// An export that registers a callback, and the one that takes it back.
macro_rules! with_callback {
    ($($name:ident $back:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "system" fn $name(
            handle: usize,
            function: Function,
            context: *const c_void,
            place: *mut usize,
        ) -> i32 {
            let number = link::callback(function, context.addr());
            // The caller has it before the first call comes.
            set(place, number);
            let reply = link::call(Request {
                number,
                ..request(stringify!($name), handle, &[])
            });
            if !is_good(&reply) {
                link::forget(number);
            }
            reply.hresult
        }

        #[unsafe(no_mangle)]
        extern "system" fn $back(callback: usize) -> i32 {
            link::forget(callback);
            link::call(request(stringify!($back), callback, &[])).hresult
        }
    )*};
}

with_callback! {
    HcsRegisterComputeSystemCallback HcsUnregisterComputeSystemCallback
    HcsRegisterProcessCallback HcsUnregisterProcessCallback
}

#[unsafe(no_mangle)]
extern "system" fn NameToGuid(name: *const u16, place: *mut GUID) -> i32 {
    set(place, GUID::from_u128(documents::layer_id(&text(name))));
    0
}

#[unsafe(no_mangle)]
extern "system" fn HcsCreateComputeSystem(
    id: *const u16,
    configuration: *const u16,
    _identity: *mut c_void,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let call = request("HcsCreateComputeSystem", 0, &[id, configuration]);
    let reply = ask(call, result);
    if is_good(&reply) {
        set(place, reply.handle);
    }
    reply.hresult
}

#[unsafe(no_mangle)]
extern "system" fn HcsOpenComputeSystem(
    id: *const u16,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let reply = ask(request("HcsOpenComputeSystem", 0, &[id]), result);
    if is_good(&reply) {
        set(place, reply.handle);
    }
    reply.hresult
}

fn answered(reply: &Reply, answer: *mut *mut u16) -> i32 {
    if let Some(text) = &reply.answer {
        put(answer, text);
    }
    reply.hresult
}

#[unsafe(no_mangle)]
extern "system" fn HcsGetComputeSystemProperties(
    system: usize,
    query: *const u16,
    answer: *mut *mut u16,
    result: *mut *mut u16,
) -> i32 {
    let call = request("HcsGetComputeSystemProperties", system, &[query]);
    answered(&ask(call, result), answer)
}

#[unsafe(no_mangle)]
extern "system" fn HcsEnumerateComputeSystems(
    query: *const u16,
    answer: *mut *mut u16,
    result: *mut *mut u16,
) -> i32 {
    let call = request("HcsEnumerateComputeSystems", 0, &[query]);
    answered(&ask(call, result), answer)
}

#[unsafe(no_mangle)]
extern "system" fn HcsGetProcessProperties(
    process: usize,
    answer: *mut *mut u16,
    result: *mut *mut u16,
) -> i32 {
    let call = request("HcsGetProcessProperties", process, &[]);
    answered(&ask(call, result), answer)
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
    let reply = ask(request("HcsCreateProcess", system, &[parameters]), result);
    if is_good(&reply) {
        set(
            information,
            Information {
                process_id: reply.pid,
                reserved: 0,
                streams: reply.streams.map(std::ptr::without_provenance_mut),
            },
        );
        set(place, reply.handle);
    }
    reply.hresult
}

#[unsafe(no_mangle)]
extern "system" fn HcsOpenProcess(
    system: usize,
    pid: u32,
    place: *mut usize,
    result: *mut *mut u16,
) -> i32 {
    let call = Request {
        number: pid as usize,
        ..request("HcsOpenProcess", system, &[])
    };
    let reply = ask(call, result);
    if is_good(&reply) {
        set(place, reply.handle);
    }
    reply.hresult
}

#[unsafe(no_mangle)]
extern "system" fn HcsTerminateProcess(process: usize, result: *mut *mut u16) -> i32 {
    ask(request("HcsTerminateProcess", process, &[]), result).hresult
}

/// For tests: what is open and alive in the service, as JSON.
#[unsafe(no_mangle)]
extern "system" fn HoistDoubleReport(answer: *mut *mut u16) -> i32 {
    answered(&link::call(request("HoistDoubleReport", 0, &[])), answer)
}

/// For tests: is the service for other processes at the named pipe of this name. Returns only where it cannot be.
#[unsafe(no_mangle)]
extern "system" fn HoistDoubleServe(name: *const u16) -> i32 {
    link::serve(&text(name)).raw_os_error().unwrap_or(1)
}
