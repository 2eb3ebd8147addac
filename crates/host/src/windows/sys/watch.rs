//! Waits that no thread of the caller's waits in: the system's pool waits for many handles in each of its own (documentation of
//! `RegisterWaitForSingleObject`).

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, BorrowedHandle},
    ptr::null_mut,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::HANDLE,
    System::Threading::{
        RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTELONGFUNCTION, WT_EXECUTEONLYONCE,
    },
};

use super::{done, milliseconds};

/// Who is woken by a wait.
pub(crate) trait Woken: Send + Sync + 'static {
    /// The handle is signalled, or else the time is over. On a thread of the pool.
    fn woken(self: Arc<Self>, by_time: bool);
}

/// What the pool hands back.
struct Context<T> {
    woken: Arc<T>,
    wait: Arc<Watch>,
}

/// A registered wait, which lets go of itself when it is over.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Registration>);

#[derive(Debug, Default)]
enum Registration {
    #[default]
    Pending,
    /// The wait's handle, as a number.
    Registered(usize),
    Over,
}

impl Watch {
    /// Wakes `woken` once, when `handle`, which it must keep open until then, is signalled or the time is over.
    pub(crate) fn register<T: Woken>(
        handle: BorrowedHandle<'_>,
        limit: Option<Duration>,
        woken: &Arc<T>,
    ) -> io::Result<()> {
        let wait = Arc::new(Self::default());
        let context = Box::into_raw(Box::new(Context {
            woken: Arc::clone(woken),
            wait: Arc::clone(&wait),
        }));
        let mut place: HANDLE = null_mut();
        // SAFETY: the context is the callback's from now on; the handle stays open since what is woken holds it.
        let registered = done(unsafe {
            RegisterWaitForSingleObject(
                &raw mut place,
                handle.as_raw_handle(),
                Some(called::<T>),
                context.cast(),
                milliseconds(limit),
                WT_EXECUTEONLYONCE | WT_EXECUTELONGFUNCTION,
            )
        });
        if let Err(error) = registered {
            // SAFETY: the callback was not registered: the context is still this function's.
            drop(unsafe { Box::from_raw(context) });
            return Err(error);
        }
        wait.now(Registration::Registered(place.expose_provenance()));
        Ok(())
    }

    /// Whichever of its registration and its end comes later unregisters it.
    fn now(&self, now: Registration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*state, &now) {
            (Registration::Registered(handle), Registration::Over)
            | (Registration::Over, Registration::Registered(handle)) => {
                // SAFETY: the handle is of a wait that was registered and not unregistered; nobody waits for the callback, which may
                // be the one that this is called in.
                unsafe {
                    UnregisterWaitEx(std::ptr::with_exposed_provenance_mut(*handle), null_mut());
                }
                *state = Registration::Over;
            }
            _ => *state = now,
        }
    }
}

unsafe extern "system" fn called<T: Woken>(context: *mut c_void, by_time: bool) {
    // SAFETY: the context is the one that was registered, and the callback is called once.
    let context = unsafe { Box::from_raw(context.cast::<Context<T>>()) };
    let Context { woken, wait } = *context;
    woken.woken(by_time);
    wait.now(Registration::Over);
}
