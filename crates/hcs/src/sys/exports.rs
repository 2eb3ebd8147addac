//! The exports, called.

use std::{
    collections::HashMap,
    ffi::{CStr, c_void},
    fs::File,
    os::windows::io::{FromRawHandle, OwnedHandle},
    path::Path,
    ptr::null_mut,
    sync::{Arc, Mutex, MutexGuard},
};

use hoist_windows::text::wide;
use windows_sys::{Win32::Foundation::INVALID_HANDLE_VALUE, core::GUID};

use super::{
    callbacks,
    library::{Library, LoadError},
    text::Returned,
};
use crate::{
    Guid, Hresult,
    calls::{
        CallbackHandle, CreatedProcess, HcsExports, Issued, NotificationSink, ProcessHandle,
        SystemHandle,
    },
};

/// The DLL's file name.
const NAME: &str = "vmcompute.dll";

/// `HCS_PROCESS_INFORMATION`.
#[repr(C)]
struct ProcessInformation {
    process_id: u32,
    reserved: u32,
    stdin: *mut c_void,
    stdout: *mut c_void,
    stderr: *mut c_void,
}

type Text = *const u16;
type Place = *mut *mut u16;
type Handle = usize;
type Callback = extern "system" fn(u32, *const c_void, i32, *const u16) -> i32;

/// Declares the functions that are looked up, each missing one being `None`.
macro_rules! functions {
    ($($field:ident $name:literal ($($argument:ty),*);)*) => {
        struct Functions {
            $($field: Option<unsafe extern "system" fn($($argument),*) -> i32>,)*
        }

        impl Functions {
            fn of(library: &Library) -> Self {
                Self {
                    $($field: library.function(name($name)).map(|function| {
                        // SAFETY: the export of this name has these parameters (hcsshim's bindings of vmcompute.dll), and
                        // function pointers have one size.
                        unsafe {
                            std::mem::transmute::<
                                unsafe extern "system" fn() -> isize,
                                unsafe extern "system" fn($($argument),*) -> i32,
                            >(function)
                        }
                    }),)*
                }
            }
        }
    };
}

fn name(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).unwrap_or_default()
}

functions! {
    name_to_guid b"NameToGuid\0" (Text, *mut GUID);
    enumerate b"HcsEnumerateComputeSystems\0" (Text, Place, Place);
    create_system b"HcsCreateComputeSystem\0" (Text, Text, *mut c_void, *mut Handle, Place);
    open_system b"HcsOpenComputeSystem\0" (Text, *mut Handle, Place);
    close_system b"HcsCloseComputeSystem\0" (Handle);
    register_system b"HcsRegisterComputeSystemCallback\0" (Handle, Callback, *const c_void, *mut Handle);
    unregister_system b"HcsUnregisterComputeSystemCallback\0" (Handle);
    start_system b"HcsStartComputeSystem\0" (Handle, Text, Place);
    shutdown_system b"HcsShutdownComputeSystem\0" (Handle, Text, Place);
    terminate_system b"HcsTerminateComputeSystem\0" (Handle, Text, Place);
    pause_system b"HcsPauseComputeSystem\0" (Handle, Text, Place);
    resume_system b"HcsResumeComputeSystem\0" (Handle, Text, Place);
    system_properties b"HcsGetComputeSystemProperties\0" (Handle, Text, Place, Place);
    modify_system b"HcsModifyComputeSystem\0" (Handle, Text, Place);
    create_process b"HcsCreateProcess\0" (Handle, Text, *mut ProcessInformation, *mut Handle, Place);
    open_process b"HcsOpenProcess\0" (Handle, u32, *mut Handle, Place);
    close_process b"HcsCloseProcess\0" (Handle);
    terminate_process b"HcsTerminateProcess\0" (Handle, Place);
    signal_process b"HcsSignalProcess\0" (Handle, Text, Place);
    process_properties b"HcsGetProcessProperties\0" (Handle, Place, Place);
    modify_process b"HcsModifyProcess\0" (Handle, Text, Place);
    register_process b"HcsRegisterProcessCallback\0" (Handle, Callback, *const c_void, *mut Handle);
    unregister_process b"HcsUnregisterProcessCallback\0" (Handle);
    terminate_process_by_id b"TerminateProcessInComputeSystem\0" (Text, u32);
    hns_call b"HNSCall\0" (Text, Text, Text, Place);
}

/// The service behind `vmcompute.dll`.
pub struct Vmcompute {
    functions: Functions,
    /// Under which number each callback handle was registered.
    callbacks: Mutex<HashMap<usize, usize>>,
    _library: Library,
}

/// Calls a function, or says that the DLL lacks it.
macro_rules! call {
    ($self:ident.$function:ident($($argument:expr),* $(,)?)) => {
        match $self.functions.$function {
            // SAFETY: the handles are the service's own, the texts end with NUL and outlive the call, and the places outlive it too.
            Some(function) => Hresult(unsafe { function($($argument),*) }.cast_unsigned()),
            None => Hresult::PROCEDURE_NOT_FOUND,
        }
    };
}

fn options_of(options: Option<&str>) -> Option<Vec<u16>> {
    options.map(wide)
}

fn pointer(text: &Option<Vec<u16>>) -> Text {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

fn issued(hresult: Hresult, document: &Returned) -> Issued {
    Issued {
        hresult,
        document: document.text(),
    }
}

impl Vmcompute {
    /// Loads it from the system folder.
    ///
    /// # Errors
    /// It is not there.
    pub fn load() -> Result<Self, LoadError> {
        Ok(Self::over(Library::of_the_system(NAME)?))
    }

    /// Loads another DLL with the same exports: for tests, which bring a double.
    ///
    /// # Errors
    /// It is not there.
    #[doc(hidden)]
    pub fn load_double(path: &Path) -> Result<Self, LoadError> {
        Ok(Self::over(Library::at(path)?))
    }

    fn over(library: Library) -> Self {
        Self {
            functions: Functions::of(&library),
            callbacks: Mutex::default(),
            _library: library,
        }
    }

    fn callbacks(&self) -> MutexGuard<'_, HashMap<usize, usize>> {
        self.callbacks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn register(
        &self,
        sink: Arc<dyn NotificationSink>,
        register: impl FnOnce(*const c_void, *mut Handle) -> Hresult,
    ) -> Result<CallbackHandle, Hresult> {
        let key = callbacks::insert(sink);
        let mut handle = 0;
        let hresult = register(std::ptr::without_provenance(key), &mut handle);
        if !hresult.is_success() {
            callbacks::remove(key);
            return Err(hresult);
        }
        self.callbacks().insert(handle, key);
        Ok(CallbackHandle(handle))
    }

    fn forget(&self, callback: CallbackHandle) {
        let key = self.callbacks().remove(&callback.0);
        if let Some(key) = key {
            callbacks::remove(key);
        }
    }
}

/// A pipe's end, where the service made one.
fn pipe(handle: *mut c_void) -> Option<File> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return None;
    }
    // SAFETY: the service hands each handle over to its caller, once.
    Some(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

impl HcsExports for Vmcompute {
    fn name_to_guid(&self, name: &str) -> Result<Guid, Hresult> {
        let name = wide(name);
        let mut guid = GUID::from_u128(0);
        let hresult = call!(self.name_to_guid(name.as_ptr(), &mut guid));
        if !hresult.is_success() {
            return Err(hresult);
        }
        Ok(Guid::from_fields(
            guid.data1, guid.data2, guid.data3, guid.data4,
        ))
    }

    fn enumerate(&self, query: &str) -> Result<String, Issued> {
        let query = wide(query);
        let (mut list, mut document) = (Returned::new(), Returned::new());
        let hresult = call!(self.enumerate(query.as_ptr(), list.place(), document.place()));
        if !hresult.is_success() {
            return Err(issued(hresult, &document));
        }
        Ok(list.text().unwrap_or_else(|| "[]".to_owned()))
    }

    fn create_compute_system(
        &self,
        id: &str,
        configuration: &str,
    ) -> Result<(Hresult, SystemHandle), Issued> {
        let (id, configuration) = (wide(id), wide(configuration));
        let (mut handle, mut document) = (0, Returned::new());
        let hresult = call!(self.create_system(
            id.as_ptr(),
            configuration.as_ptr(),
            null_mut(),
            &mut handle,
            document.place(),
        ));
        if hresult.is_success() || hresult.is_pending() {
            return Ok((hresult, SystemHandle(handle)));
        }
        Err(issued(hresult, &document))
    }

    fn open_compute_system(&self, id: &str) -> Result<SystemHandle, Issued> {
        let id = wide(id);
        let (mut handle, mut document) = (0, Returned::new());
        let hresult = call!(self.open_system(id.as_ptr(), &mut handle, document.place()));
        if hresult.is_success() {
            return Ok(SystemHandle(handle));
        }
        Err(issued(hresult, &document))
    }

    fn close_compute_system(&self, system: SystemHandle) -> Hresult {
        call!(self.close_system(system.0))
    }

    fn register_system_callback(
        &self,
        system: SystemHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.register(sink, |context, place| {
            call!(self.register_system(system.0, callbacks::notify, context, place))
        })
    }

    fn unregister_system_callback(&self, callback: CallbackHandle) -> Hresult {
        let hresult = call!(self.unregister_system(callback.0));
        self.forget(callback);
        hresult
    }

    fn start_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let (options, mut document) = (options_of(options), Returned::new());
        let hresult = call!(self.start_system(system.0, pointer(&options), document.place()));
        issued(hresult, &document)
    }

    fn shutdown_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let (options, mut document) = (options_of(options), Returned::new());
        let hresult = call!(self.shutdown_system(system.0, pointer(&options), document.place()));
        issued(hresult, &document)
    }

    fn terminate_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let (options, mut document) = (options_of(options), Returned::new());
        let hresult = call!(self.terminate_system(system.0, pointer(&options), document.place()));
        issued(hresult, &document)
    }

    fn pause_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let (options, mut document) = (options_of(options), Returned::new());
        let hresult = call!(self.pause_system(system.0, pointer(&options), document.place()));
        issued(hresult, &document)
    }

    fn resume_compute_system(&self, system: SystemHandle, options: Option<&str>) -> Issued {
        let (options, mut document) = (options_of(options), Returned::new());
        let hresult = call!(self.resume_system(system.0, pointer(&options), document.place()));
        issued(hresult, &document)
    }

    fn system_properties(&self, system: SystemHandle, query: &str) -> Result<String, Issued> {
        let query = wide(query);
        let (mut answer, mut document) = (Returned::new(), Returned::new());
        let hresult = call!(self.system_properties(
            system.0,
            query.as_ptr(),
            answer.place(),
            document.place(),
        ));
        if !hresult.is_success() {
            return Err(issued(hresult, &document));
        }
        Ok(answer.text().unwrap_or_default())
    }

    fn modify_compute_system(&self, system: SystemHandle, request: &str) -> Issued {
        let (request, mut document) = (wide(request), Returned::new());
        let hresult = call!(self.modify_system(system.0, request.as_ptr(), document.place()));
        issued(hresult, &document)
    }

    fn create_process(
        &self,
        system: SystemHandle,
        parameters: &str,
    ) -> Result<CreatedProcess<ProcessHandle>, Issued> {
        let parameters = wide(parameters);
        let (mut handle, mut document) = (0, Returned::new());
        let mut information = ProcessInformation {
            process_id: 0,
            reserved: 0,
            stdin: null_mut(),
            stdout: null_mut(),
            stderr: null_mut(),
        };
        let hresult = call!(self.create_process(
            system.0,
            parameters.as_ptr(),
            &mut information,
            &mut handle,
            document.place(),
        ));
        if !hresult.is_success() {
            return Err(issued(hresult, &document));
        }
        Ok(CreatedProcess {
            handle: ProcessHandle(handle),
            pid: information.process_id,
            stdin: pipe(information.stdin),
            stdout: pipe(information.stdout),
            stderr: pipe(information.stderr),
        })
    }

    fn open_process(&self, system: SystemHandle, pid: u32) -> Result<ProcessHandle, Issued> {
        let (mut handle, mut document) = (0, Returned::new());
        let hresult = call!(self.open_process(system.0, pid, &mut handle, document.place()));
        if hresult.is_success() {
            return Ok(ProcessHandle(handle));
        }
        Err(issued(hresult, &document))
    }

    fn close_process(&self, process: ProcessHandle) -> Hresult {
        call!(self.close_process(process.0))
    }

    fn terminate_process(&self, process: ProcessHandle) -> Issued {
        let mut document = Returned::new();
        let hresult = call!(self.terminate_process(process.0, document.place()));
        issued(hresult, &document)
    }

    fn signal_process(&self, process: ProcessHandle, options: &str) -> Issued {
        let (options, mut document) = (wide(options), Returned::new());
        let hresult = call!(self.signal_process(process.0, options.as_ptr(), document.place()));
        issued(hresult, &document)
    }

    fn process_properties(&self, process: ProcessHandle) -> Result<String, Issued> {
        let (mut answer, mut document) = (Returned::new(), Returned::new());
        let hresult = call!(self.process_properties(process.0, answer.place(), document.place()));
        if !hresult.is_success() {
            return Err(issued(hresult, &document));
        }
        Ok(answer.text().unwrap_or_default())
    }

    fn modify_process(&self, process: ProcessHandle, request: &str) -> Issued {
        let (request, mut document) = (wide(request), Returned::new());
        let hresult = call!(self.modify_process(process.0, request.as_ptr(), document.place()));
        issued(hresult, &document)
    }

    fn register_process_callback(
        &self,
        process: ProcessHandle,
        sink: Arc<dyn NotificationSink>,
    ) -> Result<CallbackHandle, Hresult> {
        self.register(sink, |context, place| {
            call!(self.register_process(process.0, callbacks::notify, context, place))
        })
    }

    fn unregister_process_callback(&self, callback: CallbackHandle) -> Hresult {
        let hresult = call!(self.unregister_process(callback.0));
        self.forget(callback);
        hresult
    }

    fn terminate_process_by_id(&self, id: &str, pid: u32) -> Hresult {
        let id = wide(id);
        call!(self.terminate_process_by_id(id.as_ptr(), pid))
    }

    fn hns_call(&self, method: &str, path: &str, object: &str) -> Result<String, Hresult> {
        let (method, path, object) = (wide(method), wide(path), wide(object));
        let mut answer = Returned::new();
        let hresult = call!(self.hns_call(
            method.as_ptr(),
            path.as_ptr(),
            object.as_ptr(),
            answer.place(),
        ));
        if !hresult.is_success() {
            return Err(hresult);
        }
        Ok(answer.text().unwrap_or_default())
    }
}
