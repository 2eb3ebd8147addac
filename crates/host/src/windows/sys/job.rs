//! Jobs (documentation of "Job Objects").

use std::{
    io,
    os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle},
    ptr::{from_mut, from_ref, null, null_mut},
};

use windows_sys::Win32::{
    Foundation::{
        DuplicateHandle, ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, GetLastError,
    },
    System::{
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob,
            JOB_OBJECT_CPU_RATE_CONTROL_ENABLE, JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
            JOB_OBJECT_LIMIT, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
            JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0,
            JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
            JobObjectBasicAccountingInformation, JobObjectBasicProcessIdList,
            JobObjectCpuRateControlInformation, JobObjectExtendedLimitInformation, OpenJobObjectW,
            QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
        },
        SystemServices::{
            JOB_OBJECT_ASSIGN_PROCESS, JOB_OBJECT_QUERY, JOB_OBJECT_SET_ATTRIBUTES,
            JOB_OBJECT_TERMINATE,
        },
        Threading::GetCurrentProcess,
    },
};

use super::{done, owned, wide};
use crate::plan::windows::Limits;

/// What the processes of a job that is ended by force end with (`ERROR_PROCESS_ABORTED`).
pub(crate) const KILLED: u32 = 1067;

/// What a job has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accounting {
    /// In all, of those that have ended too, in units of 100 ns.
    pub(crate) processor_time: u64,
    /// How many run.
    pub(crate) processes: u32,
    /// The most that was committed at a time, in bytes.
    pub(crate) peak_memory: u64,
    /// In bytes; none where it has none.
    pub(crate) memory_limit: Option<u64>,
}

/// A job. With its last handle all its processes end.
#[derive(Debug)]
pub(crate) struct Job(OwnedHandle);

impl AsHandle for Job {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl Job {
    /// A new one, by whose name others can open it. `AlreadyExists` where somebody has one of that name.
    pub(crate) fn new(name: Option<&str>) -> io::Result<Self> {
        let name = name.map(wide);
        let name = name.as_ref().map_or(null(), |name| name.as_ptr());
        // SAFETY: no attributes are given; the name is null, or ends with NUL and outlives the call.
        let (job, error) = unsafe { (CreateJobObjectW(null(), name), GetLastError()) };
        let job = Self(owned(job)?);
        if !name.is_null() && error == ERROR_ALREADY_EXISTS {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        job.set_limits(&JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default())?;
        Ok(job)
    }

    /// The one of a name; none where nobody holds it any more.
    pub(crate) fn open(name: &str) -> io::Result<Option<Self>> {
        const RIGHTS: u32 = JOB_OBJECT_ASSIGN_PROCESS
            | JOB_OBJECT_QUERY
            | JOB_OBJECT_SET_ATTRIBUTES
            | JOB_OBJECT_TERMINATE;
        let name = wide(name);
        // SAFETY: the name ends with NUL and outlives the call.
        match owned(unsafe { OpenJobObjectW(RIGHTS, 0, name.as_ptr()) }) {
            Ok(job) => Ok(Some(Self(job))),
            Err(error) if error.raw_os_error() == Some(ERROR_FILE_NOT_FOUND.cast_signed()) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a process into it, which then has no way out.
    pub(crate) fn assign(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are borrowed for the whole call.
        done(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) })
    }

    /// Whether a process is in it, or in one within it.
    pub(crate) fn has(&self, process: BorrowedHandle<'_>) -> io::Result<bool> {
        let mut is_in = 0;
        // SAFETY: both handles are borrowed, and the place is filled, for the whole call.
        done(unsafe {
            IsProcessInJob(
                process.as_raw_handle(),
                self.0.as_raw_handle(),
                &raw mut is_in,
            )
        })?;
        Ok(is_in != 0)
    }

    /// Gives a process a handle that it can do nothing with: the job lives as long as the process does.
    pub(crate) fn lend_to(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        let mut there = null_mut();
        // SAFETY: the handles are borrowed, and the place is filled, for the whole call; the new handle belongs to the other process.
        done(unsafe {
            DuplicateHandle(
                GetCurrentProcess(),
                self.0.as_raw_handle(),
                process.as_raw_handle(),
                &raw mut there,
                JOB_OBJECT_QUERY,
                0,
                0,
            )
        })
    }

    /// Ends all its processes.
    pub(crate) fn end(&self) -> io::Result<()> {
        // SAFETY: the handle is a job's.
        done(unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) })
    }

    /// The ids of its processes.
    pub(crate) fn process_ids(&self) -> io::Result<Vec<u32>> {
        /// Two numbers of 32 bits, then the ids, each as wide as a pointer.
        const HEAD: usize = 8 / size_of::<usize>();
        let mut room = 64;
        loop {
            let mut list = vec![0_usize; HEAD + room];
            let size = u32::try_from(size_of_val(list.as_slice())).unwrap_or(u32::MAX);
            // SAFETY: the list is aligned as the structure is, and as long as is said.
            let answered = done(unsafe {
                QueryInformationJobObject(
                    self.0.as_raw_handle(),
                    JobObjectBasicProcessIdList,
                    list.as_mut_ptr().cast(),
                    size,
                    null_mut(),
                )
            });
            match answered {
                Err(error) if error.raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) => {
                    return Err(error);
                }
                _ => {}
            }
            // SAFETY: the list begins with two numbers of 32 bits: how many there are, and how many of them are in it.
            let [assigned, listed] = unsafe { list.as_ptr().cast::<[u32; 2]>().read() };
            let (assigned, listed) = (assigned as usize, listed as usize);
            if answered.is_ok() && listed >= assigned && listed <= room {
                let ids = list[HEAD..HEAD + listed].iter();
                return Ok(ids.filter_map(|id| u32::try_from(*id).ok()).collect());
            }
            room = (room * 2).max(assigned + 16);
        }
    }

    /// What it has used.
    pub(crate) fn accounting(&self) -> io::Result<Accounting> {
        let mut used = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        self.query(JobObjectBasicAccountingInformation, &mut used)?;
        let limits = self.limits()?;
        let has_limit = limits.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_JOB_MEMORY != 0;
        let time = used.TotalUserTime.saturating_add(used.TotalKernelTime);
        Ok(Accounting {
            processor_time: u64::try_from(time).unwrap_or(0),
            processes: used.ActiveProcesses,
            peak_memory: limits.PeakJobMemoryUsed as u64,
            memory_limit: has_limit.then_some(limits.JobMemoryLimit as u64),
        })
    }

    /// Sets limits; after an error they are as before.
    pub(crate) fn limit(&self, limits: &Limits) -> io::Result<()> {
        let before = self.limits()?;
        let mut now = before;
        let basic = &mut now.BasicLimitInformation;
        let mut flag = |flag: JOB_OBJECT_LIMIT, limit: Option<i64>| match limit {
            None => None,
            Some(..=-1) => {
                basic.LimitFlags &= !flag;
                Some(0)
            }
            Some(limit) => {
                basic.LimitFlags |= flag;
                Some(limit)
            }
        };
        let memory = flag(JOB_OBJECT_LIMIT_JOB_MEMORY, limits.memory);
        let processes = flag(JOB_OBJECT_LIMIT_ACTIVE_PROCESS, limits.processes);
        if let Some(limit) = memory {
            now.JobMemoryLimit = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        if let Some(limit) = processes {
            now.BasicLimitInformation.ActiveProcessLimit = u32::try_from(limit).unwrap_or(u32::MAX);
        }
        if memory.is_some() || processes.is_some() {
            self.set_limits(&now)?;
        }
        let Some(rate) = limits.cpu_rate else {
            return Ok(());
        };
        let rate = u32::try_from(rate).unwrap_or(0);
        let control = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION {
            ControlFlags: match rate {
                0 => 0,
                _ => JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
            },
            Anonymous: JOBOBJECT_CPU_RATE_CONTROL_INFORMATION_0 { CpuRate: rate },
        };
        self.set(JobObjectCpuRateControlInformation, &control)
            .inspect_err(|_| {
                // Why it cannot be limited is told.
                let _ = self.set_limits(&before);
            })
    }

    fn limits(&self) -> io::Result<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        self.query(JobObjectExtendedLimitInformation, &mut limits)?;
        Ok(limits)
    }

    fn set_limits(&self, limits: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<()> {
        let mut limits = *limits;
        limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        self.set(JobObjectExtendedLimitInformation, &limits)
    }

    /// `T` must be the class's structure.
    fn query<T>(&self, class: JOBOBJECTINFOCLASS, place: &mut T) -> io::Result<()> {
        let size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
        // SAFETY: the place is as long as is said, and any bytes are a value of these structures of numbers.
        done(unsafe {
            QueryInformationJobObject(
                self.0.as_raw_handle(),
                class,
                from_mut(place).cast(),
                size,
                null_mut(),
            )
        })
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, value: &T) -> io::Result<()> {
        let size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
        // SAFETY: the value is as long as is said, and outlives the call.
        done(unsafe {
            SetInformationJobObject(self.0.as_raw_handle(), class, from_ref(value).cast(), size)
        })
    }
}
