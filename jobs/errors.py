"""The endings of a job that are not a plain failure, each with its exit code."""


class JobError(RuntimeError):
    """Something a person must mend; the message says what, where and how."""

    exit_code = 1


class RecipeError(JobError):
    """A recipe that cannot be used, with everything that is wrong with it."""

    exit_code = 2


class StoppedError(JobError):
    """An expectation or an error budget stopped the job; nothing was published."""

    exit_code = 3


class WaitingError(JobError):
    """Outside work is needed first; the message holds the exact command."""

    exit_code = 4
