"""Every error the package raises on purpose.

InstructLoopError
├── UserError            what came, what was expected, what to do        exit code 2
│   ├── ConfigError      a setting, or two settings that exclude each other
│   │   └── ContextExceeded   a prompt and its answer that do not fit the model's context
│   ├── DataError        a file, a line of a file, a record
│   ├── CheckpointError  a model or tokenizer that cannot play the role asked of it
│   ├── ResumeError      a run folder that belongs to another run
│   ├── MissingExtra     an optional dependency that is not installed
│   ├── StoreError       a feedback database that cannot be opened, saved or restored
│   ├── NotSignedIn      a wrong name or password, a link or a key that is spent
│   ├── AccessDenied     an act that the person's role does not allow
│   ├── NotFound         something that is not there, or not for this person to see
│   └── Conflict         an act that came too late: somebody, or the clock, was first
├── LawBroken            a law of docs/laws.md does not hold: the numbers cannot be trusted   exit code 1
├── Busy                 more requests wait for a model than may; `retry_after` seconds      exit code 1
├── ModelUnavailable     a model that cannot answer: its server is away, or it broke off     exit code 1
├── Interrupted          Ctrl-C, after everything was saved               exit code 130
└── RunFinished          the run asked for is already there               exit code 0
"""


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line: its first, or else its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class InstructLoopError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class UserError(InstructLoopError):
    """A mistake the person at the keyboard can mend: says what came, what was expected and what to do."""

    exit_code = 2

    def __init__(self, came: str, *, expected: str, remedy: str) -> None:
        super().__init__(f"{came}\n  expected: {expected}\n  remedy:   {remedy}")
        self.came, self.expected, self.remedy = came, expected, remedy


class ConfigError(UserError):
    """A setting outside its range, or two settings that exclude each other."""


class ContextExceeded(ConfigError):
    """A prompt, or a prompt and the answer asked for, that are longer than what the model can attend to."""


class DataError(UserError):
    """A file, a line of a file, or a record that cannot be used."""


class CheckpointError(UserError):
    """A model or tokenizer that is absent, broken, or unfit for its role."""


class ResumeError(UserError):
    """A run folder whose config, data, tokenizer or library versions differ from those of the command."""


class MissingExtra(UserError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package!r} is not installed",
            expected=f"the optional extra [{extra}]",
            remedy=f"pip install 'instructloop[{extra}]'",
        )


class StoreError(UserError):
    """A feedback database that cannot be opened, saved or restored."""


class NotSignedIn(UserError):
    """A wrong name or password, or a link, session or key that is unknown, expired or spent."""


class AccessDenied(UserError):
    """An act that the role of the person does not allow."""


class NotFound(UserError):
    """Something that is not there, or that this person may not know of."""


class Conflict(UserError):
    """An act that came too late: the thing it is about was changed, taken or ended meanwhile."""


class LawBroken(InstructLoopError):
    """A law of the numbers does not hold, so nothing trained from here on could be trusted."""

    def __init__(self, law: str, *, expected: str, came: str, usual_cause: str) -> None:
        super().__init__(f"law {law} is broken\n  expected: {expected}\n  came:     {came}\n  usual cause: {usual_cause}")
        self.law = law


class Busy(InstructLoopError):
    """More requests wait for a model than may; the same request is good again after about `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnavailable(InstructLoopError):
    """A model that cannot answer now: its server is away or refuses us, an answer broke off, or it is being shut down."""


class Interrupted(InstructLoopError):
    """The run was stopped by Ctrl-C; its state is saved and the message says how to go on."""

    exit_code = 130


class RunFinished(InstructLoopError):
    """The folder already holds the whole run: said, not complained about."""

    exit_code = 0
