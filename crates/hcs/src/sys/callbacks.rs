//! Callbacks of the DLL, on threads of its own.
//!
//! What is registered is a number, looked up in a table when the DLL calls: a late call finds nothing, where a pointer would lead to
//! what is gone.

use std::{
    collections::HashMap,
    ffi::c_void,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    Hresult,
    calls::{Notification, NotificationSink},
};

type Table = HashMap<usize, Arc<dyn NotificationSink>>;

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

fn table() -> MutexGuard<'static, Table> {
    TABLE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The number under which `sink` is called.
pub(super) fn insert(sink: Arc<dyn NotificationSink>) -> usize {
    let key = NEXT.fetch_add(1, Ordering::Relaxed);
    table().insert(key, sink);
    key
}

/// Forgets a number.
pub(super) fn remove(key: usize) {
    table().remove(&key);
}

/// What the DLL calls.
pub(super) extern "system" fn notify(
    kind: u32,
    context: *const c_void,
    status: i32,
    _data: *const u16,
) -> i32 {
    // The lock is not held while the sink is called.
    let sink = table().get(&context.addr()).cloned();
    if let Some(sink) = sink {
        sink.notify(Notification::from(kind), Hresult(status.cast_unsigned()));
    }
    0
}
