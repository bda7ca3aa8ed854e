"""What a person may decide on the pool screen: each key is one action, recorded beside the rule's verdict and undone by `u`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches

from studio.insight.story import Story
from studio.pool.review_records import Annotation
from studio.records import TaskState, Verdict
from studio.tui.lent_steering import LentSteering
from studio.tui.note_dialog import AnnotationDialog
from studio.tui.widgets.task_detail import TaskDetail

Edit = Callable[[int, str], None]
"""Opens a candidate's text for editing; it is given the candidate's id and the text as it is now."""
Instances = Callable[[int, str], None]
"""Opens the instances of a task; it is given the task's id and its instruction."""


_STEERED = ("retire", "restore", "mark", "annotate", "overrule", "edit", "instances", "undo", "redo")


class PoolSteering(LentSteering):
    """The steering half of the pool screen; without `steer` no key of it is there."""

    STEERING: ClassVar[list[BindingType]] = [
        Binding("r", "retire", "Retire", id="pool.retire", tooltip="Keep the task, but never sample or export it"),
        Binding("r", "restore", "Restore", id="pool.restore", tooltip="Let the task take part again"),
        Binding("m", "mark", "Mark", id="pool.mark", tooltip="Mark the task for review, or no longer", show=False),
        Binding("n", "annotate", "Tags", id="pool.annotate", tooltip="Tags and a note on the task"),
        Binding("t", "overrule", "Overrule", id="pool.overrule", tooltip="Accept what was rejected, or the reverse"),
        Binding("e", "edit", "Edit", id="pool.edit", tooltip="Change the text; its score follows", show=False),
        Binding("i", "instances", "Instances", id="pool.instances", tooltip="Edit, drop, restore or ask for more of them", show=False),
        Binding("u", "undo", "Undo", id="pool.undo", tooltip="Take back the newest of your actions", show=False),
        Binding("U,ctrl+y", "redo", "Redo", id="pool.redo", tooltip="Do again what was taken back last", show=False),
    ]
    open_edit: Edit | None = None
    open_instances: Instances | None = None

    def steers(self, action: str) -> bool | None:
        """Whether a steering action applies to what is shown; None when `action` is none."""
        if action not in _STEERED:
            return None
        story = self._story()
        state = story.task.state if story is not None and story.task is not None else None
        applies: dict[str, Callable[[], bool]] = {
            "retire": lambda: state is TaskState.ACTIVE,
            "restore": lambda: state is TaskState.RETIRED,
            "mark": lambda: state is not None,
            "annotate": lambda: state is not None,
            "overrule": lambda: story is not None and story.candidate is not None,
            "edit": lambda: self.open_edit is not None and story is not None and story.candidate is not None,
            "instances": lambda: self.open_instances is not None and state is not None,
            "undo": lambda: True,
            "redo": lambda: True,
        }
        return self.steer is not None and applies[action]()

    def action_retire(self) -> None:
        """Take the task out of samples and exports."""
        if (task_id := self._task_id()) is not None:
            self._steer(lambda steering: steering.retire(task_id))

    def action_restore(self) -> None:
        """Let it take part again."""
        if (task_id := self._task_id()) is not None:
            self._steer(lambda steering: steering.restore(task_id))

    def action_mark(self) -> None:
        """Mark the task for review, or take the mark away."""
        if (task_id := self._task_id()) is not None:
            marked = not self.query_one(TaskDetail).marked
            self._steer(lambda steering: steering.mark(task_id, marked))

    def action_annotate(self) -> None:
        """Open the tags and the note of the task that is shown."""
        task_id = self._task_id()
        if task_id is None or not self.steers("annotate"):
            return

        def save(annotation: Annotation | None) -> None:
            if annotation is not None:
                self._steer(lambda steering: steering.annotate(task_id, annotation.tags, annotation.note))

        self.app.push_screen(AnnotationDialog(self.query_one(TaskDetail).annotation, task_id), save)

    def action_overrule(self) -> None:
        """Turn the verdict of the candidate that is shown."""
        story = self._story()
        if story is None or story.candidate is None or not story.decisions:
            return
        candidate, now = story.candidate.id, story.decisions[-1].verdict
        verdict = Verdict.REJECTED if now is Verdict.ACCEPTED else Verdict.ACCEPTED
        self._steer(lambda steering: steering.override(candidate, verdict))

    def action_edit(self) -> None:
        """Open the text of the candidate that is shown."""
        story = self._story()
        if self.open_edit is not None and story is not None and story.candidate is not None:
            edited = story.decisions[-1].edited if story.decisions else None
            self.open_edit(story.candidate.id, story.candidate.text if edited is None else edited)

    def action_instances(self) -> None:
        """Open the instances of the task that is shown."""
        story = self._story()
        if self.open_instances is not None and story is not None and story.task is not None:
            self.open_instances(story.task.id, story.task.instruction)

    def steering_commands(self) -> Iterator[SystemCommand]:
        """The palette's entries for what applies now."""
        offers = (
            ("retire", "Task: retire", "Keep it, but never sample or export it", self.action_retire),
            ("restore", "Task: restore", "Let it take part again", self.action_restore),
            ("mark", "Task: mark for review", "Or take the mark away", self.action_mark),
            ("annotate", "Task: tags and note", "Words of your own, to filter and export by", self.action_annotate),
            ("overrule", "Candidate: overrule the verdict", "Accept what was rejected, or the reverse", self.action_overrule),
            ("edit", "Candidate: edit the text", "Its score follows as you type", self.action_edit),
            ("instances", "Task: instances", "Edit, drop, restore or ask for more", self.action_instances),
            ("undo", "Pool: undo", "Take back the newest of your actions", self.action_undo),
            ("redo", "Pool: redo", "Do again what was taken back last", self.action_redo),
        )
        return self._offered(offers)

    def _story(self) -> Story | None:
        try:
            return self.query_one(TaskDetail).story
        except NoMatches:
            return None

    def _task_id(self) -> int | None:
        story = self._story()
        return story.task.id if story is not None and story.task is not None else None
