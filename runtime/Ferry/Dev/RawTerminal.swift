import Glibc

/// The mode of the terminal while single keys are read: no lines, no echo; Ctrl-C stays what it is.
///
/// It is given back at every end of the process but SIGKILL: at the end of the reading, at `exit`, and by signals that
/// end or stop it. After a stop (Ctrl-Z) it is taken again.
enum RawTerminal {
    /// What ends the process without a graceful shutdown.
    private static let fatal = [SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE]

    // Written by `enter` before the handlers that read them are set, and not changed after that; `isRaw` is written by
    // one thread or by a handler, as a single byte, and a wrong value only sets the same mode twice.
    nonisolated(unsafe) private static var saved = termios()
    nonisolated(unsafe) private static var raw = termios()
    nonisolated(unsafe) private static var isRaw = false

    /// Takes the mode, if standard input is a terminal and this process is the one that it is for.
    ///
    /// - Returns: Whether keys can be read.
    static func enter() -> Bool {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp(),
            tcgetattr(STDIN_FILENO, &saved) == 0
        else { return false }
        raw = saved
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
        guard tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0 else { return false }
        isRaw = true
        atexit { RawTerminal.leave() }
        for number in fatal {
            handle(number, flags: CInt(bitPattern: UInt32(SA_RESETHAND)) | SA_NODEFER) { number in
                RawTerminal.leave()
                raise(number)
            }
        }
        handle(SIGTSTP, flags: SA_RESTART) { _ in
            RawTerminal.leave()
            // What cannot be caught stops the process all the same.
            raise(SIGSTOP)
        }
        handle(SIGCONT, flags: SA_RESTART) { _ in
            guard tcgetpgrp(STDIN_FILENO) == getpgrp() else { return }
            tcsetattr(STDIN_FILENO, TCSANOW, &RawTerminal.raw)
            RawTerminal.isRaw = true
        }
        return true
    }

    /// Gives the mode back. Safe in handlers of signals.
    static func leave() {
        guard isRaw else { return }
        isRaw = false
        tcsetattr(STDIN_FILENO, TCSANOW, &saved)
    }

    private static func handle(_ number: CInt, flags: CInt, _ handler: @escaping @convention(c) (CInt) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = flags
        sigaction(number, &action, nil)
    }
}
