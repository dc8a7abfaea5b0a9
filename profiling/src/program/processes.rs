//! Child processes that end when the program is interrupted.
//!
//! Invariant: once interrupted, no child is started and none that was started lives on.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The children that run, and whether the program was interrupted.
#[derive(Debug, Clone, Default)]
pub(super) struct Processes {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    interrupted: bool,
    running: Vec<Child>,
}

/// Why a child gave no answer.
#[derive(Debug)]
pub(super) enum ProcessError {
    /// The program was interrupted.
    Interrupted,
    /// It could not be started, or spoken to.
    Io(io::Error),
    /// It ended by itself, in failure.
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
}

impl Processes {
    /// Ends the children at an interrupt, a request to terminate, or a hang-up.
    ///
    /// Where whoever started the program has one of them ignored, as `nohup` and a script's background jobs do, that stands, and
    /// the others do what they do without a handler.
    pub(super) fn end_at_interrupt(&self) -> Result<(), ctrlc::Error> {
        let processes = self.clone();
        let set = ctrlc::try_set_handler(move || {
            let mut state = processes.state();
            state.interrupted = true;
            for child in &mut state.running {
                // It may have ended just now.
                drop(child.kill());
            }
        });
        match set {
            Err(ctrlc::Error::MultipleHandlers) => Ok(()),
            set => set,
        }
    }

    pub(super) fn interrupted(&self) -> bool {
        self.state().interrupted
    }

    /// Runs a child to its end: `input` writes to its standard input, its standard output is the answer.
    ///
    /// With `loud` the child's standard error is the program's own.
    pub(super) fn answer(
        &self,
        command: &mut Command,
        loud: bool,
        input: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send,
    ) -> Result<Vec<u8>, ProcessError> {
        let stderr = if loud { Stdio::inherit() } else { Stdio::piped() };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let (id, pipes) = {
            let mut state = self.state();
            if state.interrupted {
                return Err(ProcessError::Interrupted);
            }
            let mut child = command.spawn().map_err(ProcessError::Io)?;
            let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let id = child.id();
            state.running.push(child);
            (id, pipes)
        };
        let (stdin, stdout, stderr) = pipes;
        let mut answer = Vec::new();
        let mut said = String::new();
        // All pipes at once, so that neither side waits for the other.
        let (sent, read) = std::thread::scope(|scope| {
            let writer = scope.spawn(move || stdin.map_or(Ok(()), |mut pipe| input(&mut pipe)));
            let listener = scope.spawn(|| stderr.map(|mut pipe| pipe.read_to_string(&mut said)));
            let read = stdout.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut answer));
            drop(listener.join());
            (writer.join(), read)
        });
        let (status, interrupted) = self.wait(id)?;
        if interrupted {
            return Err(ProcessError::Interrupted);
        }
        if !status.success() {
            return Err(ProcessError::Failed { status, stderr: said });
        }
        read.map_err(ProcessError::Io)?;
        sent.unwrap_or_else(|_| Err(io::Error::other("the job could not be written"))).map_err(ProcessError::Io)?;
        Ok(answer)
    }

    /// Waits for a child whose output has ended, and takes it from the list.
    fn wait(&self, id: u32) -> Result<(ExitStatus, bool), ProcessError> {
        let mut state = self.state();
        let at =
            state.running.iter().position(|child| child.id() == id).expect("only this takes the child from the list");
        // Its output is at its end, so it is about to end itself; the handler may wait that long.
        let mut child = state.running.swap_remove(at);
        let status = child.wait().map_err(ProcessError::Io)?;
        Ok((status, state.interrupted))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
