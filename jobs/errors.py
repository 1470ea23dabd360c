"""The errors that end a job, each with its exit code."""


class JobError(RuntimeError):
    """An error that a person must correct; the message says what, where and how."""

    exit_code = 1


class RecipeError(JobError):
    """An unusable recipe; the message lists everything that is wrong with it."""

    exit_code = 2


class StoppedError(JobError):
    """An expectation or an error budget stopped the job; nothing was published."""

    exit_code = 3


class WaitingError(JobError):
    """Work outside humpback is needed first; the message gives the exact command."""

    exit_code = 4
