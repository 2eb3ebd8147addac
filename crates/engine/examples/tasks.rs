//! Containers from a program of many threads and tasks: each task awaits a container's end on a small executor, and a few
//! threads make the calls that wait. A program on an async runtime does the same with that runtime's pool for such calls.
//!
//! `cargo run -p hoist --example tasks -- 16` runs sixteen, as root or as a user with user namespaces.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let count = std::env::args().nth(1).map_or(Ok(8), |text| text.parse())?;
    for (number, said) in linux::run(count)?.into_iter().enumerate() {
        println!("task {number}: {said}");
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        future::Future,
        io::Read,
        pin::{Pin, pin},
        sync::{Arc, Mutex, mpsc},
        task::{Context, Poll, Wake, Waker},
        thread,
    };

    use hoist::{Engine, EngineOptions, Hooks, RunRequest, random_id};
    use hoist_compute::Stdio;
    use hoist_spec::{Command, ProcessConfig};

    type Failure = Box<dyn std::error::Error + Send + Sync>;

    /// Runs so many containers at once; what each has said.
    pub(super) fn run(count: usize) -> Result<Vec<String>, Failure> {
        // One engine for all: it may be called from any thread, and a thread of its own reaps what it starts.
        let engine = Engine::open(EngineOptions::default())?;
        let pool = Pool::new(count.clamp(1, 16));
        let tasks = (0..count).map(|number| {
            let engine = engine.clone();
            pool.call(move || one(&engine, number))
        });
        let tasks: Vec<_> = tasks.collect();
        block_on(async {
            let mut said = Vec::new();
            for task in tasks {
                said.push(task.await?);
            }
            Ok(said)
        })
    }

    fn one(engine: &Engine, number: usize) -> Result<String, Failure> {
        let id = random_id()?;
        let echo = ProcessConfig::new("echo").argument(format!("container number {number}"));
        let command = Command::new().id(id.as_str()).process(echo);
        let request = RunRequest {
            spec: command.to_container_spec()?,
            id,
            name: None,
            remove: true,
        };
        let mut said = String::new();
        let mut hooks = Hooks::default();
        let status = engine.run_with(&request, Stdio::pipes(), &mut hooks, |process| {
            let mut streams = process.take_streams();
            drop(streams.stdin.take());
            if let Some(stdout) = &mut streams.stdout {
                // It may say what is no text; how it ended counts all the same.
                let _ = stdout.read_to_string(&mut said);
            }
            process.wait(None)
        })?;
        match status.code {
            Some(0) => Ok(said.trim_end().to_owned()),
            _ => Err(format!("it ended as {status:?}").into()),
        }
    }

    /// Threads that make calls which wait.
    struct Pool(mpsc::Sender<Box<dyn FnOnce() + Send>>);

    impl Pool {
        fn new(threads: usize) -> Self {
            let (calls, to_make) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
            let to_make = Arc::new(Mutex::new(to_make));
            for _ in 0..threads {
                let to_make = to_make.clone();
                thread::spawn(move || {
                    loop {
                        let next = to_make.lock().map(|calls| calls.recv());
                        let Ok(Ok(call)) = next else { return };
                        call();
                    }
                });
            }
            Self(calls)
        }

        /// Makes a call on one of the threads; the result is awaited.
        fn call<T: Send + 'static>(
            &self,
            work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
        ) -> Called<T> {
            let slot = Arc::new(Mutex::new(Slot {
                result: None,
                waker: None,
            }));
            let filled = slot.clone();
            let call = move || {
                let result = work();
                if let Ok(mut slot) = filled.lock() {
                    slot.result = Some(result);
                    slot.waker.take().into_iter().for_each(Waker::wake);
                }
            };
            // The threads live as long as the pool does.
            let _ = self.0.send(Box::new(call));
            Called(slot)
        }
    }

    struct Slot<T> {
        result: Option<Result<T, Failure>>,
        waker: Option<Waker>,
    }

    struct Called<T>(Arc<Mutex<Slot<T>>>);

    impl<T> Future for Called<T> {
        type Output = Result<T, Failure>;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let Ok(mut slot) = self.0.lock() else {
                return Poll::Ready(Err("a call has panicked".into()));
            };
            match slot.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Polls one future to its end.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(result) => return result,
                Poll::Pending => thread::park(),
            }
        }
    }
}
