use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Append, Appended, Error, ErrorKind, Journal};

/// In how many steps a batch waits for more.
const GATHER_STEPS: u32 = 2;

/// Limits of a [`Writer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WriterConfig {
    /// The most jobs that may wait; 4,096 unless set. One more is answered with [`ErrorKind::Busy`].
    pub queue: usize,
    /// The most appends in one batch, and so in one flush; 256 unless set.
    pub batch: usize,
    /// How long a batch of several appends waits at most for more before its flush; not at all unless set.
    ///
    /// Where many append at once, a few milliseconds here make one flush do for many more of them. The wait ends when nothing
    /// came in half of it. Who appends alone waits only right behind a batch of several, and then no longer than that.
    pub gather: Duration,
}

impl WriterConfig {
    /// A part of the wait, in which nobody wakes this thread: that would cost each of them more than is saved.
    fn pause(&self) {
        thread::park_timeout(self.gather.checked_div(GATHER_STEPS).unwrap_or_default());
    }
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            queue: 4096,
            batch: 256,
            gather: Duration::ZERO,
        }
    }
}

/// A thread in front of a journal, so that an async program never blocks on a flush.
///
/// Appends that arrive while a flush runs share the next one. Jobs and appends are done in the order in which they were
/// given. Dropping the writer finishes everything that waits, and waits for that unless a callback drops it.
#[derive(Debug)]
pub struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the system gives no thread.
    pub fn start(journal: Arc<dyn Journal>, config: WriterConfig) -> Result<Self, Error> {
        let (jobs, queue) = sync_channel(config.queue.max(1));
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(&*journal, &queue, config))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Appends, then calls `done` once, on the writer's thread. Never blocks.
    ///
    /// `done` is called at once with [`ErrorKind::Busy`] when too much waits, and with [`ErrorKind::Closed`] should the
    /// thread have died. It must be quick: other appends wait for it.
    pub fn append(
        &self,
        append: Append,
        done: impl FnOnce(Result<Appended, Error>) + Send + 'static,
    ) {
        self.give(Job::Append(append, Completion(Some(Box::new(done)))));
    }

    /// Does other work with the journal, after everything that was given before it.
    ///
    /// # Errors
    ///
    /// `work` gets [`ErrorKind::Busy`] or [`ErrorKind::Closed`] in place of the journal when it cannot be done.
    pub fn call(&self, work: impl FnOnce(Result<&dyn Journal, Error>) + Send + 'static) {
        self.give(Job::Call(Call(Some(Box::new(work)))));
    }

    fn give(&self, job: Job) {
        let Some(jobs) = &self.jobs else {
            return;
        };
        if let Err(TrySendError::Full(job)) = jobs.try_send(job) {
            match job {
                Job::Append(_, done) => done.end(Err(ErrorKind::Busy.into())),
                Job::Call(call) => call.end(Err(ErrorKind::Busy.into())),
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // Dropped by a callback, and so on its own thread, it cannot wait; what waits is finished all the same.
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        if let Some(thread) = self.thread.take().filter(|thread| !own(thread)) {
            // A panic in a callback is the callback's; everyone who waited was told by then.
            let _ = thread.join();
        }
    }
}

fn run(journal: &dyn Journal, queue: &Receiver<Job>, config: WriterConfig) {
    let mut next = queue.recv().ok();
    // Whether the last batch had several: their senders are about to append again.
    let mut is_busy = false;
    while let Some(job) = next.take() {
        match job {
            Job::Call(call) => call.end(Ok(journal)),
            Job::Append(append, done) => {
                let mut batch = Batch {
                    appends: vec![append],
                    waiting: vec![done],
                };
                next = batch.fill(queue, config.batch);
                if next.is_none() && (is_busy || batch.appends.len() > 1) {
                    next = batch.gather(queue, config);
                }
                is_busy = batch.appends.len() > 1;
                let answers = journal.append_batch(&batch.appends);
                for (done, answer) in batch.waiting.into_iter().zip(answers) {
                    done.end(answer);
                }
            }
        }
        if next.is_none() && is_busy && !config.gather.is_zero() {
            config.pause();
            next = queue.try_recv().ok();
        }
        if next.is_none() {
            next = queue.recv().ok();
        }
    }
}

/// Appends for one flush.
struct Batch {
    appends: Vec<Append>,
    waiting: Vec<Completion>,
}

impl Batch {
    /// Waits for more while more come.
    fn gather(&mut self, queue: &Receiver<Job>, config: WriterConfig) -> Option<Job> {
        if config.gather.is_zero() {
            return None;
        }
        for _ in 0..GATHER_STEPS {
            let before = self.appends.len();
            config.pause();
            let next = self.fill(queue, config.batch);
            let now = self.appends.len();
            if next.is_some() || now == before || now >= config.batch {
                return next;
            }
        }
        None
    }

    /// Takes in the appends that wait, up to that many and up to other work, which it gives back.
    fn fill(&mut self, queue: &Receiver<Job>, most: usize) -> Option<Job> {
        while self.appends.len() < most {
            match queue.try_recv() {
                Ok(Job::Append(append, done)) => {
                    self.appends.push(append);
                    self.waiting.push(done);
                }
                Ok(call) => return Some(call),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
        None
    }
}

enum Job {
    Append(Append, Completion),
    Call(Call),
}

type Done = Box<dyn FnOnce(Result<Appended, Error>) + Send>;
type Work = Box<dyn FnOnce(Result<&dyn Journal, Error>) + Send>;

/// Calls back exactly once, even when the thread dies before it comes to it.
struct Completion(Option<Done>);

impl Completion {
    fn end(mut self, answer: Result<Appended, Error>) {
        if let Some(done) = self.0.take() {
            done(answer);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(ErrorKind::Closed.into()));
        }
    }
}

/// As [`Completion`], for other work.
struct Call(Option<Work>);

impl Call {
    fn end(mut self, journal: Result<&dyn Journal, Error>) {
        if let Some(work) = self.0.take() {
            work(journal);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work(Err(ErrorKind::Closed.into()));
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Append(..) => "Append",
            Self::Call(..) => "Call",
        })
    }
}
