"""What a person may decide on the pool screen: each key is one action, recorded beside the rule's verdict and undone by `u`.

It acts on the row under the cursor as the key is pressed, and on what the pool says of it then: what stands beside the list is read a
moment later, and may still be another's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from textual.binding import BindingType
from textual.screen import Screen

from studio.errors import UsageError
from studio.insight.story import Story, story_of
from studio.loop.steering import Steering
from studio.pool.browse import Kind
from studio.pool.candidates import CandidateRecord
from studio.pool.pool import Queries
from studio.pool.tasks import Annotation
from studio.records import Task, TaskState
from studio.tui.base import Store, lay_over
from studio.tui.dialogs.edit import AnnotationDialog, EditDialog, InstancesDialog
from studio.tui.dialogs.importing import ImportDialog
from studio.tui.keys import bind
from studio.tui.steering import SteeredScreen, overrule

F = TypeVar("F")

_STEERED = ("retire", "restore", "mark", "annotate", "overrule", "edit", "instances", "undo", "redo", "import")
_ANY_TIME = ("undo", "redo", "import")
"""Actions for which nothing has to be chosen."""


class PoolSteering(SteeredScreen):
    """The steering half of the pool screen; without a `steerer` no key of it is there."""

    STEERING: ClassVar[list[BindingType]] = [
        bind("drop", "retire", "Retire", "Keep the task, but never sample or export it"),
        bind("drop", "restore", "Restore", "Let the task take part again"),
        bind("mark", "mark", "Mark", "Mark the task for review, or no longer", show=False),
        bind("note", "annotate", "Tags", "Tags of your own and a note on the task, to filter and export by"),
        bind("overrule", "overrule", "Overrule", "Accept what was rejected, or the reverse"),
        bind("edit", "edit", "Edit", "Change the text; its score follows", show=False),
        bind("instances", "instances", "Instances", "Edit, drop, restore or ask for more of them", show=False),
        bind("undo", "undo", "Undo", "Take back the newest of your actions", show=False),
        bind("redo", "redo", "Redo", "Do again what was taken back last", show=False),
        bind("import", "import", "Import", "Bring in the tasks of a file", show=False),
    ]
    OFFERED: ClassVar[Mapping[str, str]] = {
        "retire": "Task: retire",
        "restore": "Task: restore",
        "mark": "Task: mark for review",
        "annotate": "Task: tags and note",
        "overrule": "Candidate: overrule the verdict",
        "edit": "Candidate: edit the text",
        "instances": "Task: instances",
        "undo": "Pool: undo",
        "redo": "Pool: redo",
        "import": "Pool: import",
    }

    @property
    @abstractmethod
    def chosen(self) -> str | None:
        """The reference of what keys act on now; None when there is nothing."""

    @abstractmethod
    def story_of_chosen(self) -> Story | None:
        """The story of what is chosen, None while it is still to come."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Only what applies to what is chosen, for all that is known of it yet."""
        if action not in _STEERED:
            return True
        if self.steerer is None or not self.is_mounted:
            return False
        reference, story = self.chosen, self.story_of_chosen()
        if action in _ANY_TIME or reference is None or story is None:
            return action != "restore" and (action in _ANY_TIME or reference is not None)
        state = story.task.state if story.task is not None else None
        match action:
            case "retire":
                return state is TaskState.ACTIVE
            case "restore":
                return state is TaskState.RETIRED
            case "overrule" | "edit":
                return story.candidate is not None
            case _:
                return state is not None

    def action_retire(self) -> None:
        """Take the task out of samples and exports, or let it take part again: the pool says which of the two it is."""
        self._steer_chosen(_retire_or_restore)

    action_restore = action_retire

    def action_mark(self) -> None:
        self._steer_chosen(_mark_or_not)

    def action_overrule(self) -> None:
        self._steer_chosen(lambda steering, story: overrule(steering, _candidate_of(story).id))

    def action_annotate(self) -> None:
        def window(task: Task, story: Story) -> AnnotationDialog:
            store: Store[Annotation] = self._storing(lambda steering, now: steering.annotate(task.id, now.tags, now.note))
            return AnnotationDialog(story.annotation, task.id, store)

        self._open_chosen(_task_of, window)

    def action_edit(self) -> None:
        def window(candidate: CandidateRecord, story: Story) -> EditDialog | None:
            edited = story.decisions[-1].edited
            text = candidate.text if edited is None else edited
            store: Store[str] = self._storing(lambda steering, now: steering.edit_candidate(candidate.id, now))
            return None if self.steerer is None else EditDialog(text, candidate.id, self.steerer, store)

        self._open_chosen(_candidate_of, window)

    def action_instances(self) -> None:
        def window(task: Task, _: Story) -> None:
            steerer = self.steerer
            if steerer is None:
                return

            def then(_: None) -> None:
                if steerer.playing:
                    self.notify(f"The model writes more instances of task {task.id}.", markup=False)
                self.changed()

            lay_over(self, InstancesDialog(task.id, task.instruction, steerer), then)

        self._open_chosen(_task_of, window)

    def action_import(self) -> None:
        """Choose a file, see how it is read, and bring in its tasks."""

        def then(brought: bool | None) -> None:
            if brought:
                self.changed()

        if self.steerer is not None and self.steerer.ready(self):
            lay_over(self, ImportDialog(self.steerer), then)

    def _steer_chosen(self, act: Callable[[Steering, Story], str]) -> None:
        if (reference := self.chosen) is not None:
            self._steer(lambda steering: act(steering, story_of(steering.reader, reference)))

    def _open_chosen(self, part: Callable[[Story], F], window: Callable[[F, Story], Screen[None] | None]) -> None:
        """Lay the window over this screen that is made of what is chosen: of that `part` of its story, and of the story."""
        reference = self.chosen
        if reference is None or self.steerer is None:
            return

        def question(_: object, pool: Queries) -> tuple[F, Story]:
            story = story_of(pool, reference)
            return part(story), story

        self.steerer.open(self, question, lambda found: window(*found))


def _task_of(story: Story) -> Task:
    if story.task is None:
        raise UsageError(f"candidate {story.candidate.id if story.candidate else ''} has become no task")
    return story.task


def _candidate_of(story: Story) -> CandidateRecord:
    if story.candidate is None:
        raise UsageError(f"task {story.task.id if story.task else ''} was no candidate: nothing was decided of it")
    return story.candidate


def _retire_or_restore(steering: Steering, story: Story) -> str:
    task = _task_of(story)
    match task.state:
        case TaskState.ACTIVE:
            return steering.retire(task.id)
        case TaskState.RETIRED:
            return steering.restore(task.id)
        case _:
            raise UsageError(f"task {task.id} is a draft", "its round has to be finished first")


def _mark_or_not(steering: Steering, story: Story) -> str:
    task_id = _task_of(story).id
    marked = any(row.marked for row in steering.reader.browse.rows(Kind.TASKS, [task_id]))
    return steering.mark(task_id, not marked)
