//! What is behind an instance pointer.

use std::sync::atomic::{AtomicBool, Ordering};

use driftline_abi::DlInstance;
use driftline_core::{Error, ErrorKind, Result};

use crate::guard::refuse;

/// A component that was created.
pub(crate) struct Instance<T> {
    value: T,
    /// Set by a panic: nothing is known about `value` then.
    poisoned: AtomicBool,
}

impl<T> Instance<T> {
    /// Puts `value` behind `out`.
    ///
    /// # Safety
    /// `out` is null or may be written.
    pub(crate) unsafe fn put(value: T, out: *mut DlInstance) -> Result<()> {
        if out.is_null() {
            return Err(refuse("there is no place for the instance"));
        }
        let instance = Box::new(Self {
            value,
            poisoned: AtomicBool::new(false),
        });
        // SAFETY: checked for null, and promised by the caller.
        unsafe { out.write(Box::into_raw(instance).cast()) };
        Ok(())
    }

    /// Runs `call` on the instance unless an earlier call panicked.
    ///
    /// # Safety
    /// `instance` is null or comes from [`Instance::put`] of the same `T` and was not destroyed, and nothing changes it
    /// meanwhile.
    pub(crate) unsafe fn shared<R>(
        instance: DlInstance,
        call: impl FnOnce(&T) -> Result<R>,
    ) -> Result<R> {
        // SAFETY: promised by the caller.
        unsafe { Self::enter(instance, |value| call(&*value)) }
    }

    /// Runs `call` on the instance, which it may change, unless an earlier call panicked.
    ///
    /// # Safety
    /// As for [`Instance::shared`], and no other call runs on the instance.
    pub(crate) unsafe fn exclusive<R>(
        instance: DlInstance,
        call: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<R> {
        // SAFETY: promised by the caller.
        unsafe { Self::enter(instance, |value| call(&mut *value)) }
    }

    /// # Safety
    /// `instance` is null or comes from [`Instance::put`] of the same `T` and was not destroyed.
    unsafe fn enter<R>(instance: DlInstance, call: impl FnOnce(*mut T) -> Result<R>) -> Result<R> {
        let instance = instance.cast::<Self>();
        if instance.is_null() {
            return Err(refuse("there is no instance"));
        }
        // SAFETY: checked for null; the pointer stays one to the whole instance, and only the flag is borrowed.
        let poisoned = unsafe { &(*instance).poisoned };
        if poisoned.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Internal,
                "call plugin",
                "an earlier call of this instance panicked",
            )
            .remedy("make a new one"));
        }
        let guard = PoisonOnPanic(poisoned);
        // SAFETY: as above; `call` decides whether it borrows it shared or mutable.
        let result = call(unsafe { &raw mut (*instance).value });
        std::mem::forget(guard);
        result
    }

    /// Frees the instance.
    ///
    /// # Safety
    /// As for [`Instance::exclusive`]; the instance is not used afterwards.
    pub(crate) unsafe fn free(instance: DlInstance) {
        if !instance.is_null() {
            // SAFETY: promised by the caller.
            drop(unsafe { Box::from_raw(instance.cast::<Self>()) });
        }
    }
}

struct PoisonOnPanic<'a>(&'a AtomicBool);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
