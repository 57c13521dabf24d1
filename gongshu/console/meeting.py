"""What the pages say of two nodes that compute together: the steps of a run, how far it is, and what each side learns."""

from dataclasses import dataclass

from gongshu.compute.types import Job, JobProgress, JobStatus, JointAgreement, JointKind, JointLearners
from gongshu.console.labels import Word, sentence, word

PHASES: dict[str, Word] = {
    "preparing": word("joint phase", "Keys are hashed"),
    "connecting": word("joint phase", "Waiting for the peer's node"),
    "meeting": word("joint phase", "The nodes know each other by certificate"),
    "agreed": word("joint phase", "Both hold the same document"),
    "intersecting": word("joint phase", "Intersecting"),
    "comparing": word("joint phase", "Comparing on shares that nobody can read"),
}
"""The phases that a run tells."""

STEPS: tuple[tuple[Word, Word, Word, frozenset[str]], ...] = (
    (
        word("joint step", "Prepare"),
        word("joint step", "hash own keys under the task's nonce"),
        word("joint step", "hash own keys under the task's nonce"),
        frozenset({"preparing"}),
    ),
    (
        word("joint step", "Meet"),
        word("joint step", "show own certificate, accept only the agreed one"),
        word("joint step", "show own certificate, accept only the agreed one"),
        frozenset({"connecting", "meeting"}),
    ),
    (
        word("joint step", "Compare the document"),
        word("joint step", "same digest, same versions, or nothing is said"),
        word("joint step", "same digest, same versions, or nothing is said"),
        frozenset({"agreed"}),
    ),
    (
        word("joint step", "Run the protocol"),
        word("joint step", "masked keys or random shares, never a row"),
        word("joint step", "masked keys or random shares, never a row"),
        frozenset({"intersecting", "comparing"}),
    ),
)
"""Each step: its name, what our node does, what the peer's does, and the phases in which it is under way."""

OVER = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED})


@dataclass(frozen=True)
class Step:
    """One step of the picture: where it stands, and its state: done, here, ahead, or stopped."""

    title: Word
    ours: Word
    theirs: Word
    state: str
    y: int


@dataclass(frozen=True)
class Course:
    """How far a run is: percent, the word of its phase, its steps, and whether the page should ask again."""

    percent: int
    phase: Word | None
    steps: tuple[Step, ...]
    is_over: bool
    is_failed: bool


TOP, STEP_HEIGHT = 76, 68


def course_of(job: Job | None, progress: JobProgress | None) -> Course:
    """Return how far a run is, as the picture and the bar show it."""
    is_over = job is not None and job.status in OVER
    is_done = job is not None and job.status is JobStatus.SUCCEEDED
    phase = "" if progress is None else progress.phase
    here = next((number for number, step in enumerate(STEPS) if phase in step[3]), -1)

    def state(number: int) -> str:
        if is_done or number < here:
            return "done"
        if number == here:
            return "stopped" if is_over else "here"
        return "ahead"

    steps = tuple(
        Step(title, ours, theirs, state(number), TOP + number * STEP_HEIGHT)
        for number, (title, ours, theirs, _) in enumerate(STEPS)
    )
    percent = 100 if is_done else 0 if progress is None else progress.percent
    return Course(percent, None if is_over else PHASES.get(phase), steps, is_over, is_over and not is_done)


@dataclass(frozen=True)
class Learning:
    """What one side learns: sentences with the number that belongs into each."""

    is_ours: bool
    is_learner: bool
    sentences: tuple[tuple[str, int], ...]


_OUTCOME = {
    JointKind.INTERSECTION: sentence("which of its own keys the other side has too, if there are at least %(n)s"),
    JointKind.COUNT: sentence("how many keys both have, if there are at least %(n)s"),
    JointKind.SUMS: sentence(
        "how many keys both have and the sum over them, if there are at least %(n)s and none dominates"
    ),
}
_BELOW = sentence("if the thresholds do not hold: only that")
_NOTHING = sentence("of the outcome: nothing")
_ROWS = sentence("how many keys the other side brings")
_PADDED = sentence("that the other side brings at most %(n)s keys; random ones hide how many")
_BOTH = sentence("the document and how long the run took")


def learnings(kept: JointAgreement) -> tuple[Learning, Learning]:
    """Return what our side learns, and what the peer's does."""
    wanted = kept.proposal.learners
    learners = {
        JointLearners.PROPOSER: {0}, JointLearners.PEER: {1}, JointLearners.BOTH: {0, 1},
    }[wanted]  # fmt: skip
    thresholds = kept.proposal.thresholds if kept.task is None else kept.task.thresholds
    sides = (kept.proposal.proposer, None) if kept.task is None else kept.task.sides

    def learning(number: int) -> Learning:
        other = sides[1 - number]
        outcome = (
            ((_OUTCOME[kept.proposal.kind], thresholds.units_min), (_BELOW, 0))
            if number in learners
            else ((_NOTHING, 0),)
        )
        rows = (_PADDED, other.rows_max) if other is not None and other.is_padded else (_ROWS, 0)
        return Learning(number == kept.number, number in learners, (*outcome, rows, (_BOTH, 0)))

    return learning(kept.number), learning(1 - kept.number)
